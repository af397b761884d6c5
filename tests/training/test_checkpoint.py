"""Checkpoints that are damaged: each is rejected in one line, before anything of it is taken."""

from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.checkpoint import RunState, average_weights, read_checkpoint, restore, write_checkpoint
from vis_cli.training.config import OptimConfig
from vis_cli.training.optimizer import build_optimizer

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture(scope="module")
def state(narrow_backbone: None) -> RunState:
    """Return the state of a run that has not begun."""
    model = make_model().train()
    return RunState(model, average_weights(model, 0.9), build_optimizer(model, OptimConfig()))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory, narrow_backbone: None) -> dict[str, Any]:
    """Return the content of a checkpoint after an optimiser's step."""
    folder, model = tmp_path_factory.mktemp("stepped"), make_model().train()
    state = RunState(model, average_weights(model, 0.9), build_optimizer(model, OptimConfig()))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    write_checkpoint(folder, state, keep=1)
    content: dict[str, Any] = torch.load(folder / "checkpoint-000000.pt", weights_only=True)
    return content


def checksum(state: RunState) -> float:
    return sum(
        float(value.detach().double().sum()) for value in (*state.model.parameters(), *state.average.parameters())
    )


def copy_of_state(content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {index: dict(values) for index, values in content["optimizer"]["state"].items()}


def test_an_intact_checkpoint_is_taken(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "checkpoint-000000.pt")
    model = make_model().train()
    read = RunState(model, average_weights(model, 0.9), build_optimizer(model, OptimConfig()))
    read_checkpoint(tmp_path, read)
    assert all(torch.equal(value, content["model"][name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, content["average"][name]) for name, value in read.average.module.named_parameters())
    gathered = read.optimizer.state_dict()["state"]
    assert all(torch.equal(gathered[i]["exp_avg"], v["exp_avg"]) for i, v in content["optimizer"]["state"].items())


def change_weights(model: SeqMaskRCNN, step: int) -> None:
    """Change the parameters and the buffers of a model, as a training step does."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for value in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            value.add_(torch.randn(value.shape, generator=generator))


def test_the_average_is_the_same_as_by_hand_also_after_a_resume(tmp_path: Path) -> None:
    decay, num_steps = 0.3, 6  # the decay of the first steps is below 0.3, of the last ones above it
    model = make_model().train()
    by_hand = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    state = RunState(model, average_weights(model, decay), build_optimizer(model, OptimConfig()))
    for step in range(num_steps):
        change_weights(state.model, step)
        state.average.update_parameters(state.model)
        state.step += 1
        used = min(decay, (1 + step) / (10 + step))
        for name, parameter in state.model.named_parameters():
            by_hand[name].lerp_(parameter.detach(), 1.0 - used)
        if step == 2:
            write_checkpoint(tmp_path, state, keep=1)
            fresh = make_model().train()
            state = RunState(fresh, average_weights(fresh, decay), build_optimizer(fresh, OptimConfig()))
            read_checkpoint(tmp_path, state)
    averaged = dict(state.average.module.named_parameters())
    assert all(torch.equal(averaged[name], value) for name, value in by_hand.items())
    buffers = zip(state.average.module.buffers(), state.model.buffers(), strict=True)
    assert all(torch.equal(of_average, of_model) for of_average, of_model in buffers)
    assert min(decay, 1 / 10) < decay < 6 / 15


class Code:
    """Run a command when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return subprocess.getoutput, (f"touch {self.trace}",)


def first(content: dict[str, Any], part: str) -> tuple[dict[str, Any], str]:
    """Return a part of a checkpoint and the name of its first tensor with more than one axis."""
    return content[part], next(name for name, value in content[part].items() if value.ndim > 1)


def spoil(part: str, change: Callable[[torch.Tensor], object]) -> Callable[[dict[str, Any]], object]:
    def apply(content: dict[str, Any]) -> None:
        values, name = first(content, part)
        values[name] = change(values[name])

    return apply


def spoil_optimizer(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["optimizer"]["state"][0].__setitem__(name, value)


NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda content: content.pop("average"), "average is missing from this checkpoint"),
        (lambda content: content.pop("optimizer"), "optimizer is missing from this checkpoint"),
        (lambda content: content.update(step="5"), "its step is not a number"),
        (lambda content: content.update(step=-1), "its step is not a number"),
        (lambda content: content.update(step=10**30), "its step is not a number"),
        (lambda content: content.update(step=torch.tensor([1, 2])), "its step is not a number"),
        (lambda content: content.update(validated=None), "its validated is not a number"),
        (lambda content: content.update(best_score=NAN), "its best_score is not a number"),
        (lambda content: content.update(best_score="high"), "its best_score is not a number"),
        (lambda content: content.update(model=[1]), "model is not a table of tensors"),
        (lambda content: content["model"].clear(), "model: .* and [0-9]+ more is missing"),
        (lambda content: content["average"].update({b"x": torch.zeros(1)}), "b'x' is a name of type bytes"),
        (lambda content: content["average"].update(x=torch.zeros(1)), "average: x is missing, is unknown"),
        (spoil("model", lambda value: value[:1]), "model: .* has another shape or type"),
        (spoil("average", lambda value: value[:1]), "average: .* has another shape or type"),
        (spoil("average", lambda value: value[..., None]), "average: .* has another shape or type"),
        (spoil("average", torch.Tensor.long), "average: .* has another shape or type"),
        (spoil("average", torch.Tensor.to_sparse), "is not a dense tensor"),
        (spoil("average", lambda value: 3), "is not a tensor"),
        (spoil("model", lambda value: torch.full_like(value, NAN)), "not finite"),
        (spoil("average", lambda value: torch.full_like(value, float("inf"))), "not finite"),
        (lambda content: content.update(optimizer=[]), "its optimizer has other parameters"),
        (lambda content: content["optimizer"].update(param_groups=[]), "its optimizer has other groups"),
        (lambda content: content["optimizer"]["state"].update({10**6: {}}), "its optimizer has other parameters"),
        (lambda content: content["optimizer"]["state"].update(x={}), "its optimizer has other parameters"),
        (lambda content: content["optimizer"]["state"].update({0: {}}), "its optimizer has another kind"),
        (spoil_optimizer("exp_avg", torch.zeros(3)), "its optimizer has another kind, or other parameters"),
        (spoil_optimizer("exp_avg", "x"), "'exp_avg' is not a tensor"),
        (spoil_optimizer("step", torch.zeros(3)), "a step that is not a number"),
        (spoil_optimizer("step", torch.tensor(NAN)), "not finite"),
        (spoil_optimizer("momentum_buffer", torch.zeros(3)), "its optimizer has another kind"),
    ],
)
def test_a_damaged_part_of_a_checkpoint_is_named_and_nothing_is_taken(
    change: Callable[[dict[str, Any]], object], cause: str, state: RunState, content: dict[str, Any]
) -> None:
    changed = {name: copy.copy(part) for name, part in content.items()}
    changed["optimizer"] = {"param_groups": content["optimizer"]["param_groups"], "state": copy_of_state(content)}
    change(changed)
    before = checksum(state)
    with pytest.raises(VisError, match=cause) as caught:
        restore(Path("checkpoint-000005.pt"), changed, state)
    assert "\n" not in str(caught.value)
    assert (state.step, checksum(state)) == (0, before)


