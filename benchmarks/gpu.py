"""Run all GPU measurements with one command, within 12 minutes: training runs, tests and speed.

    python benchmarks/gpu.py --out RESULTS --train A.toml --train B.toml --run RUNS --data DATA
    python benchmarks/gpu.py --join RESULTS --base lite --out MODEL
    python benchmarks/gpu.py --out RESULTS --device cpu --tiny

The last command is a rehearsal with tiny settings on a CPU. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tarfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_steps import ROOT, Step, finish, start
from gpu_train import (
    LOG_NAME,
    TrainLimits,
    TrainRun,
    has_checkpoint,
    read_log,
    summarize_log,
    train_together,
)

REPORT_NAME, LOGS_NAME = "report.json", "logs"
# Seconds per step, and from SIGTERM to SIGKILL. The sum is below 12 minutes. A training run writes a checkpoint after
# SIGTERM, so it has more time.
LIMITS = {"train": 400.0, "weights": 60.0, "tests": 80.0, "speed": 100.0}
GRACE = {"train": 40.0, "weights": 10.0, "tests": 10.0, "speed": 10.0}
PROBE_SECONDS = 70.0
TINY_TRAIN_SECONDS, TINY_PROBE_SECONDS = 60.0, 15.0
TINY_SPEED = ("--short", "2", "--long", "4", "--num-key-frames", "1", "--short-side", "64", "--set", "long_side=96")


def main() -> None:
    """Run the measurements and write the report, or join the weights of a former report."""
    sys.path.insert(0, str(ROOT))
    args = parse_args()
    if args.join is not None:
        join(args)
        return
    device = describe_device(args.device)
    (args.out / LOGS_NAME).mkdir(parents=True, exist_ok=True)
    if args.tiny and not args.train:
        args.train = write_tiny_configs(args.out / "tiny")
        args.run = args.run or args.out / "tiny" / "runs"
    check_configs(args)
    report: dict[str, Any] = {"device": device, "date": time.strftime("%Y-%m-%d"), "tiny": args.tiny, "steps": []}
    for measure in (measure_training, measure_tests, measure_speed):
        report["steps"] += [asdict(step) for step in measure(args, report)]
        write_report(args.out, report)  # after each step, so that an interruption keeps the former results
    pack_logs(args.out)
    print_report(report)
    if failed := [step["name"] for step in report["steps"] if step["exit_code"] != 0]:
        raise SystemExit(f"failed: {', '.join(failed)}. Read {failed[0]}.log in {args.out / LOGS_NAME}.tar.xz")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; --join: model folder")
    parser.add_argument("--device", default="cuda", help="device of torch")
    parser.add_argument(
        "--train",
        type=Path,
        action="append",
        default=[],
        metavar="CONFIG.toml",
        help="config of a training run, repeatable; the runs train at the same time",
    )
    parser.add_argument("--run", type=Path, metavar="RUNS", help="folder of the runs; A.toml trains in RUNS/A")
    parser.add_argument("--data", type=Path, help="folder that the data paths of the configs are relative to")
    for name, seconds in LIMITS.items():
        text = f"time limit of the step in seconds, default: {seconds:.0f}"
        parser.add_argument(f"--{name}-seconds", type=float, metavar="S", help=text)
    parser.add_argument(
        "--probe-seconds",
        type=float,
        metavar="S",
        help=f"part of the training time that measures the seconds per step, default: {PROBE_SECONDS:.0f}",
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="rehearse: segment 6 small frames; without --train, train two tiny networks for one minute",
    )
    parser.add_argument("--join", type=Path, metavar="RESULTS", help="only merge the weights in this folder into --out")
    parser.add_argument("--base", help="--join: model that the runs started from")
    parser.add_argument(
        "--only", action="append", default=[], metavar="RUN", help="--join: merge only this run, repeatable"
    )
    parser.add_argument("--average", action="store_true", help="--join: count the base as one more run in each mean")
    args = parser.parse_args()
    set_limits(args)
    check_args(parser, args)
    for name in ("out", "run", "data", "join"):  # the steps run in the root of the repository
        if (path := getattr(args, name)) is not None:
            setattr(args, name, path.resolve())
    args.train = [path.resolve() for path in args.train]
    return args


def set_limits(args: argparse.Namespace) -> None:
    """Set the time limits that are not given."""
    is_tiny = args.tiny and not args.train
    limits = {**LIMITS, "probe": PROBE_SECONDS}
    limits |= {"train": TINY_TRAIN_SECONDS, "probe": TINY_PROBE_SECONDS} if is_tiny else {}
    for name, seconds in limits.items():
        if getattr(args, f"{name}_seconds") is None:
            setattr(args, f"{name}_seconds", seconds)


def check_args(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Stop on options that do not belong together."""
    stems = [path.stem for path in args.train]
    if args.train and args.run is None:
        parser.error("--train needs --run, the folder of the training runs")
    if len(set(stems)) < len(stems):
        parser.error("two configs of --train have the same name. Rename one of them.")
    if args.probe_seconds >= args.train_seconds:
        parser.error("--probe-seconds is not below --train-seconds. Use a smaller value.")
    if args.average and args.base is None:
        parser.error("--average needs --base")


