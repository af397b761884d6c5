"""Plain settings of the method: every field has its one home, default and name here.

Used by the engine, by the command-line options and by NAME.json, which records them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vis_cli.errors import VisError

KeyFrameSpacing: TypeAlias = Literal["even", "endpoints"]
ScoreFrames: TypeAlias = Literal["all", "visible"]
MaskCanvas: TypeAlias = Literal["video", "network"]
Reduction: TypeAlias = Literal["nms", "soft-nms", "category-aware", "none"]


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise VisError(f"{name} is {value}, but must be {rule}")


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """Hold every setting of the inference (Propose-Reduce, Sec. 3)."""

    num_key_frames: int = 4  # K of Propose-Reduce, Eq. 1
    key_frame_spacing: KeyFrameSpacing = "even"  # "even": Eq. 1; "endpoints": first and last frame included
    short_side: int | None = None  # network input in pixels; None: the size the model was trained at
    long_side: int | None = None
    detection_score: float = 0.5  # lowest class probability of a key-frame detection
    box_nms_iou: float = 0.5
    max_instances: int = 10  # O, at most so many detections a key frame
    mask_nms_iou: float = 0.2
    # A detection that overlaps the mask of a followed sequence by more starts no sequence of its own (early reduction:
    # quick); 1: each detection starts one, as in the paper and its benchmarks.
    followed_iou: float = 0.7
    class_agnostic: bool = False  # every object is one class, as in DAVIS
    resegment_key_frame: bool = False  # the key frame's mask is the propagation's own answer, not the detection
    memory_stride: int = 5  # a propagated frame enters the memory every so many frames
    memory_divisions: int | None = None  # d: the stride is max(T // d, 1) instead, so that long videos fill no more
    memory_previous: bool = False  # the frame before is in the memory, too, as in STM [31]
    memory_frames: int | None = 6  # kept at most, the key frame included; None: unbounded, as in the paper
    # Frames in the mean of Propose-Reduce, Eq. 2: all T frames, or the frames that show the object.
    score_frames: ScoreFrames = "all"
    reduction: Reduction = "nms"
    sequence_iou: float = 0.5  # suppression threshold of sequence NMS (Propose-Reduce, Eq. 3)
    sequence_score: float = 0.05  # lowest score of a sequence in the result, and of each of its categories
    soft_nms_sigma: float = 0.5
    max_sequences: int = 100  # a video
    mask_threshold: float = 0.5
    # Size at which masks are thresholded and compared. "video": probabilities are resized to the video's size, then
    # thresholded. "network": masks of the padded network input; only the masks of the result are resized. Class scores
    # always use masks of the network input.
    mask_canvas: MaskCanvas = "video"

    def __post_init__(self) -> None:
        """Refuse values outside their range with a VisError that names the field."""
        for name in ("num_key_frames", "max_instances", "memory_stride", "max_sequences"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("short_side", "long_side", "memory_divisions", "memory_frames"):
            value = getattr(self, name)
            _require(value is None or value >= 1, name, value, "at least 1")
        for name in (
            "detection_score",
            "box_nms_iou",
            "mask_nms_iou",
            "followed_iou",
            "sequence_iou",
            "sequence_score",
            "mask_threshold",
        ):
            _require(0.0 <= getattr(self, name) <= 1.0, name, getattr(self, name), "between 0 and 1")
        _require(self.soft_nms_sigma > 0.0, "soft_nms_sigma", self.soft_nms_sigma, "above 0")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Hold where and how the method runs; nothing here changes what is found beyond rounding."""

    device: str = "auto"  # auto | cpu | cuda[:n] | mps
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    feature_budget_mb: int = 512  # encoded frames kept for the second sweep
    frame_budget_mb: int = 256  # decoded frames kept at network size


# The inference of the authors' implementation, which differs from the paper.
# See docs/explanation/authors-implementation.md#inference.
RELEASED = SegmentConfig(
    num_key_frames=5,
    key_frame_spacing="endpoints",
    detection_score=0.2,
    followed_iou=1.0,
    resegment_key_frame=True,
    memory_stride=1,
    memory_frames=None,
    score_frames="visible",
    mask_canvas="network",
)

YOUTUBE_VIS = SegmentConfig(
    num_key_frames=6,
    reduction="category-aware",
    # The value of the authors' implementation: unlikely categories increase AP.
    # See docs/explanation/authors-implementation.md#fact-35.
    sequence_score=0.001,
    detection_score=0.2,
    followed_iou=1.0,
    memory_previous=True,
)

PRESETS: dict[str, SegmentConfig] = {
    "default": SegmentConfig(),
    "ytvis2019": YOUTUBE_VIS,
    "ytvis2021": YOUTUBE_VIS,
    "ovis": dataclasses.replace(YOUTUBE_VIS, max_instances=20),
    "davis-uvos": SegmentConfig(
        num_key_frames=4,
        class_agnostic=True,
        reduction="soft-nms",
        max_sequences=20,
        detection_score=0.2,
        followed_iou=1.0,
        memory_previous=True,
    ),
    "released-ytvis": RELEASED,
    "released-davis": dataclasses.replace(
        RELEASED, num_key_frames=8, class_agnostic=True, memory_divisions=10, reduction="soft-nms", max_sequences=20
    ),
}


EXACT_PRESETS = ("released-ytvis", "released-davis")  # to be reproduced: float32 unless another format is asked for


def with_overrides(base: SegmentConfig, overrides: dict[str, object]) -> SegmentConfig:
    """Return `base` with the fields of `overrides` that are not None replaced.

    Raises:
        VisError: a value is outside its range.
    """
    return dataclasses.replace(base, **{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
