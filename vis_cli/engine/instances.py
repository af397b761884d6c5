"""Instances of the result from reduced sequence proposals; used by `segmenter`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from vis_cli.engine.frames import Size
from vis_cli.engine.masks import encode_probs
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import Rle, decode_rle
from vis_cli.records.types import Category, InstanceSequence

GIVEN_SCORE = 1.0  # of an object that the user gave
HALF_COVERED = 0.5  # a pixel belongs to a resized binary mask if more than half of it is covered


def make_instances(
    proposals: SequenceProposals, categories: Sequence[Category], *, reported_score: float, confident_score: float
) -> tuple[InstanceSequence, ...]:
    """Assign each sequence its category with the highest score.

    Args:
        proposals: The sequences that remain after the reduction.
        categories: Categories of the labels 1..C.
        reported_score: `category_scores` lists the best category, and all others with at least this score.
        confident_score: Minimum score of a confident instance.
    """
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
            confident=bool(scores[best] >= confident_score),
        )
        instances.append(instance)
    return tuple(instances)


def make_given_instances(proposals: SequenceProposals, category_ids: Mapping[int, int]) -> tuple[InstanceSequence, ...]:
    """Return the sequences of objects that the user gave as instances. Their score is 1.

    Args:
        proposals: The sequences.
        category_ids: Category by the id of the object. An object can have none.
    """
    rows = zip(proposals.ids, proposals.key_frames, proposals.segmentations, strict=True)
    return tuple(
        InstanceSequence(
            id=id_,
            category_id=category_ids.get(id_),
            score=GIVEN_SCORE,
            category_scores={},
            key_frame=key_frame,
            segmentations=segmentations,
        )
        for id_, key_frame, segmentations in rows
    )


def resize_masks(masks: Mapping[int, Rle], size: Size, video: Size) -> dict[int, Rle]:
    """Resize masks of the padded network input, whose frame is (h, w) = `size`, to the size of the video.

    A mask without a remaining pixel is removed. See docs/explanation/authors-implementation.md#fact-36.
    """
    resized = ((index, _resize(rle, size, video)) for index, rle in masks.items())
    return {index: rle for index, rle in resized if rle is not None}


def _resize(rle: Rle, size: Size, video: Size) -> Rle | None:
    mask = torch.from_numpy(decode_rle(rle)[: size[0], : size[1]]).float()
    return encode_probs(mask[None], video, HALF_COVERED)[0]
