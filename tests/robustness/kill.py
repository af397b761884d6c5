"""Interrupt every command at random points: SIGKILL, SIGTERM, and a disk without space or inodes. `make kill N=200`.

After each interruption no file under a final name is incomplete, and the same command run again completes, leaves no
temporary file, and gives the result of an uninterrupted run. Everything is imported once; each run is a forked child.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import pkgutil
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import vis_cli
from tests.robustness.kill_commands import COMMANDS, Command, Contents, leftovers, make_seeds, read_contents
from vis_cli.__main__ import main as run_vis
from vis_cli.files import locks
from vis_cli.signals import Terminated, install_handlers

KILL, TERM, FULL, TMPFS, INODES = "SIGKILL", "SIGTERM", "file size limit", "full disk", "no inodes"
DEADLINE = 120.0  # seconds; a run that takes longer hangs
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock", "os.listdir", "os.scandir")
MOST_INODES = 12


@dataclass(frozen=True, slots=True)
class Fault:
    """Say what happens to a run, and when."""

    kind: str
    event: int | None = None  # at the event of this number, counted from 0 ...
    seconds: float | None = None  # ... or after a time
    limit: int | None = None  # bytes of a file, bytes of the disk, or inodes

    def __str__(self) -> str:
        """Return it in words."""
        when = f"event {self.event}" if self.event is not None else f"{self.seconds:.3f} s" if self.seconds else ""
        return " ".join(filter(None, [self.kind, when, "" if self.limit is None else str(self.limit)]))


@dataclass(frozen=True, slots=True)
class Ending:
    """Hold how a run ended."""

    code: int  # negative: the signal
    err: str
    seconds: float
    num_events: int


@dataclass(frozen=True, slots=True)
class Reference:
    """Hold an uninterrupted run."""

    contents: Contents
    largest: int  # bytes of a file
    total: int  # bytes of all files
    ending: Ending


class Harness:
    """Run commands below a folder, one after the other."""

    def __init__(self, root: Path) -> None:
        """Make the inputs and an uninterrupted run of each command."""
        self._root, self._seeds = root, root / "seeds"
        self._out, self._temporary = root / "work" / "out", root / "tmp"
        for module in pkgutil.walk_packages(vis_cli.__path__, "vis_cli."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        make_seeds(self._seeds, self._run_checked)
        self._references: dict[str, Reference] = {}

    def check(self, command: Command, fault: Fault) -> list[str]:
        """Interrupt a command and run it again; return what is wrong."""
        reference = self._reference(command)
        self._clear()
        with self._disk(fault):
            ending = self._run(self._argv(command), fault)
            problems = [*_judge(ending, fault), *self._judge_files(reference, is_last=False)]
            if fault.kind != KILL:
                problems += [f"leftover {name}" for name in self._leftovers()]
            kept = self._out.with_name("kept")
            shutil.copytree(self._out, kept, symlinks=True)
        shutil.rmtree(self._out)
        kept.rename(self._out)  # from the full disk to one with space
        again = self._run(self._argv(command, again=True), None)
        if again.code != 0:
            problems.append(f"run again: exit {again.code}: {again.err.strip()[-500:]}")
        problems += [f"run again: {problem}" for problem in self._judge_files(reference, is_last=True)]
        return problems + [f"run again: leftover {name}" for name in self._leftovers()]

    def choose_fault(self, command: Command, draw: random.Random) -> Fault:
        """Draw a fault at a point of a run."""
        reference = self._reference(command)
        kind = draw.choice([KILL, KILL, TERM, TERM, FULL, TMPFS, INODES] if _can_mount() else [KILL, TERM, FULL])
        if kind == FULL:
            return Fault(kind, limit=draw.randrange(reference.largest + 1))
        if kind == TMPFS:
            return Fault(kind, limit=draw.randrange(4096, reference.total + 8192))
        if kind == INODES:
            return Fault(kind, limit=draw.randrange(2, MOST_INODES))
        if draw.random() < 0.5:
            return Fault(kind, event=draw.randrange(reference.ending.num_events))
        return Fault(kind, seconds=draw.uniform(0.001, reference.ending.seconds))

    def _reference(self, command: Command) -> Reference:
        if command.name not in self._references:
            self._clear()
            ending = self._run(self._argv(command), None)
            if ending.code != 0:
                raise RuntimeError(f"{command.name}: exit {ending.code}: {ending.err}")
            sizes = [path.stat().st_size for path in self._out.rglob("*") if path.is_file()]
            contents = read_contents(self._out)
            self._references[command.name] = Reference(contents, max(sizes), sum(sizes), ending)
        return self._references[command.name]

    def _argv(self, command: Command, *, again: bool = False) -> list[str]:
        words = [word.replace("SEEDS", str(self._seeds)).replace("OUT", str(self._out)) for word in command.argv]
        found = [path for path in self._out.rglob(command.marker or "*") if not path.name.startswith(".")]
        return [*words, *(command.again if again and found else ())]

    def _clear(self) -> None:
        shutil.rmtree(self._root / "work", ignore_errors=True)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._out.mkdir(parents=True)
        self._temporary.mkdir()

    def _judge_files(self, reference: Reference, *, is_last: bool) -> Iterator[str]:
        """Compare the files under final names with those of an uninterrupted run."""
        try:
            found = read_contents(self._out)
        except Exception as error:
            yield f"incomplete file: {error!r}"
            return
        for name, content in found.items():
            if name.endswith("log.jsonl") and not is_last:
                continue  # it grows with the run
            if name not in reference.contents:
                if is_last or not name.endswith(".pt"):
                    yield f"unexpected file {name}"
            elif content != reference.contents[name]:
                yield f"{name} differs from the one of an uninterrupted run"
        if is_last:
            yield from (f"{name} is missing" for name in reference.contents.keys() - found.keys())

    def _leftovers(self) -> list[str]:
        return leftovers(self._out) + [path.name for path in self._temporary.iterdir()]

    @contextmanager
    def _disk(self, fault: Fault) -> Iterator[None]:
        """Put a small file system under the output."""
        if fault.kind not in (TMPFS, INODES):
            yield
            return
        size = f"size={fault.limit}" if fault.kind == TMPFS else f"nr_inodes={fault.limit}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._out)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(self._out)], check=True)

    def _run_checked(self, argv: list[str]) -> None:
        self._clear()
        ending = self._run(argv, None)
        if ending.code != 0:
            raise RuntimeError(f"{argv}: exit {ending.code}: {ending.err}")

    def _run(self, argv: Sequence[str], fault: Fault | None) -> Ending:
        """Run `vis` in a forked child, with a fault."""
        read, write = os.pipe()
        count_read, count_write = os.pipe()
        sys.stdout.flush()
        began = time.monotonic()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the child has its handlers
        child = os.fork()
        if child == 0:
            os.close(read)
            _run_child(argv, fault, write, count_write, self._temporary)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(write)
        os.close(count_write)
        os.set_blocking(read, False)
        err, status = _watch(child, read, fault, began)
        seconds = time.monotonic() - began
        events = os.read(count_read, 100)
        os.close(read)
        os.close(count_read)
        return Ending(os.waitstatus_to_exitcode(status), err, seconds, int(events or 0))


def _watch(child: int, read: int, fault: Fault | None, began: float) -> tuple[str, int]:
    """Read a child's messages until it ends; send the signal when its time has come."""
    err, due = b"", None if fault is None or fault.seconds is None else began + fault.seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        with suppress(BlockingIOError):
            err += os.read(read, 65536)
        if ended:
            return err.decode(errors="replace"), status
        if due is not None and fault is not None and time.monotonic() >= due:
            os.kill(child, getattr(signal, fault.kind))
            due = None
        if time.monotonic() - began > DEADLINE:
            os.kill(child, signal.SIGABRT)
        time.sleep(0.001)


