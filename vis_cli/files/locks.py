"""Hidden temporary files that are also locks. They have random names and are opened exclusively.

Used by `atomic` and by the commands that write to one folder for a long time.

A process holds a file lock on each of its temporary files. The kernel frees the lock when the process ends, even after
SIGKILL. A temporary file without a lock is therefore a leftover of a process that has ended, and a later process
removes it. A temporary file with a lock belongs to a running process. Processes in different containers see each
other, because the lock belongs to the file.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import random
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.signals import add_cleanup

KEPT_STEM = 30  # characters of the final name; a temporary name with all of a long name would be too long
KEPT_SUFFIX = 16  # characters; a longer "extension" is a name with a dot
TRIES = 5  # two processes that start at the same moment both release the lock and wait for a random time
PAUSE = (0.01, 0.08)  # seconds
FOLDER_STEM = "in-use"  # name of the lock of a folder
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF})  # network file systems

_TEMPORARY = re.compile(r"\..*\.tmp-[0-9a-f]{16}(\..*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A temporary file of this process, open and locked."""

    path: Path
    descriptor: int
    inode: tuple[int, int]  # device and inode, which identify the file even if it is renamed

    def is_in_place(self) -> bool:
        """Return whether the path still refers to this file."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self.inode


_held: dict[tuple[int, int], Reservation] = {}


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Lock a file or an existing folder for writing until the body ends.

    The lock is a hidden empty file, next to the file or in the folder. The body may use `atomic_path(path)`.

    Raises:
        VisError: Another process holds the lock.
        OSError: The lock cannot be created.
    """
    folder, name = (path, FOLDER_STEM) if path.is_dir() else (path.parent, path.name)
    reservation = reserve(folder, name, shown=path)
    try:
        yield
    finally:
        release(reservation)


def reserve(folder: Path, name: str, *, shown: Path) -> Reservation:
    """Create the temporary file of `name` in `folder`, and remove the temporary files of processes that have ended.

    Args:
        folder: An existing folder.
        name: Final name of the file that is written.
        shown: Path to print in the error message.

    Raises:
        VisError: Another process writes the same name.
        OSError: The file cannot be created.
    """
    for _ in range(TRIES):
        reservation = create(folder, name)
        try:
            if not remove_leftovers(folder, name):
                return reservation
        except BaseException:
            release(reservation)
            raise
        release(reservation)
        time.sleep(random.uniform(*PAUSE))
    problem = f"cannot write {shown}: another process writes it"
    raise VisError(problem, hint="Wait for its end, or use another output.")


def create(folder: Path, name: str) -> Reservation:
    """Create and lock a temporary file with a random hidden name and the file extension of `name`.

    Raises:
        OSError: The file cannot be created.
    """
    stem, suffix = _labels(name)
    while True:
        path = folder / f"{stem}{secrets.token_hex(8)}{suffix}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with suppress(OSError):  # a file system without locks: no process removes files there
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            reservation = Reservation(path, descriptor, (found.st_dev, found.st_ino))
            _held[reservation.inode] = reservation
        except FileExistsError:
            continue
        except BaseException:  # including a signal: the name is known before the file exists
            path.unlink(missing_ok=True)
            raise
        if reservation.is_in_place():
            return reservation
        release(reservation)  # another process removed it as a leftover before this process held the lock


def release(reservation: Reservation) -> None:
    """Remove the temporary file if it still has its temporary name, and free the lock."""
    if reservation.is_in_place():
        reservation.path.unlink(missing_ok=True)
    if _held.pop(reservation.inode, None) is not None:
        os.close(reservation.descriptor)


def remove_leftovers(folder: Path, name: str | None = None) -> bool:
    """Remove the temporary files in `folder` whose process has ended.

    Returns:
        True if another process writes `name` now.
    """
    try:
        entries = [entry.name for entry in folder.iterdir()]
    except (PermissionError, FileNotFoundError):  # a folder with permission to write but not to list
        return False
    stem, suffix = ("", "") if name is None else _labels(name)
    has_rival = False
    for entry in entries:
        if _TEMPORARY.fullmatch(entry) and _is_in_use(folder / entry):
            has_rival |= name is not None and entry.startswith(stem) and entry[len(stem) + 16 :] == suffix
    return has_rival


def _is_in_use(path: Path) -> bool:
    """Return whether another process holds this temporary file. Remove the file if no process holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # removed, a symlink, or a file of another user
        return False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) in _held:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if Reservation(path, descriptor, (found.st_dev, found.st_ino)).is_in_place():
            path.unlink(missing_ok=True)
    except OSError as error:
        return error.errno not in NO_LOCKS and not isinstance(error, PermissionError)
    finally:
        os.close(descriptor)
    return False


def _labels(name: str) -> tuple[str, str]:
    """Return the text before and after the random part of the temporary names of `name`."""
    path = Path(name)
    stem, suffix = (path.stem, path.suffix) if len(path.suffix) <= KEPT_SUFFIX else (name, "")
    if len(stem) > KEPT_STEM:  # the checksum keeps the temporary names of different names apart
        stem = f"{stem[:KEPT_STEM]}~{zlib.crc32(os.fsencode(name)):08x}"
    return f".{stem}.tmp-", suffix


def _release_all() -> None:
    """Remove temporary files that remain because a signal arrived while one was created or released."""
    for reservation in list(_held.values()):
        with suppress(OSError):
            release(reservation)


def _close_inherited() -> None:
    """Close the locks in a forked process, because it would hold them after its parent has ended."""
    for reservation in _held.values():
        os.close(reservation.descriptor)
    _held.clear()


atexit.register(_release_all)
add_cleanup(_release_all)
os.register_at_fork(after_in_child=_close_inherited)
