"""A video made of coloured rectangles and a network that knows colours, so that the paradigm itself is tested.

Every verb is deterministic and exact: an object is its colour, and propagation finds the colour it memorised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vis_cli.engine.segmenter import Segmenter
from vis_cli.network.config import ModelConfig
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.types import Category, ModelInfo, VideoResult
from vis_cli.settings import PAPER, RunSettings
from vis_cli.zoo.weights import LoadedModel

HEIGHT, WIDTH = 24, 32
GREY = 128
PALETTE = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0))  # of the objects 0, 1, 2, 3
LABELS = (1, 2, 3, 1)  # objects 0 and 3 are of one class
CATEGORIES = (Category(7, "warm"), Category(3, "leaf"), Category(9, "sky"))
TOLERANCE = 40.0

Box = tuple[int, int, int, int]  # x0, y0, x1, y1, ends excluded


def draw_frame(index: int, boxes: dict[int, Box], *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.uint8]:
    """Draw the objects on grey, later ones on top; the corner pixel holds the frame's number."""
    frame = np.full((*size, 3), GREY, dtype=np.uint8)
    for colour, (x0, y0, x1, y1) in boxes.items():
        frame[y0:y1, x0:x1] = PALETTE[colour]
    frame[0, 0] = index
    return frame


def moving_boxes(num_frames: int) -> list[dict[int, Box]]:
    """Move object 0 to the right and object 1 to the left, in separate rows."""
    return [{0: (2 + t, 3, 10 + t, 9), 1: (20 - t, 13, 28 - t, 21)} for t in range(num_frames)]


@dataclass
class FakeVideo:
    """Offer frames from memory as `records.video.Video` does, and count what is asked for."""

    frames: Sequence[NDArray[np.uint8]]
    name: str = "clip"
    path: Path = Path("clip.mp4")
    fps: float = 12.0
    num_frames: int | None = None
    part: None = None
    frame_names: None = None
    time_base: Fraction = Fraction(1, 12)
    decoded: list[int] = field(default_factory=list)

    @property
    def height(self) -> int:
        return self.frames[0].shape[0] if self.frames else HEIGHT

    @property
    def width(self) -> int:
        return self.frames[0].shape[1] if self.frames else WIDTH

    def count_frames(self) -> int:
        return len(self.frames)

    def frame_pts(self, number: int) -> int:
        return number

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        for index, frame in enumerate(self.frames):
            self.decoded.append(index)
            yield frame


