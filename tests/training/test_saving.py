"""What a run keeps and when: the last checkpoints, the best weights, all of it before it stops."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training import step as step_module
from vis_cli.training.checkpoint import RunState, average_weights, read_checkpoint, write_checkpoint
from vis_cli.training.config import OptimConfig
from vis_cli.training.optimizer import build_optimizer
from vis_cli.training.run import Hooks
from vis_cli.training.run_log import LOG_NAME
from vis_cli.training.trainer import train
from vis_cli.zoo.folder import read_summary

from .test_trainer import make_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")
VALIDATION = '[validation]\nkind = "davis"\nimages = "DAVIS"\n'


def make_state(optim: OptimConfig | None = None) -> RunState:
    model = make_model().train()
    return RunState(model, average_weights(model, 0.9), build_optimizer(model, optim or OptimConfig()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pt"))


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    state = make_state()
    for state.step in (5, 10, 1000000):
        write_checkpoint(tmp_path, state, keep=2)
    assert names(tmp_path) == ["checkpoint-000010.pt", "checkpoint-1000000.pt"]
    read = make_state()
    read_checkpoint(tmp_path, read)
    assert read.step == 1000000


def test_a_resumed_run_has_the_settings_of_its_config_not_of_its_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, make_state(OptimConfig(weight_decay=0.5)), keep=1)
    read = make_state(OptimConfig(weight_decay=0.25))
    read_checkpoint(tmp_path, read)
    assert {group["weight_decay"] for group in read.optimizer.param_groups} == {0.0, 0.25}


def test_a_damaged_checkpoint_says_that_there_is_an_older_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, make_state(), keep=1)
    (tmp_path / "checkpoint-000009.pt").write_bytes(b"PK nothing")
    with pytest.raises(
        VisError, match=r"checkpoint-000009\.pt: it is truncated or not a checkpoint.*Remove it to resume"
    ):
        read_checkpoint(tmp_path, make_state())


@pytest.fixture
def little_space() -> Iterator[None]:
    """Let no file grow beyond 100 kB, as a disk does that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("little_space")
