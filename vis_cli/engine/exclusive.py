"""Exclusive masks: each pixel of a frame belongs to at most one instance; used by `segmenter`.

Objects of one key frame compete in soft aggregation. Sequences of different key frames do not, because they can be the
same object. After the reduction, each remaining sequence is one object. Then they compete here: a confident sequence
wins, then the sequence with the highest mask probability, then the better sequence. A mask that the user gave is
certain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vis_cli.engine.packed_probs import PackedProbs
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import Rle, decode_rle, encode_mask, pairwise_intersections

CONFIDENT_BONUS = 2.0  # more than any probability


def make_exclusive(proposals: SequenceProposals, *, confident_score: float = 0.0) -> SequenceProposals:
    """Let the sequences compete for each pixel that several of them contain.

    Args:
        proposals: N sequences in descending order of score, with the mask probabilities of each frame. A mask without
            probabilities was given by the user and does not change.
        confident_score: A sequence with at least this score gets a pixel before all others. Otherwise an instance that
            overlays hide would cut holes into visible ones.

    Returns:
        The same sequences. No pixel belongs to two of them. A mask without a remaining pixel is None.
    """
    frames = zip(zip(*proposals.segmentations, strict=True), zip(*proposals.probs, strict=True), strict=True)
    bonus = np.where(proposals.scores >= confident_score, CONFIDENT_BONUS, 0.0).astype(np.float32)
    exclusive = [_share_pixels(masks, probs, bonus) for masks, probs in frames]
    segmentations = tuple(zip(*exclusive, strict=True))
    return dataclasses.replace(proposals, segmentations=segmentations)


def _share_pixels(
    masks: Sequence[Rle | None], probs: Sequence[PackedProbs | None], bonus: NDArray[np.float32]
) -> tuple[Rle | None, ...]:
    """Return the masks of one frame without their common pixels, except for the winner of each pixel.

    `bonus` (N,) is added to the probabilities of each sequence.
    """
    common = pairwise_intersections(masks, masks)
    np.fill_diagonal(common, 0)
    rivals = np.flatnonzero(common.any(axis=1)).tolist()
    if not rivals:
        return tuple(masks)
    decoded = np.stack([decode_rle(rle) for row in rivals if (rle := masks[row]) is not None])  # (M, H, W)
    contested = np.nonzero(decoded.sum(axis=0) > 1)
    strength = np.stack([_sample(probs[row], contested, decoded.shape[1:]) + bonus[row] for row in rivals])  # (M, P)
    strength[~decoded[:, contested[0], contested[1]]] = -1.0
    winners = strength.argmax(axis=0)  # the first one, which has the best score, wins a tie
    shared = list(masks)
    for index, row in enumerate(rivals):
        decoded[index, contested[0], contested[1]] = winners == index
        shared[row] = encode_mask(decoded[index]) if decoded[index].any() else None
    return tuple(shared)


def _sample(
    probs: PackedProbs | None, pixels: tuple[NDArray[np.intp], ...], size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the probabilities (P,) at pixels (rows, columns) of a frame (H, W) = `size`, with bilinear interpolation.

    F.interpolate (align_corners False), which resizes the masks, gives the same values.
    None is a given mask, which is certain.
    """
    if probs is None:
        return np.full(len(pixels[0]), np.inf, dtype=np.float32)
    rows, columns = (torch.from_numpy(part).float() for part in pixels)
    grid = torch.stack([(2 * columns + 1) / size[1] - 1, (2 * rows + 1) / size[0] - 1], dim=1)[None, None]
    sampled = F.grid_sample(
        probs.unpack()[None, None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    values: NDArray[np.float32] = sampled[0, 0, 0].numpy()
    return values