def _run_child(argv: Sequence[str], fault: Fault | None, err: int, count: int, temporary: Path) -> None:
    """Run `vis` and end the process as the interpreter does."""
    code: object = 1
    num_events: Callable[[], int] = int
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.environ["TMPDIR"] = str(temporary)
        tempfile.tempdir = None
        if fault is not None and fault.kind == FULL:
            resource.setrlimit(resource.RLIMIT_FSIZE, (fault.limit or 0, resource.RLIM_INFINITY))
        sys.argv = ["vis", *argv]
        install_handlers()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        num_events = _count_events(fault)
        run_vis()
    except SystemExit as end:
        code = end.code
    except Terminated:  # before `main` had begun
        code = 128 + signal.SIGTERM
    except BaseException:
        traceback.print_exc()
    locks._release_all()  # registered with atexit; other exit functions belong to the harness
    os.write(count, str(num_events()).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _count_events(fault: Fault | None) -> Callable[[], int]:
    """Count what the run does with files; at the fault's event, send its signal to this process."""
    number = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal number
        if event not in EVENTS or (event == "open" and str(arguments[0]).endswith((".py", ".pyc"))):
            return
        if fault is not None and fault.event == number:
            os.kill(os.getpid(), getattr(signal, fault.kind))
        number += 1

    sys.addaudithook(hook)
    return lambda: number


def _judge(ending: Ending, fault: Fault) -> Iterator[str]:
    """Yield what is wrong with the end of an interrupted run."""
    if fault.kind == KILL:
        expected = {0, -signal.SIGKILL}
    elif fault.kind == TERM:
        expected = {0, 128 + signal.SIGTERM, -signal.SIGTERM}  # the last: after the command, when nothing is left to do
    else:
        expected = {0, 1, 2}
    if ending.code not in expected:
        yield f"exit {ending.code}: {ending.err.strip()[-800:]}"
    if "Traceback" in ending.err or "Exception ignored" in ending.err:
        yield f"traceback: {ending.err.strip()[-800:]}"
    elif fault.kind not in (KILL, TERM) and ending.code == 1 and "error: " not in ending.err:
        yield f"no error line: {ending.err.strip()[-300:]}"


def _can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def run_cases(num_cases: int, seed: int, root: Path, *, names: Sequence[str] = ()) -> dict[str, list[str]]:
    """Check `num_cases` faults spread over the commands, and print a line per command; return the problems of each."""
    harness = Harness(root)
    chosen = [command for command in COMMANDS if not names or command.name in names]
    deck = [command for command in chosen for _ in range(command.share)]
    problems: dict[str, list[str]] = {command.name: [] for command in chosen}
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for number in range(num_cases):
        command, draw = deck[number % len(deck)], random.Random(f"{seed}-{number}")
        fault = harness.choose_fault(command, draw)
        counts[command.name, fault.kind] += 1
        for problem in harness.check(command, fault):
            problems[command.name].append(f"case {number}, {fault}: {problem}")
            print(f"{command.name}: {problems[command.name][-1]}", flush=True)
    for command in chosen:
        kinds = ", ".join(f"{count} {kind}" for (name, kind), count in sorted(counts.items()) if name == command.name)
        print(f"{command.name}: {kinds}: {len(problems[command.name])} problems", flush=True)
    return problems


def main() -> int:
    """Run the harness from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="number of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", default=[], help="name of a command; all by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vis-kill-") as folder:
        problems = run_cases(arguments.n, arguments.seed, Path(folder), names=arguments.command)
    num_problems = sum(map(len, problems.values()))
    print(f"{arguments.n} cases, {num_problems} problems")
    return int(num_problems > 0)


if __name__ == "__main__":
    sys.exit(main())
