"""Recognise that memory ran out, whichever library says so; used by `trainer`, `step` and `loading`."""

from __future__ import annotations

from vis_cli.errors import VisError

WORDS = (  # of torch, CUDA's libraries, OpenCV and the operating system
    "out of memory",
    "allocate memory",
    "not enough memory",
    "insufficient memory",
    "alloc_failed",
    "out of shared memory",
)
REMEDY = "Use a smaller micro_batch_size, canvases or num_frames"


class OutOfMemoryError(VisError):
    """Say that a step did not fit into memory; the run's state is as it was before the step."""


def is_shortage(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in WORDS)
