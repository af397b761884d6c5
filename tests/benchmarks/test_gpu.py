"""Tests of the GPU measurements: time limits, resuming, the report, and weights in parts.

The commands of the fast tests are stand-ins. The slow test runs the rehearsal with the real commands.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.training.test_trainer import make_run
from vis_cli.training.trainer import train
from vis_cli.zoo.weights import load_model

PATH = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
SPEED = {"runs": [{"num_frames": 2, "frames_per_second": 0.5}, {"num_frames": 4, "frames_per_second": 0.75}]}


@pytest.fixture
def gpu() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("gpu", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def run_main(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, words)])
    gpu.main()


def stand_in(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def replace_commands(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, tests: str) -> None:
    write_speed = f"open({str(out / 'speed.json')!r}, 'w').write({json.dumps(SPEED)!r})"
    steps = {"tests": stand_in(tests), "speed": stand_in(write_speed)}
    monkeypatch.setattr(gpu, "commands", lambda args: steps)


def test_the_report_has_all_results_and_the_joined_weights_are_a_model(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run, out = make_run(tmp_path, steps=1), tmp_path / "run", tmp_path / "out"
    train(config, run)
    monkeypatch.setattr(gpu, "MAX_PART_BYTES", 2_000_000)
    replace_commands(gpu, monkeypatch, out, "print('=== 3 passed in 1.00s ===')")
    run_main(gpu, monkeypatch, "--out", out, "--device", "cpu", "--train", config, "--run", run)

    report = json.loads((out / "report.json").read_text())
    assert [(step["name"], step["exit_code"], step["timed_out"]) for step in report["steps"]] == [
        ("tests", 0, False),
        ("speed", 0, False),
    ]
    assert report["tests"] == "3 passed in 1.00s"
    assert report["speed"] == SPEED
    assert report["train"]["steps"] == 1
    num_parts = report["parts"]["weights.safetensors"]["num_parts"]
    parts = [f"weights.safetensors.{number:03d}" for number in range(num_parts)]
    assert num_parts > 2
    assert {path.name for path in out.iterdir()} == {"report.json", "log.jsonl", "tests.log", "speed.log", *parts}
    assert all((out / part).stat().st_size <= 2_000_000 for part in parts)

    run_main(gpu, monkeypatch, "--join", out, "--out", tmp_path / "model")
    joined, trained = (load_model(str(folder)).model.state_dict() for folder in (tmp_path / "model", run))
    assert joined.keys() == trained.keys()
    assert all(torch.equal(joined[name], trained[name]) for name in joined)


def test_a_failed_step_ends_with_its_name_after_all_steps(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_commands(gpu, monkeypatch, tmp_path, "print('1 failed'); raise SystemExit(1)")
    with pytest.raises(SystemExit, match=r"failed: tests\. Read .*tests\.log"):
        run_main(gpu, monkeypatch, "--out", tmp_path, "--device", "cpu")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tests"] == "1 failed"
    assert report["speed"] == SPEED


def test_a_step_is_stopped_at_its_limit_with_its_children(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), "--tests-seconds", "0.5"])
    args = gpu.parse_args()
    late = tmp_path / "late"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(late)!r}).touch()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    step = gpu.run_step("tests", stand_in(code), args)
    assert step.timed_out
    assert step.failed
    time.sleep(2)
    assert not late.exists()


def test_a_step_that_ignores_sigterm_is_killed_and_one_that_saves_itself_has_not_failed(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), "--train-seconds", "1"])
    args = gpu.parse_args()
    signals = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); time.sleep(60)"
    ignoring = gpu.run_step("train", stand_in(signals.format("signal.SIG_IGN")), args)
    saving = gpu.run_step("train", stand_in(signals.format("lambda *_: sys.exit(0)")), args)
    assert (ignoring.timed_out, ignoring.exit_code, ignoring.failed) == (True, -9, True)
    assert (saving.timed_out, saving.exit_code, saving.failed) == (True, 0, False)
    assert ignoring.seconds < 30


def test_the_commands_resume_a_run_that_has_a_checkpoint(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--out", ".", "--train", "a.toml", "--run", "run", "--data", "DATA"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
    args = gpu.parse_args()
    first = gpu.commands(args)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint-000010.pt").touch()
    assert first["train"][1:] == [
        *("-m", "vis_cli", "train", str(tmp_path / "a.toml"), "--out", str(tmp_path / "run")),
        *("--device", "cuda", "--data", str(tmp_path / "DATA")),
    ]
    assert gpu.commands(args)["train"] == [*first["train"], "--resume"]
    assert "--collect-only" not in first["tests"]
    assert {Path(word).name for word in first["tests"] if word.endswith(".py")} == {"test_gpu.py", "test_trainer.py"}


def test_a_missing_or_damaged_part_is_reported_and_nothing_is_written(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "MAX_PART_BYTES", 4)
    (tmp_path / "w.bin").write_bytes(b"0123456789")
    parts = gpu.split(tmp_path / "w.bin", tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"parts": {"w.bin": parts}}))
    assert [(tmp_path / f"w.bin.00{n}").read_bytes() for n in range(3)] == [b"0123", b"4567", b"89"]
    (tmp_path / "w.bin.001").write_bytes(b"456x")
    with pytest.raises(SystemExit, match=r"w\.bin: a part is damaged"):
        gpu.join_parts(tmp_path, tmp_path / "joined")
    (tmp_path / "w.bin.001").unlink()
    with pytest.raises(SystemExit, match=r"w\.bin\.001 is missing"):
        gpu.join_parts(tmp_path, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_a_machine_without_a_gpu_is_reported(gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="cannot measure on cuda: no GPU is available"):
        run_main(gpu, monkeypatch, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_speed_of_a_run_does_not_count_its_validations(gpu: ModuleType) -> None:
    step = {"loss": 2.0, "seconds": 0.5, "images_per_second": 8.0}
    records = [{"step": 0, **step}, {"step": 0, "val_j_and_f": 0.5}, {"step": 1, **step, "loss": 1.0}]
    expected = {"steps": 2, "seconds_per_step": 0.5, "images_per_second": 8.0, "loss": 1.5}
    assert gpu.summarize_log(records) == expected
    assert gpu.summarize_log(records[1:2]) == {"steps": 0}


@pytest.mark.slow
def test_the_rehearsal_runs_the_real_commands_and_resumes(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for last_option in ("cpu", "--resume"):  # the second time, the run resumes from its last step
        run_main(gpu, monkeypatch, "--out", tmp_path, "--device", "cpu", "--tiny")
        report = json.loads((tmp_path / "report.json").read_text())
        assert [(step["name"], step["exit_code"]) for step in report["steps"]] == [
            ("tests", 0),
            ("speed", 0),
            ("train", 0),
        ]
        assert "tests collected" in report["tests"]
        assert [run["num_frames"] for run in report["speed"]["runs"]] == [2, 4]
        assert report["steps"][2]["command"][-1] == last_option
        assert report["train"]["steps"] == 2
    run_main(gpu, monkeypatch, "--join", tmp_path, "--out", tmp_path / "model")
    assert load_model(str(tmp_path / "model")).model.config.name == "tiny"
