"""Tests of the GPU measurements: time limits, the plan of the training runs, the report, and the merge of weights.

The commands of the fast tests are stand-ins. The slow test runs the rehearsal with the real commands.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tests.training.test_trainer import make_run
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config_file import read_train_config
from vis_cli.zoo.folder import read_summary
from vis_cli.zoo.weights import load_model, save_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("gpu_steps", "gpu_train", "gpu_weights", "gpu")  # they import each other from their folder
CALIBRATION = (2.0, 0.5)
SPEED = {"runs": [{"num_frames": 2, "frames_per_second": 0.5}, {"num_frames": 4, "frames_per_second": 0.75}]}

# Stand-in of `vis train CONFIG --out RUN`. A step takes 0.02 s, and the start-up of a long run 1.2 s. SIGTERM writes a
# checkpoint.
TRAIN = """
import signal
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
import json, pathlib, re, sys, time
config, run = (pathlib.Path(path) for path in sys.argv[1:3])
run.mkdir(parents=True, exist_ok=True)
done = max((int(path.stem[-6:]) for path in run.glob("checkpoint-*.pt")), default=0)
steps = int(re.search(r"steps = (\\d+)", config.read_text())[1])
print(config.read_text(), *sys.argv[3:])
time.sleep(1.2 if steps > 100 else 0)
while done < steps and not stopping:
    time.sleep(0.02)
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": done, "loss": 1.0, "seconds": 0.02, "images_per_second": 50.0}) + "\\n")
    done += 1
(run / f"checkpoint-{done:06d}.pt").touch()
"""


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(BENCHMARKS))
    modules = {name: importlib.import_module(name) for name in SCRIPTS}
    yield SimpleNamespace(
        main=modules["gpu"], steps=modules["gpu_steps"], train=modules["gpu_train"], weights=modules["gpu_weights"]
    )
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def gpu(scripts: SimpleNamespace) -> ModuleType:
    module: ModuleType = scripts.main
    return module


def run_main(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, words)])
    gpu.main()


def stand_in(code: str, *words: str | Path) -> list[str]:
    return [sys.executable, "-S", "-c", code, *map(str, words)]


def replace_commands(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, tests: str) -> None:
    """Replace the commands of the tests and of the speed measurement."""
    write_speed = f"open({str(out / 'speed.json')!r}, 'w').write({json.dumps(SPEED)!r})"
    run_step: Callable[..., object] = gpu.run_step
    codes = {"tests": tests, "speed": write_speed}

    def run(name: str, command: list[str], args: object) -> object:
        return run_step(name, stand_in(codes[name])[1:] if name in codes else command, args)

    monkeypatch.setattr(gpu, "run_step", run)


def export_in_process(gpu: ModuleType, scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export the weights without a new process, which takes seconds to import torch."""
    run_step: Callable[..., object] = gpu.run_step

    def run(name: str, command: list[str], args: object) -> object:
        if name != "weights":
            return run_step(name, command, args)
        with monkeypatch.context() as context:
            context.setattr(sys, "argv", command)
            with pytest.raises(SystemExit, match="0"):
                scripts.weights.main()
        return run_step(name, ["-c", ""], args)

    monkeypatch.setattr(gpu, "run_step", run)


def replace_training(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, code: str = TRAIN) -> None:
    def command(run: SimpleNamespace, config: Path, options: list[str]) -> list[str]:
        resume = ["--resume"] if scripts.train.has_checkpoint(run.folder) else []
        return stand_in(code, config, run.folder, *options, *resume)

    monkeypatch.setattr(scripts.train, "train_command", command)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Write a tiny model to "base", and a run of the model and a run of its Seq-Prop head with the same weights."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    config = make_run(folder, steps=5)
    (folder / "head.toml").write_text('extends = "run.toml"\nsteps = 5\ntrain_only = ["prop_head"]\n')
    model = SeqMaskRCNN(dataclasses.replace(read_train_config(config).model, calibration=CALIBRATION)).eval()
    save_model(folder / "base", model, {"origin": "made"})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.where(parameter < 0, -0.5, 0.25))
    average = {name: value.detach() for name, value in model.prop_head.named_parameters(prefix="prop_head")}
    model_state = {name: value + 1 if name in average else value for name, value in model.state_dict().items()}
    content = {"step": 5, "model": model_state, "average": average}
    for name in ("run", "head"):
        (folder / "runs" / name).mkdir(parents=True)
        torch.save(content, folder / "runs" / name / "checkpoint-000005.pt")
    return SimpleNamespace(folder=folder, configs=[config, folder / "head.toml"], runs=folder / "runs", model=model)


