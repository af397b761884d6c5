"""Run all GPU measurements with one command, within 12 minutes: tests, speed, and a part of a training run.

    python benchmarks/gpu.py --out RESULTS --train CONFIG.toml --run RUN --data DATA
    python benchmarks/gpu.py --join RESULTS --out MODEL
    python benchmarks/gpu.py --out RESULTS --device cpu --tiny

The last command is a rehearsal with tiny settings on a CPU. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MAX_PART_BYTES = 15 * 2**20  # maximum size of a part of the weights file
GRACE_SECONDS = 40.0  # from SIGTERM to SIGKILL: a training run writes a checkpoint
# Seconds per step. With three times the grace, this is below 12 minutes.
LIMITS = {"tests": 100.0, "speed": 130.0, "train": 340.0}
REPORT_NAME, LOG_NAME = "report.json", "log.jsonl"
TINY_SPEED = ("--short", "2", "--long", "4", "--num-key-frames", "1", "--short-side", "64", "--set", "long_side=96")


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one command."""

    name: str
    command: list[str]
    exit_code: int
    seconds: float
    timed_out: bool

    @property
    def failed(self) -> bool:
        """Return whether the command failed. A training run that stops at its time limit ends with exit code 0."""
        return self.exit_code != 0


def main() -> None:
    """Run the measurements and write the report, or join the parts of a former report."""
    args = parse_args()
    if args.join is not None:
        join_parts(args.join, args.out)
        return
    device = describe_device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.tiny and args.train is None:
        args.train, args.run = write_tiny_run(args.out)
    steps = [run_step(name, command, args) for name, command in commands(args).items()]
    report = {"device": device, "date": time.strftime("%Y-%m-%d"), "tiny": args.tiny}
    report |= {"steps": [asdict(step) for step in steps], **read_results(args)}
    if args.train is not None and any(args.run.glob("checkpoint-*.pt")):
        weights = export_weights(args)
        report["parts"] = {weights.name: split(weights, args.out)}
        weights.unlink()
    (args.out / REPORT_NAME).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_report(report)
    if failed := [step.name for step in steps if step.failed]:
        raise SystemExit(f"failed: {', '.join(failed)}. Read {args.out}/{failed[0]}.log")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; --join: folder of the weights")
    parser.add_argument("--device", default="cuda", help="device of torch")
    parser.add_argument("--train", type=Path, metavar="CONFIG.toml", help="config of a training run; default: no run")
    parser.add_argument("--run", type=Path, help="folder of this run; the run resumes from its newest checkpoint")
    parser.add_argument("--data", type=Path, help="folder that the data paths of the config are relative to")
    for name, seconds in LIMITS.items():
        text = f"time limit of the step in seconds, default: {seconds:.0f}"
        parser.add_argument(f"--{name}-seconds", type=float, default=seconds, metavar="S", help=text)
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="rehearse: segment 6 small frames; without --train, train a tiny network for 2 steps",
    )
    parser.add_argument("--join", type=Path, metavar="RESULTS", help="only join the weights in this folder, into --out")
    args = parser.parse_args()
    if args.train is not None and args.run is None:
        parser.error("--train needs --run, the folder of the training run")
    for name in ("out", "train", "run", "data", "join"):  # the steps run in the root of the repository
        if (path := getattr(args, name)) is not None:
            setattr(args, name, path.resolve())
    return args


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


def write_tiny_run(folder: Path) -> tuple[Path, Path]:
    """Write a training config of a tiny network and its data; return the config and the folder of the run."""
    sys.path.insert(0, str(ROOT))
    from tests.training.test_trainer import make_run

    data = folder / "tiny"
    data.mkdir(exist_ok=True)
    return make_run(data, steps=2), data / "run"


def commands(args: argparse.Namespace) -> dict[str, list[str]]:
    """Return the command of each step. Without a GPU, pytest only lists the GPU tests."""
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *gpu_test_files()]
    speed = [str(ROOT / "benchmarks" / "speed.py"), "--json", str(args.out / "speed.json"), "--device", args.device]
    steps = {
        "tests": tests if args.device.startswith("cuda") else [*tests, "--collect-only"],
        "speed": [*speed, *(TINY_SPEED if args.tiny else ())],
    }
    if args.train is not None:
        train = ["-m", "vis_cli", "train", str(args.train), "--out", str(args.run), "--device", args.device]
        train += [] if args.data is None else ["--data", str(args.data)]
        steps["train"] = [*train, "--resume"] if any(args.run.glob("checkpoint-*.pt")) else train
    return {name: [sys.executable, *command] for name, command in steps.items()}


