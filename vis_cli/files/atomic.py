"""Atomic writing. A file is written under a temporary name, then renamed, so that it is complete or absent.

Used by every writer of `records`, `network`, `training` and `commands`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from vis_cli.errors import VisError
from vis_cli.files.locks import Reservation, create, exclusive_lock, release, remove_leftovers, reserve

REMEDIES = {
    errno.ENOSPC: "Free disk space or inodes, or use another disk.",
    errno.EDQUOT: "Free a part of your quota, or use another disk.",
    errno.EFBIG: "Raise the limit for the size of a file, or use another file system.",
    errno.EACCES: "Use a folder that you may write to.",
    errno.EPERM: "Use a folder that you may write to.",
    errno.EROFS: "Use a folder that you may write to.",
    errno.ENAMETOOLONG: "Use a shorter name.",
    errno.EISDIR: "Use another name, or remove the folder.",
    errno.ENOTDIR: "Use a path whose parents are folders.",
    errno.EEXIST: "Use a path whose parents are folders.",
    errno.EBADF: "Redirect the stream to a file or a pipe.",
}


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `final`, and rename it to `final` if the body raises no exception.

    The temporary file exists, is empty and is locked. The body opens its path for writing and must not replace the
    file. The name is hidden and keeps the file extension, because some writers choose the format by extension. After an
    exception, `final` is unchanged.

    Missing folders are created. Temporary files of processes that have ended are removed from the folder.

    Raises:
        VisError: Another process writes `final`, or the file cannot be written (no permission, disk full).
    """
    with named_failures(final), created_folders(final.parent):
        yield from _write(reserve(final.parent, final.name, shown=final), final)


class LockedFolder:
    """A folder into which only this process writes many files; made by `atomic_folder`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Store an existing folder that is locked.

        Args:
            folder: The folder.
            stack: It removes folders that are created in the folder and are empty after an exception.
        """
        self._folder = folder
        self._stack = stack
        self._written: list[Path] = []  # files that did not exist before
        self._prepared: set[Path] = set()  # folders without temporary files of ended processes

    @contextmanager
    def atomic_path(self, name: str) -> Iterator[Path]:
        """Write a file of the folder atomically. In contrast to `atomic_path`, do not list the folder for each file.

        Raises:
            VisError: The file cannot be written.
        """
        final = self._folder / name
        with named_failures(final):
            if final.parent not in self._prepared:
                if not final.parent.resolve().is_relative_to(self._folder.resolve()):
                    problem = f"cannot write {final}: a symbolic link leads out of {self._folder}"
                    raise VisError(problem, hint="Remove the link.")
                self._stack.enter_context(created_folders(final.parent))
                remove_leftovers(final.parent)
                self._prepared.add(final.parent)
            existed = final.exists()
            yield from _write(create(final.parent, final.name), final)
            if not existed:
                self._written.append(final)

    def remove_new_files(self) -> None:
        """Remove the written files. A file that replaced another one stays, because the other one is lost."""
        for path in self._written:
            path.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[LockedFolder]:
    """Create a folder for many files, which are written atomically, and lock the folder during the body.

    Raises:
        VisError: Another process writes into the folder, or the folder cannot be created.
    """
    with named_failures(folder), ExitStack() as stack:
        stack.enter_context(created_folders(folder))
        stack.enter_context(exclusive_lock(folder))
        locked = LockedFolder(folder, stack)
        try:
            yield locked
        except BaseException:
            locked.remove_new_files()
            raise


@contextmanager
def created_folders(folder: Path) -> Iterator[None]:
    """Create a folder and its missing parents. After an exception, remove the created folders that are empty."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]  # the deepest first
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # another process has put a file into it
                path.rmdir()
        raise


class SystemFailure(Protocol):
    """Attributes that OSError and the errors of FFmpeg share."""

    @property
    def errno(self) -> int | None:
        """Return the error number of the operating system."""

    @property
    def strerror(self) -> str | None:
        """Return the description of the error."""


def write_error(path: Path | str, error: SystemFailure) -> VisError:
    """Return the error for a file that cannot be written, with a remedy for common causes."""
    cause = error.strerror or str(error) or type(error).__name__
    return VisError(f"cannot write {path}: {cause}", hint=REMEDIES.get(error.errno or 0, ""))


def _write(reservation: Reservation, final: Path) -> Generator[Path, None, None]:
    try:
        yield reservation.path
        # Without fsync, a power failure soon after the rename can leave an empty file under the final name.
        os.fsync(reservation.descriptor)
        if not reservation.is_in_place():
            problem = f"cannot write {final}: the temporary file {reservation.path.name} was removed or replaced"
            raise VisError(problem, hint="Run the same command again.")
        reservation.path.replace(final)
    finally:
        release(reservation)


@contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Report each OSError of the body as a file that cannot be written.

    Raises:
        VisError: The body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error