class TestMeasurements:
    def test_the_results_are_few_small_files(
        self,
        gpu: ModuleType,
        scripts: SimpleNamespace,
        trained: SimpleNamespace,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (config, head), out = trained.configs, tmp_path / "out"
        monkeypatch.setattr(scripts.weights, "MAX_PART_BYTES", 8_000_000)
        replace_training(scripts, monkeypatch)  # both runs are complete
        replace_commands(gpu, monkeypatch, out, "print('=== 3 passed in 1.00s ===')")
        export_in_process(gpu, scripts, monkeypatch)
        words = ("--train", config, "--train", head, "--run", trained.runs)
        run_main(gpu, monkeypatch, "--out", out, "--device", "cpu", *words)

        report = json.loads((out / "report.json").read_text())
        assert [(step["name"], step["exit_code"], step["timed_out"]) for step in report["steps"]] == [
            ("train-run", 0, False),
            ("train-head", 0, False),
            ("weights", 0, False),
            ("tests", 0, False),
            ("speed", 0, False),
        ]
        assert report["tests"] == "3 passed in 1.00s"
        assert report["speed"] == SPEED
        assert report["train"] == {"run": {"steps": 0}, "head": {"steps": 0}}
        num_parts = report["parts"]["run.safetensors"]["num_parts"]
        assert num_parts > 1
        parts = [f"run.safetensors.{number:03d}" for number in range(num_parts)]
        names = {"report.json", "logs.tar.xz", "head.safetensors.000", *parts}
        assert {path.name for path in out.iterdir()} == names
        assert all((out / name).stat().st_size <= 8_000_000 for name in names)
        with tarfile.open(out / "logs.tar.xz") as archive:
            logs = {Path(name).name for name in archive.getnames()}
        assert logs == {"logs", "train-run.log", "train-head.log", "weights.log", "tests.log", "speed.log"}

        run_main(gpu, monkeypatch, "--join", out, "--out", tmp_path / "model", "--only", "run")
        joined, own = load_model(str(tmp_path / "model")).model.state_dict(), trained.model.state_dict()
        assert all(torch.equal(joined[name], own[name].half().to(joined[name].dtype)) for name in own)

    def test_a_failed_step_ends_with_its_name_after_all_steps(
        self, gpu: ModuleType, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, out = make_run(tmp_path), tmp_path / "out"
        replace_training(scripts, monkeypatch, "raise SystemExit('no data')")
        replace_commands(gpu, monkeypatch, out, "print('1 failed'); raise SystemExit(1)")
        words = ("--train", config, "--run", tmp_path / "runs")
        with pytest.raises(SystemExit, match=r"failed: train-run, tests\. Read train-run\.log in .*logs\.tar\.xz"):
            run_main(gpu, monkeypatch, "--out", out, "--device", "cpu", *words)
        report = json.loads((out / "report.json").read_text())
        assert report["train"] == {"run": {"steps": 0}}
        assert "parts" not in report
        assert report["tests"] == "1 failed"
        assert report["speed"] == SPEED

    def test_the_weights_are_exported_before_the_tests(
        self, gpu: ModuleType, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gpu, "measure_training", lambda args, report: report.update(parts={"a": {}}) or [])
        monkeypatch.setattr(gpu, "measure_tests", lambda args, report: sys.exit("cut"))
        with pytest.raises(SystemExit, match="cut"):
            run_main(gpu, monkeypatch, "--out", tmp_path, "--device", "cpu")
        assert json.loads((tmp_path / "report.json").read_text())["parts"] == {"a": {}}

    def test_all_steps_together_take_less_than_12_minutes(self, gpu: ModuleType) -> None:
        assert gpu.LIMITS.keys() == gpu.GRACE.keys()
        assert sum(gpu.LIMITS.values()) + sum(gpu.GRACE.values()) < 720

    def test_a_machine_without_a_gpu_is_reported(
        self, gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(SystemExit, match="cannot measure on cuda: no GPU is available"):
            run_main(gpu, monkeypatch, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_the_tests_are_the_files_with_gpu_tests(self, gpu: ModuleType) -> None:
        assert {Path(path).name for path in gpu.gpu_test_files()} == {"test_gpu.py", "test_trainer.py"}

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--train", "a.toml"], "--train needs --run"),
            (["--train", "a.toml", "--train", "b/a.toml", "--run", "runs"], "have the same name"),
            (["--probe-seconds", "30", "--train-seconds", "30"], "--probe-seconds is not below --train-seconds"),
            (["--join", "out", "--average"], "--average needs --base"),
        ],
    )
    def test_options_that_do_not_belong_together_are_reported(
        self,
        gpu: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        words: list[str],
        message: str,
    ) -> None:
        with pytest.raises(SystemExit):
            run_main(gpu, monkeypatch, "--out", "out", *words)
        assert message in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("steps = 2", "epochs = 2", r"run\.toml: the length of the run is in epochs\. Use steps\."),
            ("steps = 2", "steps = 0", r"run\.toml: .*steps"),
        ],
    )
    def test_a_config_that_cannot_be_used_is_reported_before_the_first_step(
        self, gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
    ) -> None:
        config = make_run(tmp_path)
        config.write_text(config.read_text().replace(old, new, 1))
        words = ("--train", config, "--run", tmp_path / "runs")
        with pytest.raises(SystemExit, match=message):
            run_main(gpu, monkeypatch, "--out", tmp_path / "out", "--device", "cpu", *words)

    def test_a_plan_never_replaces_the_config(
        self, gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "run").mkdir()
        config = make_run(tmp_path / "run")
        with pytest.raises(SystemExit, match="it is in the folder of its run"):
            run_main(gpu, monkeypatch, "--out", tmp_path, "--device", "cpu", "--train", config, "--run", tmp_path)


