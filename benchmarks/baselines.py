"""Parts that the baselines `track_by_detect.py` and `clip_match.py` share: the method, the frames and the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.device import choose_device, choose_precision
from vis_cli.engine.frames import network_size
from vis_cli.engine.instances import make_instances
from vis_cli.engine.key_frame_reader import KeyFrameReader
from vis_cli.engine.method import Method
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.engine.settle import settle_scores, settle_sizes
from vis_cli.engine.windows import Window, iter_windows
from vis_cli.errors import VisError
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.records.types import ModelInfo, VideoInfo, VideoResult
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.zoo.detectors.boxes_and_masks import place

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork
    from vis_cli.records.video import Video
    from vis_cli.zoo.weights import LoadedModel

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class BaselineSequences:
    """The sequences of a video. They can have a low score."""

    proposals: SequenceProposals
    num_frames: int
    num_key_frames: int  # frames in which objects were detected


class VideoDetector:
    """Detects the objects of key frames in ascending order."""

    def __init__(self, method: Method, video: Video) -> None:
        self._method = method
        self._reader = KeyFrameReader(video) if method.network.reads_video else None

    def source(self, *key_frames: int) -> DetectedMasks:
        """Return the detections of some key frames."""
        return DetectedMasks(self._method.network, key_frames, self._method.config, self._reader)


def make_method(loaded: LoadedModel[VideoNetwork], config: SegmentSettings, run: RunSettings | None = None) -> Method:
    """Return the method with the network and the settings that `Segmenter` uses.

    Raises:
        VisError: Masks of the padded network input are asked for.
    """
    if config.mask_canvas != "video":
        raise VisError("baselines need masks of the video", field="mask_canvas", hint="Use another preset.")
    run = run or RunSettings()
    device = choose_device(run.device)
    network = place(loaded.model, device)
    settled = settle_scores(settle_sizes(config, loaded.model.config), classifies_boxes=network.classifies_boxes)
    return Method(
        network=ClassAgnostic(network) if config.class_agnostic else network,
        config=settled,
        device=device,
        precision=choose_precision(run.precision, device),
        feature_budget=run.feature_budget_mb * MEGABYTE,
        reduces=True,
    )


def iter_frames(method: Method, video: Video) -> Iterator[Window]:
    """Decode a video, and yield each frame as a window at the size of the network input."""
    config = method.config
    if config.short_side is None or config.long_side is None:
        raise ValueError("the size of the network input is not known")
    size = network_size((video.height, video.width), short_side=config.short_side, long_side=config.long_side)
    return iter_windows(video, size, length=1, cuts=config.cuts, budget_bytes=0, progress=lambda *_: None)


def make_result(method: Method, model: ModelInfo, video: Video, found: BaselineSequences) -> VideoResult:
    """Return the sequences as a result. A sequence with a low score is not confident, as in `vis segment`."""
    config, categories = method.config, method.network.config.categories
    return VideoResult(
        video=VideoInfo(
            video.name, video.path, video.width, video.height, video.fps, found.num_frames, part=video.part
        ),
        model=model,
        config=dataclasses.asdict(config),
        categories=categories,
        instances=make_instances(
            found.proposals,
            categories,
            reported_score=config.score_threshold,
            confident_score=config.confident_score,
        ),
    )
