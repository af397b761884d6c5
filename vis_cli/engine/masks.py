"""From the network's size to the video's: masks as RLE, sequences as instances; used by `propose` and `segmenter`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.frames import Size
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.records.types import Category, InstanceSequence, Rle

HALF_COVERED = 0.5  # a pixel belongs to an enlarged binary mask if more than half of it does


def encode_probs(probs: NDArray[np.float32], video: Size, threshold: float) -> Rle | None:
    """Bring the probabilities (h, w) of one object to the video's size, then binarise: an RLE, or None if empty.

    Bilinear, without antialiasing, pixel centres half a pixel in. Only the box is computed outside of which no
    pixel can exceed `threshold`, so a small object in a 4K video costs little.
    """
    above = probs > threshold
    if not above.any():
        return None  # interpolation lies between its inputs
    rows = _Axis(np.flatnonzero(above.any(axis=1)), probs.shape[0], video[0])
    columns = _Axis(np.flatnonzero(above.any(axis=0)), probs.shape[1], video[1])
    by_column = np.ascontiguousarray(rows.interpolate(probs).T)  # (w, H of the box)
    mask = np.zeros(video[::-1], dtype=np.bool_)  # (W, H): RLE runs down the columns
    mask[columns.box, rows.box] = columns.interpolate(by_column) > threshold
    return encode_mask(mask.T) if mask[columns.box, rows.box].any() else None


def enlarge_masks(proposals: SequenceProposals, size: Size, video: Size) -> SequenceProposals:
    """Resize masks of the padded input, whose frame is (h, w) = `size`, to the size of the video.

    See docs/explanation/authors-implementation.md#fact-36.
    """
    segmentations = tuple(
        tuple(None if rle is None else _enlarge(decode_rle(rle), size, video) for rle in masks)
        for masks in proposals.segmentations
    )
    return dataclasses.replace(proposals, segmentations=segmentations)


def _enlarge(mask: NDArray[np.bool_], size: Size, video: Size) -> Rle | None:
    return encode_probs(mask[: size[0], : size[1]].astype(np.float32), video, HALF_COVERED)


def make_instances(
    proposals: SequenceProposals, categories: Sequence[Category], *, reported_score: float
) -> tuple[InstanceSequence, ...]:
    """Name the class of each sequence: its best one, beside all that score at least `reported_score`."""
    instances = []
    for row, scores in enumerate(proposals.class_scores[:, 1:]):
        best = int(scores.argmax())
        reported = {
            category.id: float(score)
            for label, (category, score) in enumerate(zip(categories, scores, strict=True))
            if label == best or score >= reported_score
        }
        instance = InstanceSequence(
            id=proposals.ids[row],
            category_id=categories[best].id,
            score=float(scores[best]),
            category_scores=reported,
            key_frame=proposals.key_frames[row],
            segmentations=proposals.segmentations[row],
        )
        instances.append(instance)
    return tuple(instances)


class _Axis:
    """Interpolate along one axis, for the outputs that one of the inputs `above` the threshold reaches."""

    def __init__(self, above: NDArray[np.intp], num_in: int, num_out: int) -> None:
        position = (np.arange(num_out) + 0.5) * (num_in / num_out) - 0.5
        position = position.clip(0, num_in - 1)  # the border is repeated
        lower = position.astype(np.intp)
        upper = np.minimum(lower + 1, num_in - 1)
        reached = np.flatnonzero((upper >= above[0]) & (lower <= above[-1]))
        first, last = (int(reached[0]), int(reached[-1])) if len(reached) else (0, -1)
        self.box = slice(first, last + 1)
        self._lower, self._upper = lower[self.box], upper[self.box]
        self._weight = (position - lower)[self.box].astype(np.float32)[:, None]

    def interpolate(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate (in, M) to (out in the box, M); whole rows are copied, which is fast."""
        result = values[self._lower]
        result += (values[self._upper] - result) * self._weight
        return result
