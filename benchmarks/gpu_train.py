"""Training runs that share one GPU until a time limit. Used by `gpu`.

The learning rate of a run depends on its number of steps, but the number of steps that fit into the time depends on
the GPU. A probe measures the speed while all runs train. Then each run resumes with as many steps as the time allows.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_steps import Started, Step, finish, start

LOG_NAME = "log.jsonl"
CHECKPOINT = re.compile(r"checkpoint-(\d+)\.pt")
PLANNED_FRACTION = 0.97  # of the time left. In three measured runs, the speed changed by at most 3 % after the probe.
PROBE_STEPS = 3  # minimum number of steps of a probe, which lasts longer if the start-up is slow
# Each run has its own loaders, so that more threads per process only compete for the cores.
VARIABLES = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class TrainRun:
    """A training run: its config and its folder."""

    config: Path
    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the step."""
        return f"train-{self.config.stem}"


@dataclass(frozen=True, slots=True)
class TrainLimits:
    """Time limits in seconds: of all runs together, of the probe, and from SIGTERM to SIGKILL."""

    seconds: float
    probe: float
    grace: float


def train_together(
    runs: Sequence[TrainRun], options: Sequence[str], limits: TrainLimits, logs: Path
) -> tuple[list[Step], dict[str, int]]:
    """Train all runs at the same time: a probe, then the planned number of steps.

    Args:
        runs: The runs. A run that has a checkpoint resumes.
        options: Options of `vis train` for all runs.
        limits: Time limits.
        logs: Folder of the logs.

    Returns:
        The result of each run, and the planned number of steps by the name of the run. A run that ends in the probe
        has no plan, and neither has a run without time for a step after the probe.
    """
    began = time.perf_counter()
    first_steps = {run: completed_steps(run.folder) for run in runs}
    started = {run: start_run(run, run.config, options, logs) for run in runs}

    def is_probed() -> bool:
        """Return whether the time of the probe is over, and each run that still trains has enough steps."""
        late = (run for run in runs if started[run].runs() and len(probe_times(run, first_steps[run])) < PROBE_STEPS)
        return time.perf_counter() - began >= limits.probe and not any(late)

    probed = finish(list(started.values()), limits.seconds, limits.grace, is_enough=is_probed)
    results = dict(zip(runs, probed, strict=True))
    wall = time.perf_counter() - began
    left = limits.seconds - wall
    plans: dict[str, int] = {}
    resumed: dict[TrainRun, Started] = {}
    for run in runs:
        times = probe_times(run, first_steps[run])
        num_steps = remaining_steps(times, wall, left) if times else 0
        if results[run].timed_out and num_steps > 0:
            plans[run.name] = completed_steps(run.folder) + num_steps
            resumed[run] = start_run(run, write_plan(run, plans[run.name]), options, logs)
    left = limits.seconds - (time.perf_counter() - began)
    for run, step in zip(resumed, finish(list(resumed.values()), left, limits.grace), strict=True):
        results[run] = replace(step, seconds=step.seconds + results[run].seconds)
    return list(results.values()), plans


def probe_times(run: TrainRun, first_step: int) -> list[float]:
    """Return the seconds of each step of the probe. Validations have none."""
    records = read_log(run.folder / LOG_NAME)
    return [record["seconds"] for record in records if record["step"] >= first_step and "seconds" in record]


def remaining_steps(times: Sequence[float], wall: float, left: float) -> int:
    """Return the number of steps that a run completes in the time left. 0: the time is too short for a start-up.

    Args:
        times: Seconds of each step of the probe. The last two thirds count, because the first steps are slower.
        wall: Seconds of the probe. The time without steps is the start-up, which a resumed run needs again.
        left: Seconds until the time limit.
    """
    per_step = statistics.mean(times[len(times) // 3 :])
    start_up = max(0.0, wall - len(times) * per_step)
    return max(0, int((PLANNED_FRACTION * left - start_up) / per_step))


def write_plan(run: TrainRun, num_steps: int) -> Path:
    """Write a config that extends the config of the run with another number of steps.

    The file has the name of the config, because the weights contain this name.
    """
    path = run.folder / run.config.name
    base = json.dumps(str(run.config), ensure_ascii=False)
    path.write_text(f"extends = {base}\nsteps = {num_steps}\n", encoding="utf-8")
    return path


def start_run(run: TrainRun, config: Path, options: Sequence[str], logs: Path) -> Started:
    """Start or resume a run."""
    return start(run.name, train_command(run, config, options), logs, VARIABLES)


def train_command(run: TrainRun, config: Path, options: Sequence[str]) -> list[str]:
    """Return the command of a run, which resumes if the run has a checkpoint."""
    command = [sys.executable, "-m", "vis_cli", "train", str(config), "--out", str(run.folder), *options]
    return [*command, "--resume"] if has_checkpoint(run.folder) else command


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run has a checkpoint."""
    return any(CHECKPOINT.fullmatch(path.name) for path in folder.glob("checkpoint-*.pt"))


def completed_steps(folder: Path) -> int:
    """Return the number of steps in the newest checkpoint of a run, or 0."""
    found = (CHECKPOINT.fullmatch(path.name) for path in folder.glob("checkpoint-*.pt"))
    return max((int(match[1]) for match in found if match), default=0)


def read_log(log: Path) -> list[dict[str, float]]:
    """Return the records of a log. A line that a killed run has not completed ends the log."""
    records: list[dict[str, float]] = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def summarize_log(records: list[dict[str, float]]) -> dict[str, float]:
    """Return the number of steps of a run, its median speed and its mean loss over the last 20 steps."""
    steps = [record for record in records if "images_per_second" in record]
    if not steps:
        return {"steps": 0}
    return {
        "steps": steps[-1]["step"] + 1,
        "seconds_per_step": statistics.median(record["seconds"] for record in steps),
        "images_per_second": statistics.median(record["images_per_second"] for record in steps),
        "loss": statistics.mean(record["loss"] for record in steps[-20:]),
    }
