"""Detection of out-of-memory errors of all libraries. Used by `trainer`, `step` and `loading`."""

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
    """A step does not fit into memory. The state of the run is the same as before the step."""


def is_shortage(error: BaseException) -> bool:
    """Check whether an exception means out of memory."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in WORDS)
