"""Propose-Reduce for one video (Propose-Reduce, Sec. 3); used by the commands and by programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.backend import choose_backend
from vis_cli.engine.device import choose_device, choose_precision
from vis_cli.engine.frame_arrays import Frames, FrameStream, as_video
from vis_cli.engine.frames import Size, network_size
from vis_cli.engine.given_masks import GivenMasks
from vis_cli.engine.given_objects import GivenObjects
from vis_cli.engine.mask_sources import choose_source, key_frame_reader
from vis_cli.engine.method import Method
from vis_cli.engine.prompted_masks import PromptedMasks
from vis_cli.engine.sequences import ProposalIds
from vis_cli.engine.settle import settle_scores, settle_sizes
from vis_cli.engine.video_run import VideoRun, collect_masks
from vis_cli.engine.windows import Window, iter_windows
from vis_cli.errors import VisError
from vis_cli.messages import Messages, NoMessages
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.only_categories import OnlyCategories
from vis_cli.network.openvino.runtime import version_of
from vis_cli.network.protocol import VideoNetwork
from vis_cli.progress import Progress
from vis_cli.records.category_names import find_categories
from vis_cli.records.detection_file import locate_detections, read_detection_file
from vis_cli.records.detections import VideoDetections
from vis_cli.records.prompts import Prompt, require_inside, uses_detector
from vis_cli.records.read_ahead import read_ahead
from vis_cli.records.types import VideoResult
from vis_cli.records.video import Video, frame_times, source_of
from vis_cli.settings import GIVEN_MASKS, INT8, RunSettings, SegmentSettings, find_preset
from vis_cli.zoo.composition import load_network, needed_detector, quantized_info
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks, place
from vis_cli.zoo.detectors.file_detector import FileDetector, count_others
from vis_cli.zoo.weights import LoadedModel

Guidance: TypeAlias = Mapping[int, NDArray[np.integer]]  # frame -> (H, W) instance ids, 0 background
# Detections of a video, or a function that returns them for its number of frames, which decoding determines
Detections: TypeAlias = VideoDetections | Callable[[int], VideoDetections]

MEGABYTE = 2**20


def segment_video(
    video: str | Path | Video | Frames,
    *,
    fps: float | None = None,
    model: str | LoadedModel[VideoNetwork] = "lite",
    config: SegmentSettings | None = None,
    run: RunSettings | None = None,
    progress: Progress | None = None,
    guidance: Guidance | None = None,
    detections: str | Path | Detections | None = None,
    only: Sequence[str] = (),
    prompts: Sequence[Prompt] = (),
    also_detect: bool = False,
) -> VideoResult:
    """Detect, segment and track the objects of one video.

    >>> frames = np.zeros((3, 24, 32, 3), np.uint8)
    >>> result = segment_video(frames, fps=25)
    >>> result.video.num_frames, len(result.instances)
    (3, 0)

    Args:
        video: A video file, a folder of images, a video from `open_video`, an array (T, H, W, 3) uint8 RGB, or an
            iterable of frames (H, W, 3) uint8 RGB. An iterator is read once. If frames are needed again, they are
            stored: with given objects, a file of detections, or a detector of torchvision or ONNX.
        fps: Frames per second of an array or an iterable. None: 24, as for a folder of images.
        model: Name or folder of a model, or a model from `load_model` or `load_network`.
        config: Settings of the method. None selects the preset `default`, or `given-masks` with `guidance`.
        run: Device, precision and memory. None selects the defaults.
        progress: Called with a stage ("read", "forward" or "backward"), the number of finished frames, and the number
            of all frames (0 if it is unknown). With several windows, "backward" is not reported.
        guidance: Label maps (H, W) by frame index; 0 is background, other values are instance ids. `vis` then detects
            nothing. It propagates these objects and keeps their ids. Their category is None, and their score is 1.
        detections: Detections of another program: a file or folder that docs/reference/detections.md describes, or
            the detections themselves. If they are given, the model detects nothing. Its mask head predicts the masks.
        only: Names of categories, such as "person". Objects of other categories are not detected. Empty: all.
        prompts: Boxes and points of the objects to track. If they are given, `vis` tracks only these objects and keeps
            their ids. Their score is 1.
        also_detect: Detect other objects in addition to `guidance` or `prompts`.

    Returns:
        The instances of the video, with one mask per frame at the size of the video.

    Raises:
        VisError: The video, the model, the device or another argument cannot be used.
    """
    config = config or _given_masks_preset(guidance, also_detect=also_detect)
    detects = _detector_takes_part(guidance, detections, prompts, also_detect=also_detect)
    segmenter = Segmenter(model, config=config, run=run, detects=detects)
    opened = as_video(video, fps=fps)
    found = _read_detections(Path(detections), opened) if isinstance(detections, (str, Path)) else detections
    return segmenter.segment(
        opened,
        progress=progress,
        guidance=guidance,
        detections=found,
        only=only,
        prompts=prompts,
        also_detect=also_detect,
    )


def _given_masks_preset(guidance: Guidance | None, *, also_detect: bool) -> SegmentSettings | None:
    """Return the preset of given masks if masks are the only objects. None: the default preset."""
    return None if guidance is None or also_detect else find_preset(GIVEN_MASKS)


class Segmenter:
    """A model on its device that segments one video after another. The videos do not influence each other."""

    def __init__(
        self,
        model: str | LoadedModel[VideoNetwork] = "lite",
        *,
        config: SegmentSettings | None = None,
        run: RunSettings | None = None,
        messages: Messages | None = None,
        detects: bool = True,
    ) -> None:
        """Load the model. Arguments and errors are the same as in `segment_video`.

        Args:
            model: See `segment_video`.
            config: See `segment_video`.
            run: See `segment_video`.
            messages: Receiver of warnings. None: nobody reads them.
            detects: False: each video comes with guidance or with detections, and without prompts. Then another
                detector of the model is not loaded, and results do not list it.
        """
        self._run = run or RunSettings()
        self._device = choose_device(self._run.device)
        self._openvino = choose_backend(self._run, self._device, messages or NoMessages())
        if self._device.type == "cpu":
            tune_malloc()
        if isinstance(model, str):
            detector = None if detects else needed_detector(model)
            loaded = load_network(model, detector=detector, device=str(self._device))
        else:
            loaded = model
        self._detects = detects
        self._model_info = quantized_info(loaded.info) if self._run.precision == INT8 else loaded.info
        self._network = place(loaded.model, self._device, self._openvino)
        self._config = settle_sizes(config or SegmentSettings(), loaded.model.config)

    def segment(
        self,
        video: str | Path | Video | Frames,
        *,
        fps: float | None = None,
        progress: Progress | None = None,
        guidance: Guidance | None = None,
        detections: Detections | None = None,
        only: Sequence[str] = (),
        prompts: Sequence[Prompt] = (),
        also_detect: bool = False,
    ) -> VideoResult:
        """Detect, segment and track the objects of one video. See `segment_video` for arguments and errors."""
        opened = as_video(video, fps=fps)
        source = source_of(opened)  # before the frames are read, so that a later change is detected
        with ExitStack() as stack:
            if isinstance(opened, FrameStream):
                stack.callback(opened.close)
            run = self.start(
                opened,
                progress=progress,
                guidance=guidance,
                detections=detections,
                only=only,
                prompts=prompts,
                also_detect=also_detect,
            )
            result = run.result(collect_masks(run.iter_windows()))
        times = frame_times(opened, result.video.num_frames)
        info = dataclasses.replace(result.video, source=source, frame_names=opened.frame_names, timestamps=times)
        return dataclasses.replace(result, video=info)

    def start(
        self,
        video: str | Path | Video | Frames,
        *,
        progress: Progress | None = None,
        guidance: Guidance | None = None,
        detections: Detections | None = None,
        only: Sequence[str] = (),
        prompts: Sequence[Prompt] = (),
        also_detect: bool = False,
    ) -> VideoRun:
        """Prepare the segmentation of one video. `VideoRun.iter_windows` yields its windows.

        The video may be endless, such as a camera. See `segment_video` for arguments and errors.
        """
        if detections is None:
            self.require_categories(only)
        opened = as_video(video)
        report = progress or _ignore
        _require_compatible(guidance, detections, prompts, also_detect=also_detect, detects=self._detects)
        require_inside(prompts, width=opened.width, height=opened.height)
        has_given = guidance is not None or bool(prompts) or callable(detections)
        if isinstance(opened, FrameStream) and (has_given or self._network.reads_video):
            opened.keep(self._run.frame_budget_mb * MEGABYTE)
        size, windows = self._read_windows(opened, report)
        num_frames = 0
        if has_given:
            first = next(windows)
            num_frames, windows = _count_frames(opened, first), chain([first], windows)
        found = detections(num_frames) if callable(detections) else detections
        found, excluded = self._select(found, only)
        method = self._choose_method(found, only, excluded)
        given: GivenObjects | None = None
        labels: dict[int, int] | None = {} if guidance is None else None
        if guidance is not None:
            given = GivenMasks(guidance, num_frames=num_frames, video=(opened.height, opened.width), size=size)
        elif prompts:
            reader, own = key_frame_reader(method, opened, found), self._model_of_boxes(found, only)
            prompted = PromptedMasks(method, prompts, reader, own=own, video=opened, num_frames=num_frames, size=size)
            given, labels = prompted, prompted.labels
        if given is not None:
            method = dataclasses.replace(method, reduces=also_detect, given=given.ids)
        ids = ProposalIds(0 if given is None else max(given.ids, default=0) + 1)
        return VideoRun(
            opened,
            method,
            windows,
            choose_source(method, opened, found, given, ids),
            model=self._model_info,
            input_size=size,
            ids=ids,
            progress=report,
            labels=labels,
            excluded=excluded,
        )

    def _select(
        self, found: VideoDetections | None, only: Sequence[str]
    ) -> tuple[VideoDetections | None, dict[str, int]]:
        """Return the given detections of the categories `only`, and how many of each other category there are."""
        if found is None or not only:
            return found, {}
        categories = find_categories(only, found.categories)
        excluded = count_others(
            found,
            categories,
            score_threshold=self._config.detection_score_threshold,
            nms_iou=self._config.box_nms_iou,
            class_agnostic=self._config.class_agnostic,
        )
        return found.only(categories), excluded

    def _model_of_boxes(self, detections: VideoDetections | None, only: Sequence[str]) -> VideoNetwork | None:
        """Return the network with a box head next to a detector of boxes, with the same choice of categories.

        None: there is no such detector, or the network knows none of the chosen categories.
        """
        if not isinstance(self._network, BoxesAndMasks):
            return None
        network = self._network.network
        if only:
            chosen = (self._network.config if detections is None else detections).categories
            names = {category.name for category in find_categories(only, chosen)}
            known = [category for category in network.config.categories if category.name in names]
            if not known:
                return None
            network = OnlyCategories(network, known)
        return ClassAgnostic(network) if self._config.class_agnostic else network

    def require_categories(self, names: Sequence[str]) -> None:
        """Check that the model has categories with these names.

        Raises:
            VisError: It has no category with one of these names. The nearest names are suggested.
        """
        find_categories(names, self._network.config.categories)

    def _read_windows(self, video: Video, progress: Progress) -> tuple[Size, Iterator[Window]]:
        """Return the size of the network input, and the windows of a video."""
        short_side, long_side = self._config.short_side, self._config.long_side
        if short_side is None or long_side is None:
            raise ValueError("the size of the network input is not known")
        size = network_size((video.height, video.width), short_side=short_side, long_side=long_side)
        budget = self._run.frame_budget_mb * MEGABYTE
        length, cuts = self._config.window, self._config.cuts
        windows = iter_windows(video, size, length=length, cuts=cuts, budget_bytes=budget, progress=progress)
        return size, read_ahead(windows, depth=1) if self._decodes_ahead(video) else windows

    def _decodes_ahead(self, video: Video) -> bool:
        """Return whether a thread decodes the next window while the network runs.

        On a CPU, it would take cores from the network. A stream has no frames ahead.
        """
        return self._device.type == "cuda" and video.num_frames is not None

    def _choose_method(
        self, detections: VideoDetections | None, only: Sequence[str], excluded: dict[str, int]
    ) -> Method:
        """Return the method with the network that detects, or with the given detections.

        With `only`, the network counts the detections of other categories in `excluded`.
        """
        network = self._network
        if detections is not None:
            network = BoxesAndMasks(FileDetector(detections), network)
        elif only:
            network = OnlyCategories(network, find_categories(only, network.config.categories), excluded=excluded)
        return Method(
            network=ClassAgnostic(network) if self._config.class_agnostic else network,
            config=settle_scores(self._config, classifies_boxes=network.classifies_boxes),
            device=self._device,
            precision=choose_precision(self._run.precision, self._device),
            library="torch" if self._openvino is None else f"OpenVINO {version_of('openvino')}",
            feature_budget=self._run.feature_budget_mb * MEGABYTE,
            reduces=True,
        )


def _count_frames(video: Video, first: Window) -> int:
    """Return the number of frames of a video. If it has several windows, it is decoded completely."""
    return first.indices.stop if first.is_last else video.count_frames()


def _read_detections(path: Path, video: Video) -> Callable[[int], VideoDetections]:
    """Read the detections of another program.

    Raises:
        VisError: The file cannot be read, or has no detections.
    """
    file = read_detection_file(path)
    return lambda num_frames: locate_detections(file, video, num_frames)


def _detector_takes_part(
    guidance: Guidance | None,
    detections: str | Path | Detections | None,
    prompts: Sequence[Prompt],
    *,
    also_detect: bool,
) -> bool:
    """Return whether these arguments need the detector of the model."""
    return uses_detector(
        has_masks=guidance is not None,
        has_detections=detections is not None,
        has_prompts=bool(prompts),
        also_detect=also_detect,
    )


def _require_compatible(
    guidance: Guidance | None,
    detections: Detections | None,
    prompts: Sequence[Prompt],
    *,
    also_detect: bool,
    detects: bool,
) -> None:
    """Check that the arguments do not exclude each other.

    Raises:
        VisError: Two of them do.
        ValueError: The arguments need the detector of the model, but `detects` is False.
    """
    if guidance is not None and prompts:
        raise VisError("guidance and prompts are both given", hint="Omit one of them.")
    if guidance is not None and detections is not None and not also_detect:
        raise VisError("guidance and detections are both given", hint="Omit one of them, or use also_detect.")
    if also_detect and guidance is None and not prompts:
        raise VisError("also_detect needs guidance or prompts", hint="Omit also_detect: objects are detected.")
    if not detects and _detector_takes_part(guidance, detections, prompts, also_detect=also_detect):
        raise ValueError("the detector of the model is not loaded, because detects is False")


def _ignore(stage: str, done: int, total: int) -> None:
    """Drop the progress."""
