"""A fork server: everything is imported once, each case then runs in a child of its own.

Used by `fuzz` and, through it, by the tests. The parent has one thread, or its children could not be trusted.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.case import Case, make_case
from tests.robustness.checks import Ending, Report, judge
from tests.robustness.child import run_case

MOST_SECONDS = 60.0
MOST_BYTES = 3 * 2**30  # resident, beyond what the child had from its parent
LOOK_EVERY = 0.05  # seconds, unless a child ends before
THREADED = frozenset({"onnxruntime"})  # starts a thread when it is imported, so each child imports it
PAGE = resource.getpagesize()

Build = Callable[[Path], Case]


@dataclass(slots=True)
class Running:
    """Hold a case at work."""

    number: int
    folder: Path
    pid: int
    since: float
    peak: int = 0  # bytes resident beyond the parent's
    killed: str | None = None
    waited: float = 0.0  # seconds for which it was ready and had no processor, when it was last looked at
    looked_at: float = 0.0


class ForkServer:
    """Run cases in forked children, several at a time."""

    def __init__(self, root: Path, *, most_seconds: float = MOST_SECONDS) -> None:
        """Import all that the commands import, and make the valid inputs below `root`."""
        self.root, self.seeds = root, root / "seeds"
        self._most_seconds = most_seconds
        _import_product()
        for name in self._make_seeds():
            if name.partition(".")[0] not in THREADED:
                _import_quietly(name)
        _keep_one_command_tree()
        gc.collect()
        gc.freeze()  # or the first collection of each child would copy every page
        self._resident = _resident(os.getpid())

    def run(self, numbers: Iterable[int], *, jobs: int, keep: bool = False) -> Iterator[Report]:
        """Yield a report on each case, as it ends; the folder of one without a fault is gone then, unless `keep`."""
        from tests.robustness.kinds import KINDS

        def build(number: int) -> Build:
            return lambda folder: make_case(number, self.seeds, folder, KINDS)

        yield from self.run_built(((number, build(number)) for number in numbers), jobs=jobs, keep=keep)

    def run_built(self, builds: Iterable[tuple[int, Build]], *, jobs: int, keep: bool = False) -> Iterator[Report]:
        """Yield a report on each case that `builds` makes."""
        waiting, running = iter(builds), list[Running]()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # so that its arrival ends the wait
        is_more = True
        while is_more or running:
            while is_more and len(running) < jobs:
                following = next(waiting, None)
                is_more = following is not None
                if following is not None:
                    running.append(self._start(*following))
            for case in list(running):
                ending = self._look_at(case)
                if ending is not None:
                    running.remove(case)
                    yield self._report(case, ending, keep=keep)
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_EVERY)

    def build_only(self, number: int, build: Build) -> Path:
        """Make a case again in a child, without running it; return its folder."""
        folder = self._new_folder(number)
        _in_child(lambda: _write_only(build, folder))
        return folder

    def _new_folder(self, number: int) -> Path:
        folder = self.root / f"case-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _start(self, number: int, build: Build) -> Running:
        folder = self._new_folder(number)
        pid = _fork()
        if pid == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                run_case(lambda: build(folder), folder, self.seeds)
            finally:
                os._exit(98)
        return Running(number, folder, pid, time.monotonic())

    def _look_at(self, case: Running) -> Ending | None:
        """Return how the case ended, None while it runs; one that takes too much is killed."""
        pid, status, usage = os.wait4(case.pid, os.WNOHANG)
        seconds = time.monotonic() - case.since
        if pid:
            peak = max(case.peak, usage.ru_maxrss * 1024 - self._resident)
            return Ending(status, case.killed, seconds, usage.ru_utime + usage.ru_stime, peak, _kill_group(case.pid))
        case.peak = max(case.peak, _resident(case.pid) - self._resident)
        if case.killed is None and (case.peak > MOST_BYTES or self._hangs(case, seconds)):
            case.killed = "memory" if case.peak > MOST_BYTES else "hang"
            _kill_group(case.pid)
        return None

    def _hangs(self, case: Running, seconds: float) -> bool:
        """Return whether a case took too long on a machine of its own.

        Time counts whether the case computes, sleeps or waits for a file. Only the time for which it was ready and had
        to wait for a processor is left out: other programs cause it, so a busy machine needs no other limit.
        """
        if seconds < self._most_seconds or time.monotonic() < case.looked_at + 1:
            return False
        case.looked_at = time.monotonic()
        case.waited = max(case.waited, seconds_without_processor(case.pid))
        return seconds - case.waited > self._most_seconds

    def _report(self, case: Running, ending: Ending, *, keep: bool) -> Report:
        report = judge(case.number, case.folder, ending, most_bytes=MOST_BYTES)
        if not (report.faults or keep):
            shutil.rmtree(case.folder, ignore_errors=True)
        return report

    def _make_seeds(self) -> list[str]:
        """Make the valid inputs in a child; return the modules that it had to import, for the children after it."""
        listed = self.root / "modules.txt"
        self.seeds.mkdir(parents=True, exist_ok=True)
        _in_child(lambda: _write_network(self.seeds))
        _load_network_once(self.seeds / "model")
        _in_child(lambda: _write_seeds(self.seeds, listed))
        return listed.read_text().split()


def _write_only(build: Build, folder: Path) -> None:
    from tests.robustness.case import write_case

    write_case(build(folder), folder / "case.json")


def _write_network(seeds: Path) -> None:
    from tests.robustness.seeds import make_network

    make_network(seeds)


def _load_network_once(folder: Path) -> None:
    """Keep the valid model loaded: most cases damage something else, and building it takes longer than all else."""
    from vis_cli.zoo import composition, weights

    load, loaded = weights.load_model, weights.load_model(str(folder))

    def load_or_take(name_or_dir: str) -> weights.LoadedModel:
        return loaded if name_or_dir == str(folder) else load(name_or_dir)

    weights.load_model = composition.load_model = load_or_take


def _write_seeds(seeds: Path, listed: Path) -> None:
    from tests.robustness.seeds import make_seeds
    from vis_cli.app import app

    def run(arguments: list[str]) -> None:
        before = dict(os.environ)
        try:
            app(arguments, prog_name="vis")
        except SystemExit as ending:
            if ending.code:
                raise RuntimeError(f"vis {arguments} ended with {ending.code}") from ending
        os.environ.update(before)

    output = os.open(seeds.with_name("seeds.log"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    make_seeds(seeds, run)
    listed.write_text("\n".join(sorted(name for name in sys.modules if not name.startswith("__"))))


def _import_product() -> None:
    import torch

    torch.set_num_threads(1)
    import cv2

    import vis_cli

    cv2.setNumThreads(1)
    for module in pkgutil.walk_packages(vis_cli.__path__, "vis_cli."):
        if module.name != "vis_cli.__main__":
            importlib.import_module(module.name)


def _import_quietly(name: str) -> None:
    """Import a module that a command needed; one that is made at run time cannot be, and need not."""
    try:
        importlib.import_module(name)
    except ImportError:
        return


def _keep_one_command_tree() -> None:
    """Let Typer build the commands once: it takes as long as the fork and all else of a small case."""
    import typer.main

    from vis_cli.app import app

    tree = typer.main.get_command(app)
    typer.main.get_command = lambda _: tree


def _fork() -> int:
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("the fork server has threads, which its children would lack")
    sys.stdout.flush()
    return os.fork()


def _in_child(do: Callable[[], None]) -> None:
    pid = _fork()
    if pid == 0:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("a child failed to make inputs; the reason is above or in seeds.log")


def _resident(pid: int) -> int:
    """Return the resident bytes of a process, 0 where it has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def seconds_without_processor(session: int, proc: Path = Path("/proc")) -> float:
    """Return for how long the thread of a session that waited most for a processor was ready to run."""
    waited = 0
    for stat in proc.glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                threads = stat.parent.glob("task/*/schedstat")
                waited = max([waited, *(int(thread.read_text().split()[1]) for thread in threads)])
        except OSError:  # it has just ended
            continue
    return waited / 1e9


def _kill_group(pid: int) -> bool:
    """Kill what is left of a child's session; return whether there was something."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