def gpu_test_files() -> list[str]:
    """Return the test files with GPU tests, so that pytest does not import all others."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path) for path in files if "@pytest.mark.gpu" in path.read_text(encoding="utf-8")]


def run_step(name: str, command: list[str], args: argparse.Namespace) -> Step:
    """Run a command with a time limit. Its output goes to NAME.log in the folder of the results."""
    limit = getattr(args, f"{name}_seconds")
    print(f"{name}: at most {limit:.0f} s", flush=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    began = time.perf_counter()
    with (args.out / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, start_new_session=True
        )
        try:
            timed_out = not ends_within(process, limit)
            if timed_out:
                send(process, signal.SIGTERM)
                ends_within(process, GRACE_SECONDS)
        finally:
            send(process, signal.SIGKILL)  # also ends children that a stopped command has left
            exit_code = process.wait()
    return Step(name, command, exit_code, time.perf_counter() - began, timed_out)


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Return whether a process ends within a time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def read_results(args: argparse.Namespace) -> dict[str, Any]:
    """Return the results of the steps that wrote any."""
    results: dict[str, Any] = {"tests": last_line(args.out / "tests.log")}
    speed = args.out / "speed.json"
    if speed.exists():
        results["speed"] = json.loads(speed.read_text(encoding="utf-8"))
        speed.unlink()  # the report contains it
    if args.train is not None and (args.run / LOG_NAME).exists():
        text = (args.run / LOG_NAME).read_text(encoding="utf-8")
        (args.out / LOG_NAME).write_text(text, encoding="utf-8")
        results["train"] = summarize_log([json.loads(line) for line in text.splitlines()])
    return results


def last_line(path: Path) -> str:
    """Return the last line of a log without its decoration, which is the summary of pytest."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip("= ") if lines else ""


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


def export_weights(args: argparse.Namespace) -> Path:
    """Write the averaged weights of the newest checkpoint, in half precision, to the folder of the results."""
    import torch

    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
    from vis_cli.training.checkpoint import last_checkpoint
    from vis_cli.training.config_file import read_train_config
    from vis_cli.zoo.folder import WEIGHTS_NAME
    from vis_cli.zoo.weights import save_model

    path = last_checkpoint(args.run)
    assert path is not None
    content = torch.load(path, map_location="cpu", weights_only=True)
    model = SeqMaskRCNN(read_train_config(args.train, data_root=args.data).model)
    model.load_state_dict(content["model"] | content["average"])
    save_model(args.out, model, {"trained_with": args.train.name, "steps": str(content["step"])})
    return args.out / WEIGHTS_NAME


def split(path: Path, folder: Path) -> dict[str, Any]:
    """Write a file in parts of at most MAX_PART_BYTES, as NAME.000, NAME.001 and so on; return size and checksum."""
    content = path.read_bytes()
    parts = [content[start : start + MAX_PART_BYTES] for start in range(0, len(content), MAX_PART_BYTES)]
    for old in folder.glob(f"{path.name}.[0-9][0-9][0-9]"):
        old.unlink()
    for number, part in enumerate(parts):
        part_path(folder / path.name, number).write_bytes(part)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "num_parts": len(parts)}


def part_path(path: Path, number: int) -> Path:
    """Return the path of a part of a file."""
    return path.with_name(f"{path.name}.{number:03d}")


def join_parts(folder: Path, out: Path) -> None:
    """Join the parts in the folder of the results, and check size and checksum before a file is written.

    Raises:
        SystemExit: A part is missing or damaged.
    """
    report = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    for name, expected in report.get("parts", {}).items():
        paths = [part_path(folder / name, number) for number in range(expected["num_parts"])]
        if missing := [path for path in paths if not path.exists()]:
            raise SystemExit(f"cannot join {name}: {missing[0]} is missing. Copy all parts into one folder.")
        content = b"".join(path.read_bytes() for path in paths)
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise SystemExit(f"cannot join {name}: a part is damaged ({len(content)} bytes). Copy the parts again.")
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
        print(f"{out / name}: {len(content):,} bytes")


def print_report(report: dict[str, Any]) -> None:
    """Print one line per step and result."""
    print(report["device"])
    for step in report["steps"]:
        limit = ", stopped at the time limit" if step["timed_out"] else ""
        print(f"{step['name']}: {step['seconds']:.1f} s, exit code {step['exit_code']}{limit}")
    print(f"tests: {report['tests']}")
    if "speed" in report:
        speeds = [f"{run['frames_per_second']:.2f} ({run['num_frames']} frames)" for run in report["speed"]["runs"]]
        print(f"speed: {', '.join(speeds)} frames/s with start-up")
    for name, value in report.get("train", {}).items():
        print(f"train: {name} {value:.4g}")


if __name__ == "__main__":
    main()
