"""Splits and predictions of YouTube-VIS made of rectangles, by hand or at random; used by the tests of `metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tests.metrics.literal_youtube_vis import LiteralObject, Mask
from vis_cli.metrics.youtube_vis import YouTubeVisScore, evaluate_youtube_vis
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation, YouTubeVisVideo
from vis_cli.records.youtube_vis_results import Prediction, PredictionReader

Box = tuple[int, int, int, int]  # y, x, height, width

SIZE = (12, 16)


def paint(box: Box | None, size: tuple[int, int] = SIZE) -> Mask | None:
    """Paint one rectangle; None stays None."""
    if box is None:
        return None
    mask = np.zeros(size, np.bool_)
    y, x, height, width = box
    mask[y : y + height, x : x + width] = True
    return mask


def make_object(
    *boxes: Box | None,
    video: int = 1,
    category: int = 1,
    score: float = 0.0,
    crowd: bool = False,
    areas: Sequence[float | None] | None = None,
    size: tuple[int, int] = SIZE,
) -> LiteralObject:
    masks = [paint(box, size) for box in boxes]
    counted = [None if mask is None else float(mask.sum()) for mask in masks]
    return LiteralObject(video, category, masks, counted if areas is None else list(areas), crowd, score)


def encode(masks: Sequence[Mask | None]) -> tuple[Rle | None, ...]:
    return tuple(None if mask is None else encode_mask(mask) for mask in masks)


def make_split(truths: Sequence[LiteralObject], num_frames: dict[int, int], categories: Sequence[int]) -> YouTubeVis:
    """Make the split of those objects; `num_frames` gives the videos by id."""
    annotations = [
        YouTubeVisAnnotation(10 + i, t.video, t.category, t.crowd, encode(t.masks), tuple(t.areas))
        for i, t in enumerate(truths)
    ]
    sizes = {t.video: mask.shape for t in truths for mask in t.masks if mask is not None}
    videos = [
        YouTubeVisVideo(i, f"v{i}", *reversed(sizes.get(i, SIZE)), tuple(f"v{i}/{f:05d}.jpg" for f in range(n)))
        for i, n in num_frames.items()
    ]
    named = tuple(Category(category, f"c{category}") for category in categories)
    return YouTubeVis(Path("val.json"), tuple(videos), named, tuple(annotations))


def make_readers(predictions: Sequence[LiteralObject]) -> dict[int, PredictionReader]:
    made: dict[int, list[Prediction]] = {}
    for p in predictions:
        made.setdefault(p.video, []).append(Prediction(p.category, p.score, encode(p.masks)))
    return {video: partial(list[Prediction], of_video) for video, of_video in made.items()}


def evaluate(
    predictions: Sequence[LiteralObject],
    truths: Sequence[LiteralObject],
    *,
    num_frames: dict[int, int] | None = None,
    categories: Sequence[int] = (1,),
) -> YouTubeVisScore:
    videos = {item.video: len(item.masks) for item in [*truths, *predictions]} if num_frames is None else num_frames
    return evaluate_youtube_vis(make_split(truths, videos, categories), make_readers(predictions))
