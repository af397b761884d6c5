"""Masks of one object in all frames of a video, in memory for the frames between the first and the last mask.

Used by `types` and by every module that makes an `InstanceSequence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Protocol, overload

from vis_cli.records.rle import Rle


class Span(Protocol):
    """The masks from the first to the last mask: a tuple, or masks that are read when they are used."""

    def __len__(self) -> int:
        """Return the number of frames of the span."""

    def __iter__(self) -> Iterator[Rle | None]:
        """Yield the mask of each frame of the span."""

    def __getitem__(self, position: int, /) -> Rle | None:
        """Return the mask at a position of the span, counted from 0."""


class Segmentations(Sequence[Rle | None]):
    """One mask or None for each of T frames, like a tuple with T entries.

    Attributes:
        first_frame: Index of the first frame with a mask. None: no frame has a mask.
        span: The masks from the first to the last frame with a mask. None: the object is absent in this frame.
    """

    __slots__ = ("_num_frames", "first_frame", "span")

    def __init__(self, num_frames: int, first_frame: int | None = None, span: Span = ()) -> None:
        """Store the masks of a span. `segmentations_of` also accepts None at its ends.

        Args:
            num_frames: Number of frames T of the video.
            first_frame: Index of the first frame of the span. None: no frame has a mask.
            span: Its masks. The first and the last entry are masks.

        Raises:
            ValueError: The span is not inside of the video.
        """
        start = first_frame or 0
        if (first_frame is None) != (len(span) == 0) or start < 0 or start + len(span) > num_frames:
            raise ValueError(f"{len(span)} masks from frame {first_frame} do not fit into {num_frames} frames")
        self._num_frames = num_frames
        self.first_frame = first_frame
        self.span = span

    @property
    def last_frame(self) -> int | None:
        """Return the index of the last frame with a mask. None: no frame has a mask."""
        return None if self.first_frame is None else self.first_frame + len(self.span) - 1

    def __len__(self) -> int:
        """Return the number of frames T of the video."""
        return self._num_frames

    @overload
    def __getitem__(self, index: int) -> Rle | None: ...
    @overload
    def __getitem__(self, index: slice) -> Segmentations: ...
    def __getitem__(self, index: int | slice) -> Rle | Segmentations | None:
        """Return the mask of a frame, or the masks of some frames."""
        if isinstance(index, slice):
            return segmentations_of(map(self._at, range(*index.indices(self._num_frames))))
        frame = index + self._num_frames if index < 0 else index
        if not 0 <= frame < self._num_frames:
            raise IndexError(f"frame {index} of {self._num_frames}")
        return self._at(frame)

    def __iter__(self) -> Iterator[Rle | None]:
        """Yield the mask of each frame."""
        before = self.first_frame or 0
        return chain(repeat(None, before), self.span, repeat(None, self._num_frames - before - len(self.span)))

    def __eq__(self, other: object) -> bool:
        """Return whether another sequence has the same masks. It can be a tuple."""
        if isinstance(other, Segmentations):
            sides = (len(self), self.first_frame, len(self.span)), (len(other), other.first_frame, len(other.span))
            return sides[0] == sides[1] and all(a == b for a, b in zip(self.span, other.span, strict=True))
        if isinstance(other, tuple):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # an RLE has no hash

    def __repr__(self) -> str:
        """Return the span as text."""
        return f"Segmentations({self._num_frames}, {self.first_frame}, {tuple(self.span)})"

    def _at(self, frame: int) -> Rle | None:
        position = frame - (self.first_frame or 0)
        return self.span[position] if 0 <= position < len(self.span) else None


def segmentations_of(masks: Iterable[Rle | None], *, num_frames: int | None = None, first: int = 0) -> Segmentations:
    """Return masks without the frames before the first mask and after the last mask.

    Args:
        masks: One mask or None per frame.
        num_frames: Number of frames T of the video. None: the masks cover the complete video.
        first: Index of the frame of the first entry.

    Raises:
        ValueError: The masks do not fit into the video.
    """
    entries = tuple(masks)
    total = first + len(entries) if num_frames is None else num_frames
    present = [index for index, mask in enumerate(entries) if mask is not None]
    if not present:
        return Segmentations(total)
    return Segmentations(total, first + present[0], entries[present[0] : present[-1] + 1])