def describe_device(device: str) -> str:
    """Return the name of a device and the version of torch.

    Raises:
        SystemExit: The device is not available.
    """
    import torch

    if not device.startswith("cuda"):
        return f"{device}, torch {torch.__version__}"
    if not torch.cuda.is_available():
        raise SystemExit(f"cannot measure on {device}: no GPU is available. Rehearse with --device cpu --tiny.")
    return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"


def write_tiny_configs(folder: Path) -> list[Path]:
    """Write the configs of two runs of a tiny network, and their data. The second run trains the Seq-Prop head only."""
    from tests.training.test_trainer import make_run

    folder.mkdir(exist_ok=True)
    whole, head = make_run(folder, steps=10_000, every=10_000), folder / "head.toml"
    head.write_text(f'extends = "{whole.name}"\ntrain_only = ["prop_head"]\nseed = 1\n', encoding="utf-8")
    return [whole, head]


def check_configs(args: argparse.Namespace) -> None:
    """Read the configs before the time counts.

    Raises:
        SystemExit: A config cannot be used.
    """
    from vis_cli.errors import VisError
    from vis_cli.training.config_file import read_train_config

    for run in train_runs(args):
        try:
            config = read_train_config(run.config, data_root=args.data)
        except VisError as error:
            raise SystemExit(str(error)) from error
        if config.steps is None:
            raise SystemExit(f"cannot train {run.config}: the length of the run is in epochs. Use steps.")
        if run.config.parent == run.folder:
            raise SystemExit(f"cannot train {run.config}: it is in the folder of its run. Use another --run.")


def train_runs(args: argparse.Namespace) -> list[TrainRun]:
    """Return the training runs."""
    return [TrainRun(config, args.run / config.stem) for config in args.train]


def measure_training(args: argparse.Namespace, report: dict[str, Any]) -> list[Step]:
    """Train all runs, and export their weights in parts."""
    runs = train_runs(args)
    if not runs:
        return []
    print(f"train: {len(runs)} runs, at most {args.train_seconds:.0f} s", flush=True)
    limits = TrainLimits(args.train_seconds, args.probe_seconds, GRACE["train"])
    steps, plans = train_together(runs, train_options(args), limits, args.out / LOGS_NAME)
    report["train"] = {}
    for run in runs:
        records = read_log(run.folder / LOG_NAME)
        report["train"][run.config.stem] = summarize_log(records)
        if run.name in plans:
            report["train"][run.config.stem]["planned_steps"] = plans[run.name]
        if records:
            shutil.copy(run.folder / LOG_NAME, args.out / LOGS_NAME / f"{run.name}.jsonl")
    return [*steps, *export_weights(args, report)]


def train_options(args: argparse.Namespace) -> list[str]:
    """Return the options of `vis train`."""
    return ["--device", args.device, *([] if args.data is None else ["--data", str(args.data)])]