def test_no_space_for_a_checkpoint_leaves_those_before_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000001.pt").write_bytes(b"good")
    state = make_state()
    state.step = 2
    with pytest.raises(VisError, match=r"cannot write .*checkpoint-000002\.pt: the disk can be full"):
        write_checkpoint(tmp_path, state, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000001.pt"]
    assert (tmp_path / "checkpoint-000001.pt").read_bytes() == b"good"


def test_sigterm_saves_the_run_which_goes_on_exactly(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=3, every=100)

    def ask_to_stop(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = train(config, tmp_path / "out", hooks=Hooks(ask_to_stop))
    assert (stopped.finished, stopped.step) == (False, 2)
    assert names(stopped.folder) == ["checkpoint-000002.pt"]
    assert not (stopped.folder / "weights.safetensors").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert train(config, tmp_path / "out", resume=True).finished
    train(config, tmp_path / "whole")
    whole, resumed = (
        torch.load(tmp_path / name / "checkpoint-000003.pt", weights_only=True)["model"] for name in ("whole", "out")
    )
    assert max(float((whole[k] - resumed[k]).abs().max()) for k in whole) <= 1e-6


def test_a_picture_that_breaks_on_the_way_is_named_and_the_run_is_saved(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=3, every=100)
    path = tmp_path / "discs.png"
    whole = path.read_bytes()

    def damage(done: int, total: int, figures: dict[str, float]) -> None:
        path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(VisError, match=r"discs\.png: not a complete image.*saved at step 1\. Resume it with --resume"):
        train(config, tmp_path / "out", hooks=Hooks(damage))
    assert names(tmp_path / "out") == ["checkpoint-000001.pt"]
    path.write_bytes(whole)
    assert train(config, tmp_path / "out", resume=True).step == 3


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = step_module.clip_losses

    def break_in_time(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 2:
            broken = {"loss_cls": torch.tensor(float("inf"))}
            monkeypatch.setattr(step_module, "clip_losses", lambda *_, **__: broken)

    with pytest.raises(VisError, match=r"loss is inf at step 2; clips: .*discs\.png"):
        train(make_run(tmp_path, steps=4), tmp_path / "out", hooks=Hooks(break_in_time))
    assert names(tmp_path / "out") == ["checkpoint-000001.pt", "checkpoint-000002.pt"]
    content = torch.load(tmp_path / "out" / "checkpoint-000002.pt", weights_only=True)
    assert all(value.isfinite().all() for value in content["model"].values())
    monkeypatch.setattr(step_module, "clip_losses", right)


def replace_validation(monkeypatch: pytest.MonkeyPatch, validate: Callable[..., dict[str, float]]) -> None:
    """Let a function of the network score it, whatever the split holds."""
    monkeypatch.setattr("vis_cli.training.run.check_validation", lambda config: None)
    monkeypatch.setattr("vis_cli.training.trainer.validate", lambda config, model, *, device: validate(model))


def test_the_best_weights_by_validation_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.3, 0.5, 0.4])
    measured: list[bool] = []

    def validate(model: SeqMaskRCNN) -> dict[str, float]:
        measured.append(model.training)
        return {"j_and_f": next(scores), "j": 0.0}

    replace_validation(monkeypatch, validate)
    (tmp_path / "DAVIS").mkdir()
    config = make_run(tmp_path, steps=3, extra="report_every = 1", tables=VALIDATION)
    out = train(config, tmp_path / "out").folder
    assert measured == [False] * 3
    best = read_summary(out / "best").provenance
    assert (best["steps"], best["validation"]) == ("2", "j_and_f 0.5000")
    logged = [json.loads(line) for line in (out / LOG_NAME).read_text().splitlines()]
    assert [entry["val_j_and_f"] for entry in logged if "val_j_and_f" in entry] == [0.3, 0.5, 0.4]
    assert torch.load(out / "checkpoint-000003.pt", weights_only=True)["best_score"] == 0.5


def test_a_validation_that_fails_loses_no_step_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "DAVIS").mkdir()
    config = make_run(tmp_path, steps=4, every=100, extra="report_every = 2", tables=VALIDATION)
    measured: list[float] = []

    def validate(model: SeqMaskRCNN) -> dict[str, float]:
        measured.append(model.detector.box_predictor.cls_score.weight.abs().sum().item())
        if broken:
            raise VisError("dog: has no frames")
        return {"j_and_f": 0.5 / len(measured)}

    replace_validation(monkeypatch, validate)
    broken = True
    failed = r"\[validation\]: dog: has no frames\. The run is saved at step 2\. Resume it with --resume"
    with pytest.raises(VisError, match=failed):
        train(config, tmp_path / "out")
    assert names(tmp_path / "out") == ["checkpoint-000002.pt"]
    broken = False
    measured.clear()
    out = train(config, tmp_path / "out", resume=True).folder
    resumed = measured.copy()
    measured.clear()
    whole = train(config, tmp_path / "whole").folder
    assert resumed == pytest.approx(measured, rel=1e-6)
    assert len(resumed) == 2
    for folder in (out, whole):
        assert read_summary(folder / "best").provenance["steps"] == "2"
        last = torch.load(folder / "checkpoint-000004.pt", weights_only=True)
        assert (last["best_score"], last["validated"]) == (0.5, 4)
        assert names(folder) == ["checkpoint-000002.pt", "checkpoint-000004.pt"]


def test_a_validation_that_was_done_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "DAVIS").mkdir()
    config = make_run(tmp_path, steps=3, extra="report_every = 1\nkeep_checkpoints = 1", tables=VALIDATION)
    scores, stop = iter([0.5, 0.4, 0.3]), RuntimeError("power cut")

    def cut(done: int, total: int, figures: dict[str, float]) -> None:
        if done == 2:
            raise stop

    replace_validation(monkeypatch, lambda _: {"ap": next(scores)})
    with pytest.raises(RuntimeError, match="power cut"):
        train(config, tmp_path / "out", hooks=Hooks(cut))
    out = train(config, tmp_path / "out", resume=True).folder
    assert next(scores, None) is None
    assert torch.load(out / "checkpoint-000003.pt", weights_only=True)["best_score"] == 0.5
    assert names(out) == ["checkpoint-000003.pt"]
    assert read_summary(out / "best").provenance["steps"] == "1"


def test_a_checkpoint_that_says_nothing_of_validations_had_them_done(tmp_path: Path) -> None:
    state = make_state()
    state.step = 5
    write_checkpoint(tmp_path, state, keep=1)
    path = tmp_path / "checkpoint-000005.pt"
    content = torch.load(path, weights_only=True)
    del content["validated"]
    torch.save(content, path)
    read = make_state()
    read_checkpoint(tmp_path, read)
    assert read.validated == 5


def test_a_validation_that_cannot_be_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "DAVIS").mkdir()
    with pytest.raises(VisError, match=r"^\[validation\]: \S*DAVIS: "):
        train(make_run(tmp_path, tables=VALIDATION), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_validation_whose_data_is_missing_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"\[validation\]: \S*DAVIS is missing"):
        train(make_run(tmp_path, tables=VALIDATION), tmp_path / "out")