def test_code_in_a_checkpoint_is_not_run_and_no_unsafe_advice_is_given(tmp_path: Path, state: RunState) -> None:
    torch.save({"step": 1, "extra": Code(tmp_path / "was_run")}, tmp_path / "checkpoint-000005.pt")
    with pytest.raises(VisError, match=r"can run code\. No code was run") as caught:
        read_checkpoint(tmp_path, state)
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {1: 2}, torch.zeros(3)])
def test_a_file_that_is_no_checkpoint_of_a_run(content: object, tmp_path: Path, state: RunState) -> None:
    torch.save(content, tmp_path / "checkpoint-000005.pt")
    with pytest.raises(VisError, match="checkpoint of a run"):
        read_checkpoint(tmp_path, state)


def test_a_checkpoint_that_is_not_a_regular_file(tmp_path: Path, state: RunState) -> None:
    path = tmp_path / "checkpoint-000005.pt"
    os.mkfifo(path)
    with pytest.raises(VisError, match="is a pipe"):
        read_checkpoint(tmp_path, state)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(VisError, match="is a device"):
        read_checkpoint(tmp_path, state)
    path.unlink()
    path.mkdir()
    with pytest.raises(VisError, match="is a folder"):
        read_checkpoint(tmp_path, state)
    write_checkpoint(tmp_path, dataclasses.replace(state, step=6), keep=1)
    assert path.is_dir()