def export_weights(args: argparse.Namespace, report: dict[str, Any]) -> list[Step]:
    """Write the trained parameters of each run, in parts."""
    from gpu_weights import SUFFIX, split

    runs = [run for run in train_runs(args) if has_checkpoint(run.folder)]
    if not runs:
        return []
    words = [word for run in runs for word in ("--export", str(run.config), str(run.folder))]
    step = run_step("weights", [str(ROOT / "benchmarks" / "gpu_weights.py"), str(args.out), *words], args)
    paths = [args.out / f"{run.config.stem}{SUFFIX}" for run in runs]
    report["parts"] = {path.name: split(path) for path in paths if path.exists()}
    return [step]


def measure_tests(args: argparse.Namespace, report: dict[str, Any]) -> list[Step]:
    """Run the GPU tests. Without a GPU, pytest only lists them."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *gpu_test_files()]
    step = run_step("tests", command if args.device.startswith("cuda") else [*command, "--collect-only"], args)
    report["tests"] = last_line(args.out / LOGS_NAME / "tests.log")
    return [step]


def gpu_test_files() -> list[str]:
    """Return the test files with GPU tests, so that pytest does not import all others."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path) for path in files if "@pytest.mark.gpu" in path.read_text(encoding="utf-8")]


def measure_speed(args: argparse.Namespace, report: dict[str, Any]) -> list[Step]:
    """Measure the speed of `vis segment`."""
    results = args.out / "speed.json"
    command = [str(ROOT / "benchmarks" / "speed.py"), "--json", str(results), "--device", args.device]
    step = run_step("speed", [*command, *(TINY_SPEED if args.tiny else ())], args)
    if results.exists():
        report["speed"] = json.loads(results.read_text(encoding="utf-8"))
        results.unlink()  # the report contains it
    return [step]


def run_step(name: str, command: list[str], args: argparse.Namespace) -> Step:
    """Run a command of this Python with the time limit of the step."""
    limit = getattr(args, f"{name}_seconds")
    print(f"{name}: at most {limit:.0f} s", flush=True)
    (step,) = finish([start(name, [sys.executable, *command], args.out / LOGS_NAME)], limit, GRACE[name])
    return step


def last_line(path: Path) -> str:
    """Return the last line of a log without its decoration, which is the summary of pytest."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip("= ") if lines else ""


def write_report(out: Path, report: dict[str, Any]) -> None:
    """Write the report."""
    (out / REPORT_NAME).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def pack_logs(out: Path) -> None:
    """Replace the folder of the logs by an archive."""
    with tarfile.open(out / f"{LOGS_NAME}.tar.xz", "w:xz") as archive:
        archive.add(out / LOGS_NAME, LOGS_NAME)
    shutil.rmtree(out / LOGS_NAME)


def print_report(report: dict[str, Any]) -> None:
    """Print one line per step and result."""
    print(report["device"])
    for step in report["steps"]:
        limit = ", stopped at the time limit" if step["timed_out"] else ""
        print(f"{step['name']}: {step['seconds']:.1f} s, exit code {step['exit_code']}{limit}")
    for name, figures in report.get("train", {}).items():
        print(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in figures.items())}")
    print(f"tests: {report['tests']}")
    if "speed" in report:
        speeds = [f"{run['frames_per_second']:.2f} ({run['num_frames']} frames)" for run in report["speed"]["runs"]]
        print(f"speed: {', '.join(speeds)} frames/s with start-up")


def join(args: argparse.Namespace) -> None:
    """Merge the weights of a former report and a base model."""
    from gpu_weights import join_weights

    from vis_cli.errors import VisError

    report = json.loads((args.join / REPORT_NAME).read_text(encoding="utf-8"))
    parts = report.get("parts", {})
    try:
        join_weights(args.join, args.out, parts, base=args.base, only=args.only, average=args.average)
    except VisError as error:
        raise SystemExit(str(error)) from error
    print(f"{args.out}: the model is complete. Its scores are not calibrated.")


if __name__ == "__main__":
    main()
