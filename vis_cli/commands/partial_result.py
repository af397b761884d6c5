"""Masks and state of a video while it is segmented, in a hidden folder next to its result; used by `batch`.

A video with several windows resumes after an interruption. The folder contains the masks of its finished windows and
the state after the last one. It is removed when the result is complete. A video with one window has no folder: its
masks are in a temporary file without a name.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.files.atomic import named_failures
from vis_cli.files.hashing import sha256_of_text
from vis_cli.files.limits import KIB, MAX_NAME_BYTES
from vis_cli.records.mask_spool import MaskSpool
from vis_cli.records.segmentations import Segmentations

if TYPE_CHECKING:
    from vis_cli.engine.finished import FinishedWindow
    from vis_cli.engine.video_run import VideoRun

SUFFIX = ".part"
MASKS, STATE, NEW_STATE = "masks", "state", "new-state"  # files in the folder
MAX_HEAD = 4 * KIB  # bytes of the first line of a state
STATE_VERSION = 1  # of the fields in `engine.saved_state`. Change it with these fields


class PartialResult:
    """The unfinished result of one video. Use it as a context manager around the segmentation and its result."""

    def __init__(
        self, result: Path, production: Mapping[str, object], mask_size: tuple[int, int], reporter: Reporter
    ) -> None:
        """Prepare the masks of a new result. Nothing is written before the first window.

        Args:
            result: File of the result. Only this process writes it.
            production: JSON values that determine the result: another run resumes only if they are equal.
            mask_size: (H, W) of the video.
            reporter: Prints why an earlier state is not used.
        """
        self._result = result
        self._folder = partial_folder(result)
        self._production = sha256_of_text(json.dumps(production, sort_keys=True, default=str))
        self._mask_size = mask_size
        self._reporter = reporter
        self._file: BinaryIO | None = None
        self._spool: MaskSpool | None = None

    def __enter__(self) -> PartialResult:
        """Return the partial result."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the masks. The folder stays after an exception, if a state is in it."""
        if self._file is not None:
            self._file.close()
        if not (self._folder / STATE).exists():
            remove_partial(self._result)

    def resume(self, run: VideoRun) -> int:
        """Continue with the state of an interrupted run. Return the number of its finished windows, 0 without a state.

        Raises:
            VisError: The state cannot be read, or the path of the folder belongs to something else.
        """
        if self._folder.is_symlink() or (self._folder.exists() and not self._folder.is_dir()):
            raise VisError(f"cannot write {self._folder}: it is not a folder", hint="Remove it, or use another -o DIR.")
        if not self._folder.exists():
            return 0
        problem = self._restore(run)
        if problem is None:
            return run.num_windows
        if problem:
            self._reporter.warn(f"{self._folder}: {problem}. The video is segmented from its first frame.")
        self._close()
        remove_partial(self._result)
        return 0

    def collect(self, run: VideoRun) -> Iterator[FinishedWindow]:
        """Segment the remaining windows. Yield each one after its masks and the state are written.

        Raises:
            VisError: The masks or the state cannot be written.
        """
        for window in run.iter_windows():
            is_temporary = self._spool is None and window.is_last
            with _storing_masks() if is_temporary else named_failures(self._folder):
                spool = self._spool or self._open(is_temporary=is_temporary)
                for sequence in window.sequences:
                    spool.append(sequence.id, sequence.masks)
                if not window.is_last:
                    self._save(run, spool)
            yield window

    def segmentations(self, num_frames: int) -> dict[int, Segmentations]:
        """Return the masks by the id of the object. They can be read until the end of the context."""
        return {} if self._spool is None else self._spool.segmentations(num_frames)

    def complete(self) -> None:
        """Remove the folder after the result is written. The masks can still be read."""
        remove_partial(self._result)

    def _open(self, *, is_temporary: bool = False, is_resumed: bool = False) -> MaskSpool:
        """Open the file of the masks, empty or with the masks of an interrupted run."""
        if is_temporary:
            unbuffered = tempfile.TemporaryFile(prefix="vis-masks-", buffering=0)  # noqa: SIM115 - `__exit__` closes
            self._file = cast("BinaryIO", unbuffered)
        else:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / MASKS
            path.touch()
            self._file = cast("BinaryIO", path.open("r+b", buffering=0))
            if not is_resumed:
                self._file.truncate()
        self._spool = MaskSpool(self._file, self._mask_size)
        return self._spool

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._spool = None

    def _save(self, run: VideoRun, spool: MaskSpool) -> None:
        """Replace the state. A process that is killed leaves the earlier state."""
        state = run.save()
        head = {
            "production": self._production_of(run),
            "masks": [spool.num_bytes, spool.checksum],
            "state": [len(state), zlib.crc32(state)],
        }
        new = self._folder / NEW_STATE
        with new.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.write(state)
        new.replace(self._folder / STATE)

    def _restore(self, run: VideoRun) -> str | None:
        """Restore the state. Return None, or the reason why it is not used; an empty reason needs no warning."""
        try:
            with (self._folder / STATE).open("rb") as file:
                head = _parse_head(file.readline(MAX_HEAD))
                state = file.read()
        except FileNotFoundError:
            return ""  # interrupted before the first state
        except OSError as error:
            raise VisError(f"cannot read {self._folder / STATE}: {error.strerror}", hint="Remove it.") from error
        if head is None:
            return "the state of an interrupted run is damaged"
        production, masks, size_and_checksum = head
        if production != self._production_of(run):
            return "the interrupted run had another video, model, setting, input or version"
        with named_failures(self._folder):
            spool = self._open(is_resumed=True)
            is_complete = size_and_checksum == (len(state), zlib.crc32(state)) and spool.restore(*masks)
        if not is_complete:
            return "the state of an interrupted run is damaged"
        run.restore(state)
        return None

    def _production_of(self, run: VideoRun) -> str:
        return sha256_of_text(f"{STATE_VERSION} {self._production} {run.numerics}")


def partial_folder(result: Path) -> Path:
    """Return the hidden folder for the unfinished parts of a result."""
    name = f".{result.name}{SUFFIX}"
    if len(name.encode(errors="surrogateescape")) > MAX_NAME_BYTES:
        name = f".{sha256_of_text(result.name)}{SUFFIX}"
    return result.with_name(name)


def remove_partial(result: Path) -> None:
    """Remove the unfinished parts of a result, if there are any."""
    shutil.rmtree(partial_folder(result), ignore_errors=True)


@contextmanager
def _storing_masks() -> Iterator[None]:
    """Report each OSError of the body as a temporary file that cannot be written.

    Raises:
        VisError: The body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir() if tempfile.tempdir else "a temporary folder"
        problem = f"cannot store masks in {folder}: {error.strerror}"
        raise VisError(problem, hint="Set TMPDIR to a folder with more space.") from error


def _parse_head(line: bytes) -> tuple[str, tuple[int, int], tuple[int, int]] | None:
    """Return the production, and size and checksum of the masks and of the state. None: the line is damaged."""
    with suppress(ValueError, KeyError, TypeError):
        head = json.loads(line)
        (num_bytes, checksum), (size, of_state) = head["masks"], head["state"]
        numbers = num_bytes, checksum, size, of_state
        if all(type(number) is int and number >= 0 for number in numbers):
            return str(head["production"]), (num_bytes, checksum), (size, of_state)
    return None
