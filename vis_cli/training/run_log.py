"""Log of a run: log.jsonl, and curves and images for TensorBoard if it is installed. Used by `trainer`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path, named_failures
from vis_cli.files.limits import MAX_LOG_BYTES, MAX_LOG_LINE_BYTES
from vis_cli.files.reading import open_regular

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Note = Callable[[str], None]

LOG_NAME, BOARD_NAME = "log.jsonl", "tensorboard"


class RunLog:
    """Writer of metrics and images. It writes nothing if it is silent, as in all processes except the first."""

    def __init__(self, out: Path, board: SummaryWriter | None, *, silent: bool) -> None:
        """Store the outputs."""
        self._path, self._board, self._silent = out / LOG_NAME, board, silent

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the metrics of a step.

        Raises:
            VisError: The disk is full.
        """
        if self._silent:
            return
        record = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        with named_failures(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._board is not None:
            with named_failures(self._path.with_name(BOARD_NAME)):
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

    @property
    def shows_images(self) -> bool:
        """Check whether images are written."""
        return self._board is not None

    def show(self, step: int, name: str, image: NDArray[np.uint8]) -> None:
        """Write an RGB image (H, W, 3)."""
        if self._board is not None:
            with named_failures(self._path.with_name(BOARD_NAME)):
                self._board.add_image(name, image, step, dataformats="HWC")


@contextmanager
def open_log(out: Path, step: int, *, silent: bool, note: Note | None = None) -> Iterator[RunLog]:
    """Open the log of a run at a step. Lines of this step and later steps are removed.

    Args:
        out: Folder of the run.
        step: First step to log.
        silent: Write nothing.
        note: Is called with one line if damaged lines are removed.

    Raises:
        VisError: log.jsonl or tensorboard/ has a wrong type, is too large, or cannot be written.
    """
    if silent:
        yield RunLog(out, None, silent=True)
        return
    num_damaged = _cut_log(out / LOG_NAME, step)
    if num_damaged and note is not None:
        note(f"{out / LOG_NAME}: {num_damaged} damaged lines were removed")
    with named_failures(out / BOARD_NAME):
        board = _open_board(out / BOARD_NAME, step)
    try:
        yield RunLog(out, board, silent=False)
    finally:
        if board is not None:
            with named_failures(out / BOARD_NAME):
                board.close()


def has_tensorboard() -> bool:
    """Check whether TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401 - raises if the package is missing
    except ImportError:
        return False
    return True


def _open_board(folder: Path, step: int) -> SummaryWriter | None:
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step)


def _cut_log(path: Path, step: int) -> int:
    """Keep the lines of the steps before `step`. Return the number of damaged lines, without the last line."""
    if not path.exists():
        return 0
    num_damaged, is_damaged = 0, False
    with named_failures(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_LOG_BYTES:
            raise VisError(f"cannot read {path}: it has {size:,} bytes, the limit is {MAX_LOG_BYTES:,}. Move it away.")
        with atomic_path(path) as temporary, temporary.open("wb") as kept:
            for line in iter(lambda: file.readline(MAX_LOG_LINE_BYTES), b""):
                of_step = _step_of(line)
                is_damaged = of_step is None
                num_damaged += is_damaged
                if of_step is not None and of_step < step:
                    kept.write(line)
    return num_damaged - is_damaged  # a crash can cut the last line


def _step_of(line: bytes) -> int | None:
    """Return the step of a line, or None for a damaged line."""
    if not line.endswith(b"}\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = record.get("step") if isinstance(record, dict) else None
    return step if type(step) is int else None