class TestSteps:
    def test_a_step_is_stopped_at_its_limit_with_its_children(self, scripts: SimpleNamespace, tmp_path: Path) -> None:
        late = tmp_path / "late"
        child = f"import time, pathlib; time.sleep(1); pathlib.Path({str(late)!r}).touch()"
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
        (step,) = scripts.steps.finish([scripts.steps.start("a", stand_in(code), tmp_path)], 0.3, 10.0)
        assert step.timed_out
        assert step.failed
        time.sleep(1)
        assert not late.exists()

    def test_a_step_that_ignores_sigterm_is_killed_and_one_that_saves_itself_has_not_failed(
        self, scripts: SimpleNamespace, tmp_path: Path
    ) -> None:
        code = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print(1, flush=True); time.sleep(60)"
        handlers = {"ignoring": "signal.SIG_IGN", "saving": "lambda *_: sys.exit(0)"}
        started = [
            scripts.steps.start(name, stand_in(code.format(handler)), tmp_path) for name, handler in handlers.items()
        ]
        while not all((tmp_path / f"{name}.log").stat().st_size for name in handlers):
            time.sleep(0.05)
        ignoring, saving = scripts.steps.finish(started, 0.1, 0.5)
        assert (ignoring.timed_out, ignoring.exit_code, ignoring.failed) == (True, -9, True)
        assert (saving.timed_out, saving.exit_code, saving.failed) == (True, 0, False)
        assert ignoring.seconds < 30

    def test_a_step_that_ends_early_has_its_own_time(self, scripts: SimpleNamespace, tmp_path: Path) -> None:
        started = [scripts.steps.start("a", stand_in(code), tmp_path) for code in ("import time; time.sleep(1)", "")]
        late, early = scripts.steps.finish(started, 30.0, 1.0)
        assert (late.timed_out, early.timed_out) == (False, False)
        assert early.seconds < 1.0 <= late.seconds


