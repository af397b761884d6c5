"""Masks as text in a report page, which JavaScript decodes. One part of the text contains a short range of frames.

The text of a part has one line per sequence with a mask in these frames: the index of the sequence, then the counts of
COCO's compressed RLE or `-` for each frame. `*` replaces `<`, because HTML could read `<` as a tag. Counts contain
neither `*` nor `-` nor spaces, so the text needs no further escape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vis_cli.records.rle import Rle

PART_FRAMES = 32  # the page splits one part at a time: 2 ms for 200 sequences
ABSENT = "-"
LESS_THAN, REPLACEMENT = "<", "*"


@dataclass(frozen=True, slots=True)
class MaskPart:
    """The masks of the frames from `first` on."""

    first: int
    text: str


def iter_mask_parts(sequences: Sequence[Sequence[Rle | None]], num_frames: int) -> Iterator[MaskPart]:
    """Yield the masks of all sequences, PART_FRAMES frames at a time. Parts without a mask are omitted."""
    for first in range(0, num_frames, PART_FRAMES):
        frames = range(first, min(first + PART_FRAMES, num_frames))
        lines = []
        for number, masks in enumerate(sequences):
            texts = [_mask_text(masks[frame]) for frame in frames]
            if any(text != ABSENT for text in texts):
                lines.append(f"{number} {' '.join(texts)}")
        if lines:
            yield MaskPart(first, "\n".join(lines))


def _mask_text(rle: Rle | None) -> str:
    return ABSENT if rle is None else rle["counts"].replace(LESS_THAN, REPLACEMENT)