def make_video(boxes: Sequence[dict[int, Box]], *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> FakeVideo:
    return FakeVideo([draw_frame(index, objects, size=size) for index, objects in enumerate(boxes)])


class FakeNetwork(nn.Module):
    """Implement the verbs of VideoNetwork by colour, and remember each call by the frame's number."""

    classifies_boxes = True
    reads_video = False

    def __init__(self, *, scores: Sequence[float] = (0.9, 0.8, 0.7, 0.6), short_side: int = HEIGHT) -> None:
        super().__init__()
        self.config = ModelConfig(
            name="fake", backbone="none", categories=CATEGORIES, short_side=short_side, long_side=WIDTH
        )
        self.scores = scores  # of the objects' detections
        self.blur = 0.0  # how far detected masks are from certain
        self.blind_frames: set[int] = set()  # where nothing is detected
        self.lost_frames: set[int] = set()  # where propagation finds nothing
        self.half_frames: set[int] = set()  # where it finds the left half of an object
        self.encoded: list[int] = []
        self.only_propagated: list[int] = []  # of the encoded frames: without the features of the detector
        self.detected: list[int] = []
        self.memorized: list[tuple[int, Tensor]] = []
        self.propagated: list[tuple[int, list[int]]] = []  # frame, frames in the memory
        self.classified: list[tuple[int, Tensor]] = []
        self.boxed: list[tuple[int, Tensor]] = []  # frame, boxes whose masks were asked for

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        assert images.shape[0] == 1
        assert images.dtype == torch.float32
        self.encoded.append(_number(images))
        return FrameFeatures((images, images[:, :, ::2, ::2]), images, images, (images.shape[2], images.shape[3]))

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        self.only_propagated.append(_number(images))
        return self.encode_frames(images).for_propagation()

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        nothing = features.pyramid[0][:, :, :1, :1]
        return QueryFeatures(nothing, nothing, nothing, features.pyramid[0], features.image_size)

    def detect(
        self,
        features: FrameFeatures,
        *,
        score_threshold: float,
        nms_iou: float,
        max_instances: int,
    ) -> Detections:
        assert len(features.pyramid) == 2
        image, number = features.pyramid[0], _number(features.pyramid[0])
        self.detected.append(number)
        masks = torch.stack([_of_colour(image, colour) for colour in PALETTE])
        order = sorted(range(len(PALETTE)), key=lambda index: -self.scores[index])
        found = [index for index in order if masks[index].any() and self.scores[index] >= score_threshold]
        found = [] if number in self.blind_frames else found[:max_instances]
        probs = masks[found].float() * (1.0 - self.blur)
        labels = torch.tensor([LABELS[index] for index in found], dtype=torch.int64)
        scores = torch.tensor([self.scores[index] for index in found])
        class_probs = torch.zeros(len(found), len(CATEGORIES) + 1)
        class_probs[range(len(found)), labels] = scores
        class_probs[:, 0] = 1.0 - scores
        return Detections(torch.zeros(len(found), 4), scores, labels, class_probs, probs)

    detect_objects = detect

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        assert len(features.pyramid) == 2
        self.classified.append((_number(features.pyramid[0]), boxes))
        rows = [self._class_probs(features.pyramid[0], box) for box in boxes.long().tolist()]
        return torch.stack(rows) if rows else torch.zeros(0, len(CATEGORIES) + 1)

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the colour of the centre of each box, inside of the box."""
        assert len(features.pyramid) == 2
        self.boxed.append((_number(features.pyramid[0]), boxes))
        masks = torch.zeros(len(boxes), *features.image_size)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.round().int().tolist(), strict=True):
            colour = features.pyramid[0][0, :, (y0 + y1) // 2, (x0 + x1) // 2]
            mask[y0:y1, x0:x1] = _of_colour(features.pyramid[0], tuple(colour.tolist()))[y0:y1, x0:x1].float()
        return masks

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        number = _number(features.pyramid[0])
        self.memorized.append((number, masks.clone()))
        colours = torch.einsum("nhw,chw->nc", masks, features.pyramid[0][0])
        value = torch.cat([colours, masks.sum(dim=(1, 2))[:, None]], dim=1)  # (N, 4): sum of colours, weight
        return MemoryEntry(torch.full((len(masks), 1, 1, 1), float(number)), value[:, :, None, None])

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        return [self.propagate_one(query, memory) for memory in memories]

    def propagate_one(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
        frames = [int(number) for number in memory.key[0, 0, :, 0, 0]]
        self.propagated.append((_number(query.skip2), frames))
        if _number(query.skip2) in self.lost_frames:
            return torch.full((len(memory.value), *query.image_size), 0.02)
        total = memory.value[:, :, :, 0, 0].sum(dim=2)  # (N, 4)
        colours = total[:, :3] / total[:, 3:].clamp(min=1e-6)
        masks = torch.stack([_of_colour(query.skip2, tuple(colour.tolist())) for colour in colours])
        if _number(query.skip2) in self.half_frames:
            seen = masks.any(dim=1).long().cumsum(dim=1)  # (N, w): columns of the object so far
            masks = masks & (seen <= seen[:, -1:] // 2)[:, None]
        return 0.02 + 0.93 * masks.float()

    def _class_probs(self, image: Tensor, box: list[int]) -> Tensor:
        x0, y0, x1, y1 = box
        inside = image[:, :, y0:y1, x0:x1]
        counts = [int(_of_colour(inside, colour).sum()) for colour in PALETTE]
        probs = torch.full((len(CATEGORIES) + 1,), 0.05)
        probs[LABELS[int(np.argmax(counts))]] = 0.85
        return probs


def make_segmenter(
    network: FakeNetwork | None = None, *, run: RunSettings | None = None, **config: object
) -> Segmenter:
    """Build a segmenter around a fake network, in float32 on the CPU; every detection starts a sequence."""
    loaded = LoadedModel(network or FakeNetwork(), ModelInfo("fake", "0" * 64))
    settings = dataclasses.replace(PAPER, **({"early_reduction_iou": 1.0} | config))  # type: ignore[arg-type]
    return Segmenter(loaded, config=settings, run=run or RunSettings(device="cpu", precision="float32"))


def segment(video: FakeVideo, network: FakeNetwork | None = None, **config: object) -> VideoResult:
    return make_segmenter(network, **config).segment(video)  # type: ignore[arg-type]


def drawn_masks(video: FakeVideo, colour: int) -> list[NDArray[np.bool_]]:
    """Return where an object is truly seen, (H, W) for each frame."""
    return [(frame == PALETTE[colour]).all(axis=2) for frame in video.frames]


def _number(images: Tensor) -> int:
    return int(images[0, 0, 0, 0])


def _of_colour(image: Tensor, colour: tuple[float, ...]) -> Tensor:
    wanted = torch.tensor(colour)[:, None, None]
    return ((image[0] - wanted).abs() < TOLERANCE).all(dim=0)
