"""Run a part of a test in a forked process: as separate as a process of its own, without its second of imports."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli import __main__


@dataclass(frozen=True, slots=True)
class Ended:
    """Hold how a process ended and what it wrote into files."""

    code: int
    out: str
    err: str


def run_forked(
    body: Callable[[], None],
    folder: Path,
    *,
    out: Path | None = None,
    err: Path | None = None,
    closed: Sequence[int] = (),
) -> Ended:
    """Call `body` in a forked process.

    Args:
        body: May raise SystemExit.
        folder: For the files that receive stdout and stderr.
        out: Receives stdout in place of a file in `folder`.
        err: Receives stderr in place of a file in `folder`.
        closed: File descriptors that are closed.
    """
    files = {1: out or folder / "stdout", 2: err or folder / "stderr"}
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_call(body, files, closed))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = [path.read_bytes().decode(errors="replace") if path.is_file() else "" for path in files.values()]
    return Ended(code, *texts)


def vis(*arguments: str | Path) -> Callable[[], None]:
    """Return a body that runs a command line of `vis`."""

    def run() -> None:
        sys.argv = ["vis", *map(str, arguments)]
        __main__.main()

    return run


def _call(body: Callable[[], None], files: dict[int, Path], closed: Sequence[int]) -> int:
    for descriptor, path in files.items():
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    for descriptor in closed:
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        None if descriptor in closed else os.fdopen(descriptor, mode, closefd=False)
        for descriptor, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    code: int | str | None = 0
    try:
        body()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 70
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return code if isinstance(code, int) else int(bool(code))
