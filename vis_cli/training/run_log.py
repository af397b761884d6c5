"""What a run leaves to look at: log.jsonl, and scalars and pictures for TensorBoard where it is installed.

Used by the trainer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path, describe_failure

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_NAME, BOARD_NAME = "log.jsonl", "tensorboard"


class RunLog:
    """Write a run's figures and pictures; one that is silent belongs to a process that is not the first."""

    def __init__(self, out: Path, board: SummaryWriter | None, *, silent: bool) -> None:
        """Take where to write."""
        self._path, self._board, self._silent = out / LOG_NAME, board, silent

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the figures of a step.

        Raises:
            VisError: the disk is full.
        """
        if self._silent:
            return
        record = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise VisError(describe_failure(self._path, error)) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    @property
    def shows_pictures(self) -> bool:
        """Tell whether pictures are kept."""
        return self._board is not None

    def show(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Keep a picture (H, W, 3)."""
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")


@contextmanager
def open_log(out: Path, step: int, *, silent: bool) -> Iterator[RunLog]:
    """Open the log of a run that goes on from a step; what it had written of later steps is gone."""
    if silent:
        yield RunLog(out, None, silent=True)
        return
    _cut_log(out / LOG_NAME, step)
    board = _open_board(out / BOARD_NAME, step)
    try:
        yield RunLog(out, board, silent=False)
    finally:
        if board is not None:
            board.close()


def has_tensorboard() -> bool:
    """Tell whether TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401 - it raises where the package is missing
    except ImportError:
        return False
    return True


def _open_board(folder: Path, step: int) -> SummaryWriter | None:
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step)


def _cut_log(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.startswith("{") and line.endswith("}") and json.loads(line)["step"] < step]
    if len(kept) < len(lines):
        with atomic_path(path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
