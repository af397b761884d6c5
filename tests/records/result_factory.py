"""Results made of small masks; used by the tests of `records` and `metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult

CATEGORIES = (Category(3, "giant_panda"), Category(7, "cat"))


def make_mask(rows: Sequence[str]) -> NDArray[np.bool_]:
    """Read an (H, W) mask drawn with # and . characters."""
    return np.array([[character == "#" for character in row] for row in rows])


def make_instance(
    instance_id: int,
    masks: Sequence[NDArray[np.bool_] | None],
    *,
    score: float = 0.9,
    category_id: int | None = 7,
    category_scores: dict[int, float] | None = None,
    confident: bool = True,
) -> InstanceSequence:
    scores = {} if category_id is None else {category_id: score}
    return InstanceSequence(
        id=instance_id,
        category_id=category_id,
        score=score,
        category_scores=scores if category_scores is None else category_scores,
        key_frame=0,
        segmentations=tuple(None if mask is None else encode_mask(mask) for mask in masks),
        confident=confident,
    )


def make_result(
    instances: Sequence[InstanceSequence] = (),
    *,
    name: str = "clip",
    size: tuple[int, int] = (4, 6),
    num_frames: int = 1,
    fps: float = 23.976,
    categories: tuple[Category, ...] = CATEGORIES,
    given_masks: str | None = None,
    frame_names: Sequence[str] | None = None,
) -> VideoResult:
    height, width = size
    return VideoResult(
        video=VideoInfo(
            name,
            Path("videos") / name,
            width,
            height,
            fps,
            num_frames,
            frame_names=None if frame_names is None else tuple(frame_names),
        ),
        model=ModelInfo("lite", "ab" * 32),
        config={"num_key_frames": 4, "memory_frames": None, "reduction": "nms"},
        categories=categories,
        instances=tuple(instances),
        given_masks=given_masks,
    )
