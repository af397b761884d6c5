"""What a forked child does: make its case, confine itself, run the command, and end as the interpreter would.

Used by `server`. Nothing here returns to the parent's code.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.robustness.case import HOME, INPUT, SEEDS, TEMPORARY, WORK, Case, write_case
from tests.robustness.snapshot import list_files, take_snapshot

BROKEN = 99  # exit code of a child whose case could not be made: a fault of the harness
MORE_ADDRESSES = 8 * 2**30  # bytes a child may map beyond what it has: it ends itself before the machine suffers
LARGEST_INPUT, LARGEST_OUTPUT = 2**33, 2**31  # bytes of a file


def run_case(build: Callable[[], Case], folder: Path, seeds: Path) -> None:
    """Make a case in `folder` and run it; ends the process."""
    os.setsid()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_INPUT, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        case = build()
        write_case(case, folder / "case.json")
        own_output = named_output(case.argv)
        before = take_snapshot(folder / WORK, without=own_output)
        (folder / "before.json").write_text(json.dumps(before))
        own = [] if own_output is None else list_files(folder / WORK / own_output)
        (folder / "own.json").write_text(json.dumps(own))
        confine(folder)
    except BaseException:
        (folder / "broken.txt").write_text(traceback.format_exc())
        os._exit(BROKEN)
    sys.argv = ["vis", *(argument.replace(SEEDS, str(seeds)) for argument in case.argv)]
    end(run_main())


def named_output(argv: list[str]) -> str | None:
    """Return the path after `-o`, None if there is no `-o` or nothing follows it."""
    return next((path for option, path in pairwise(argv) if option == "-o"), None)


def confine(folder: Path) -> None:
    """Enter the case's folder: its own home and temporary files, captured output, no network, limited resources."""
    os.chdir(folder / WORK)
    (folder / WORK / INPUT).stat()
    nowhere = "http://127.0.0.1:9"
    os.environ.update(HOME=str(folder / HOME), TMPDIR=str(folder / TEMPORARY), http_proxy=nowhere, https_proxy=nowhere)
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR"):
        os.environ[name] = str(folder / HOME / "cache")
    tempfile.tempdir = None
    redirect(folder)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, mapped + MORE_ADDRESSES),
        (resource.RLIMIT_FSIZE, LARGEST_OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def redirect(folder: Path) -> None:
    """Send output to files; what libraries write to descriptor 2 behind Python's back goes to one of its own."""
    for descriptor, name in ((1, "stdout"), (2, "noise")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - of the whole process
    sys.stderr = (folder / "stderr").open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    streams = sys.modules.get("vis_cli.standard_streams")
    if streams is not None:  # the product opens its own stream of messages: on this file, not on the libraries'
        streams.STDERR = sys.stderr.fileno()  # type: ignore[attr-defined]


def run_main() -> int:
    """Run `vis` and return the exit code that the process would have."""
    from vis_cli.app import main

    try:
        main()
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        sys.stderr.write(f"{ending.code}\n")
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(code: int) -> None:
    """Do what the interpreter does at its end, and leave the parent's own clean-up undone."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = 120  # as Python ends when its output cannot be written
    sys.stderr.flush()
    os._exit(code)