class TestTraining:
    def test_the_steps_fill_the_time_after_the_start_up(self, scripts: SimpleNamespace) -> None:
        """The probe of 70 s has 100 steps: a third of slow ones, then 0.5 s each, so that the start-up is 20 s."""
        times = [1.0] * 33 + [0.5] * 67
        assert scripts.train.remaining_steps(times, 70.0, 400.0) == int((0.97 * 400 - 20) / 0.5)
        assert scripts.train.remaining_steps(times, 40.0, 400.0) == int(0.97 * 400 / 0.5)  # no negative start-up
        assert scripts.train.remaining_steps(times, 70.0, 10.0) == 0
        assert scripts.train.remaining_steps([2.0], 3.0, 11.0) == 4

    @pytest.mark.slow  # the plan depends on the time that the processes need to start
    def test_runs_train_together_and_resume_with_their_plan(
        self, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first run has a checkpoint, and its first step is later than the probe time. The second one is short."""
        replace_training(scripts, monkeypatch)
        long, short = (scripts.train.TrainRun(tmp_path / f"{name}.toml", tmp_path / "runs" / name) for name in "ab")
        for run, steps in ((long, 900_000), (short, 3)):
            run.config.write_text(f"steps = {steps}\n")
        long.folder.mkdir(parents=True)
        (long.folder / "checkpoint-500000.pt").touch()
        (long.folder / "log.jsonl").write_text('{"step": 499999, "seconds": 1000.0}\n')
        limits = scripts.train.TrainLimits(4.0, 0.8, 10.0)
        began = time.perf_counter()
        steps, plans = scripts.train.train_together([long, short], ["--device", "cpu"], limits, tmp_path)
        assert time.perf_counter() - began < 14
        assert [(step.name, step.exit_code) for step in steps] == [("train-a", 0), ("train-b", 0)]
        assert plans.keys() == {"train-a"}  # the other run ends in the probe
        assert (tmp_path / "train-a.log").read_text().splitlines() == [
            "steps = 900000",
            " --device cpu --resume",
            f'extends = "{tmp_path / "a.toml"}"',
            f"steps = {plans['train-a']}",
            " --device cpu --resume",
        ]
        assert (tmp_path / "train-b.log").read_text().splitlines() == ["steps = 3", " --device cpu"]
        num_steps = 500_000 + len(scripts.train.probe_times(long, 500_000))
        assert 500_003 <= num_steps == scripts.train.completed_steps(long.folder) <= plans["train-a"] < 500_200
        assert scripts.train.completed_steps(short.folder) == 3

    def test_a_run_does_not_resume_without_time_for_its_start_up(
        self, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace_training(scripts, monkeypatch)
        run = scripts.train.TrainRun(tmp_path / "a.toml", tmp_path / "runs" / "a")
        run.config.write_text("steps = 900000\n")
        limits = scripts.train.TrainLimits(2.0, 0.1, 10.0)
        (step,), plans = scripts.train.train_together([run], [], limits, tmp_path)
        assert (step.timed_out, step.exit_code, plans) == (True, 0, {})
        assert scripts.train.has_checkpoint(run.folder)

    def test_a_run_without_a_step_fails_at_the_time_limit(
        self, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SIGTERM ends a run that still imports its modules, without a checkpoint."""
        replace_training(scripts, monkeypatch, "import time; time.sleep(60)")
        run = scripts.train.TrainRun(tmp_path / "a.toml", tmp_path / "runs" / "a")
        limits = scripts.train.TrainLimits(0.4, 0.2, 10.0)
        (step,), plans = scripts.train.train_together([run], [], limits, tmp_path)
        assert (step.timed_out, step.exit_code, plans) == (True, -15, {})

    def test_the_plan_changes_the_number_of_steps_only(self, scripts: SimpleNamespace, tmp_path: Path) -> None:
        run = scripts.train.TrainRun(make_run(tmp_path, steps=7), tmp_path / "runs" / "run")
        run.folder.mkdir(parents=True)
        plan = scripts.train.write_plan(run, 1252)
        assert plan.name == "run.toml"  # the name in the weights
        assert read_train_config(plan) == dataclasses.replace(read_train_config(run.config), steps=1252)

    def test_the_command_resumes_a_run_that_has_a_checkpoint(self, scripts: SimpleNamespace, tmp_path: Path) -> None:
        run = scripts.train.TrainRun(tmp_path / "a.toml", tmp_path)
        words = ["-m", "vis_cli", "train", "plan.toml", "--out", str(tmp_path), "--device", "cuda"]
        assert scripts.train.train_command(run, Path("plan.toml"), ["--device", "cuda"])[1:] == words
        (tmp_path / "checkpoint-000010.pt").touch()
        assert scripts.train.train_command(run, Path("plan.toml"), ["--device", "cuda"])[1:] == [*words, "--resume"]

    def test_the_speed_of_a_run_does_not_count_its_validations(self, scripts: SimpleNamespace, tmp_path: Path) -> None:
        step = {"loss": 2.0, "seconds": 0.5, "images_per_second": 8.0}
        records = [{"step": 0, **step}, {"step": 0, "val_j_and_f": 0.5}, {"step": 1, **step, "loss": 1.0}]
        expected = {"steps": 2, "seconds_per_step": 0.5, "images_per_second": 8.0, "loss": 1.5}
        assert scripts.train.summarize_log(records) == expected
        assert scripts.train.summarize_log(records[1:2]) == {"steps": 0}
        run = scripts.train.TrainRun(tmp_path / "a.toml", tmp_path)
        (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, records)) + '\n{"step": 2, "lo')
        assert scripts.train.read_log(tmp_path / "log.jsonl") == records
        assert scripts.train.probe_times(run, 1) == [0.5]


