"""Scratch folder of a run: copies of remote videos, and results before their upload.

Used by `remote_place` and `staging`. A run removes its folder at its end. After SIGKILL, the next run with the same
parent folder removes it: the kernel has freed its lock.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType

from vis_cli.errors import VisError
from vis_cli.files.atomic import named_failures
from vis_cli.files.locks import exclusive_lock, release, reserve

PREFIX = "vis-batch-"


class Scratch:
    """Folder that is created at its first use. Use it as a context manager, which removes it."""

    def __init__(self, parent: Path | None) -> None:
        """Store the parent folder. None: the folder for temporary files."""
        self._parent = Path(tempfile.gettempdir()) if parent is None else parent
        self._stack = ExitStack()

    @cached_property
    def folder(self) -> Path:
        """Return the folder.

        Raises:
            VisError: It cannot be created.
        """
        name = f"{PREFIX}{secrets.token_hex(8)}"
        with named_failures(self._parent):
            self._parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self._parent)
            self._stack.enter_context(exclusive_lock(self._parent / name))  # before the folder exists
            folder = self._parent / name
            folder.mkdir(mode=0o700)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def make(self, name: str) -> Path:
        """Create a folder for one video with a free name.

        Raises:
            VisError: It cannot be created.
        """
        folder = self.folder / f"{name}-{secrets.token_hex(4)}"
        with named_failures(folder):
            folder.mkdir()
        return folder

    def __enter__(self) -> Scratch:
        """Return the scratch folder."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        self._stack.close()


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of runs that were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            reservation = reserve(parent, folder.name, shown=folder)
        except VisError:  # its run is still running
            continue
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            release(reservation)