class TestWeights:
    def export(self, scripts: SimpleNamespace, trained: SimpleNamespace, name: str, out: Path) -> dict[str, dict]:
        """Export a run in parts. Return the entry of the report."""
        path = scripts.weights.export_weights(trained.folder / f"{name}.toml", trained.runs / name, out)
        return {path.name: scripts.weights.split(path)}

    def test_only_trained_parameters_are_exported(self, scripts: SimpleNamespace, trained: SimpleNamespace) -> None:
        config = read_train_config(trained.configs[1])
        is_trained = scripts.weights.is_trained
        assert is_trained("prop_head.predict.bias", config)
        assert not is_trained("backbone.stages.0.weight", config)
        frozen = dataclasses.replace(config, freeze=("prop_head.predict",))
        assert not is_trained("prop_head.predict.bias", frozen)
        assert is_trained("prop_head.key.bias", frozen)
        every = dataclasses.replace(config, train_only=())
        assert is_trained("backbone.bn.running_mean", every)
        assert not is_trained("backbone.bn.num_batches_tracked", every)

    def test_the_average_is_exported_in_half_precision(
        self, scripts: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path
    ) -> None:
        parts = self.export(scripts, trained, "head", tmp_path)
        content = scripts.weights.join_parts(tmp_path / "head.safetensors", parts["head.safetensors"])
        run = scripts.weights.read_trained("head.safetensors", content)
        own = trained.model.state_dict()
        assert (run.name, run.steps, run.config) == ("head", "5", read_train_config(trained.configs[1]).model)
        assert run.tensors.keys() == {name for name in own if name.startswith("prop_head.")}
        assert {value.dtype for value in run.tensors.values()} == {torch.float16}
        assert all(torch.equal(value.float(), own[name]) for name, value in run.tensors.items())

    def test_a_value_that_half_precision_cannot_hold_keeps_its_precision(self, scripts: SimpleNamespace) -> None:
        values = torch.tensor([1e6, 1.0])
        assert torch.equal(scripts.weights.in_half_precision(values), values)

    def test_the_detector_replaces_the_base_and_heads_are_averaged(
        self, scripts: SimpleNamespace, trained: SimpleNamespace
    ) -> None:
        own = trained.model.state_dict()

        def part(prefix: str, value: float) -> dict[str, torch.Tensor]:
            return {name: torch.full_like(tensor, value) for name, tensor in own.items() if name.startswith(prefix)}

        runs = [part("detector", 1.0), part("prop_head", 2.0), part("prop_head", 4.0)]
        for average in (False, True):  # the base counts with a weight of 0 or 1
            model = copy.deepcopy(trained.model)
            scripts.weights.merge(model, runs, average=average)
            for name, value in model.state_dict().items():
                expected = own[name]
                if name.startswith("detector"):
                    expected = (1 + average * own[name]) / (1 + average)
                elif name.startswith("prop_head"):
                    expected = (2 + 4 + average * own[name]) / (2 + average)
                torch.testing.assert_close(value, expected, msg=name)

    def test_the_merged_model_has_the_config_and_the_origin_of_the_base(
        self, scripts: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path
    ) -> None:
        parts, base = self.export(scripts, trained, "head", tmp_path), str(trained.folder / "base")
        scripts.weights.join_weights(tmp_path, tmp_path / "out", parts, base=base, only=["head"], average=False)
        merged, before = (load_model(folder).model for folder in (str(tmp_path / "out"), base))
        assert before.config.calibration == CALIBRATION
        assert merged.config == dataclasses.replace(before.config, calibration=None)
        provenance = read_summary(tmp_path / "out").provenance
        assert provenance == {"base": base, "trained_with": "head (5 steps)", "origin": "made"}
        heads, others = trained.model.state_dict(), before.state_dict()
        for name, value in merged.state_dict().items():
            assert torch.equal(value, (heads if name.startswith("prop_head.") else others)[name]), name

    def test_runs_and_base_that_do_not_belong_together_are_reported(
        self, scripts: SimpleNamespace, trained: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own, config = trained.model.state_dict(), read_train_config(trained.configs[0]).model
        boxes = {name: value for name, value in own.items() if name.startswith("detector.")}
        run = scripts.weights.Trained("boxes", config, "5", boxes)
        monkeypatch.setattr(scripts.weights, "read_trained", lambda name, content: run)
        monkeypatch.setattr(scripts.weights, "join_parts", lambda path, entry: b"")
        reversed_categories = copy.copy(trained.model)
        reversed_categories.config = dataclasses.replace(config, categories=config.categories[::-1])
        without_detector = torch.nn.Module()
        bases = {"other": reversed_categories, "small": without_detector, "base": trained.model}
        monkeypatch.setattr(scripts.weights, "load_model", lambda name: SimpleNamespace(model=bases[name]))
        for base, only, message in (
            ("other", [], "cannot join boxes: the base has other categories"),
            ("small", [], r"cannot join boxes: the base has no detector\..* of the same shape"),
            (None, [], r"no run trained .*\. Pass --base"),
            ("base", ["b"], "cannot join b: .* contains boxes"),
        ):
            with pytest.raises(SystemExit, match=message):
                scripts.weights.join_weights(
                    tmp_path, tmp_path / "out", {"boxes.safetensors": {}}, base=base, only=only, average=False
                )
        assert not (tmp_path / "out").exists()

    def test_a_missing_or_damaged_part_is_reported_and_nothing_is_written(
        self, scripts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scripts.weights, "MAX_PART_BYTES", 4)
        (tmp_path / "w.safetensors").write_bytes(b"0123456789")
        (tmp_path / "w.safetensors.003").touch()  # of a former, larger file
        parts = {"w.safetensors": scripts.weights.split(tmp_path / "w.safetensors")}
        names = [f"w.safetensors.00{n}" for n in range(3)]
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        assert [(tmp_path / name).read_bytes() for name in names] == [b"0123", b"4567", b"89"]

        def join() -> None:
            scripts.weights.join_weights(tmp_path, tmp_path / "joined", parts, base=None, only=[], average=False)

        for content in (b"456x", b"456"):
            (tmp_path / names[1]).write_bytes(content)
            with pytest.raises(SystemExit, match=r"w\.safetensors: a part is damaged"):
                join()
        (tmp_path / names[1]).unlink()
        with pytest.raises(SystemExit, match=r"w\.safetensors\.001 is missing"):
            join()
        assert not (tmp_path / "joined").exists()

    def test_a_run_that_cannot_be_exported_does_not_stop_the_others(
        self,
        scripts: SimpleNamespace,
        trained: SimpleNamespace,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "checkpoint-000001.pt").write_bytes(b"none")
        head = trained.configs[1]
        words = [
            "--export",
            head,
            tmp_path,
            "--export",
            head,
            tmp_path / "none",
            "--export",
            head,
            trained.runs / "head",
        ]
        monkeypatch.setattr(sys, "argv", ["gpu_weights.py", str(tmp_path), *map(str, words)])
        with pytest.raises(SystemExit, match="1"):
            scripts.weights.main()
        assert (tmp_path / "head.safetensors").exists()
        damaged, none = capsys.readouterr().err.splitlines()
        assert damaged.startswith(f"cannot export {tmp_path}: ")
        assert none == f"cannot export {tmp_path / 'none'}: no checkpoint"


@pytest.mark.slow
def test_the_rehearsal_runs_the_real_commands_and_resumes(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_steps = 0
    for _ in range(2):  # the second time, the runs resume from their last step
        run_main(gpu, monkeypatch, "--out", tmp_path, "--device", "cpu", "--tiny")
        report = json.loads((tmp_path / "report.json").read_text())
        names = ["train-run", "train-head", "weights", "tests", "speed"]
        assert [(step["name"], step["exit_code"]) for step in report["steps"]] == [(name, 0) for name in names]
        assert "tests collected" in report["tests"]
        assert [run["num_frames"] for run in report["speed"]["runs"]] == [2, 4]
        assert report["steps"][0]["command"][-1] == "--resume"
        assert report["train"]["run"]["steps"] > num_steps
        num_steps = report["train"]["run"]["steps"]
        assert num_steps <= report["train"]["run"]["planned_steps"]
    run_main(gpu, monkeypatch, "--join", tmp_path, "--out", tmp_path / "model")
    assert load_model(str(tmp_path / "model")).model.config.name == "tiny"
