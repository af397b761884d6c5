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
from vis_cli.training.checkpoint import RunState, WeightAverage, read_checkpoint, restore, write_checkpoint
from vis_cli.training.config import OptimConfig
from vis_cli.training.optimizer import build_optimizer


@pytest.fixture(scope="module")
def state() -> RunState:
    """Return the state of a run that has not begun."""
    model = make_model().train()
    return RunState(model, WeightAverage(model, 0.9), build_optimizer(model, OptimConfig()))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the content of a checkpoint after an optimiser's step."""
    folder, model = tmp_path_factory.mktemp("stepped"), make_model().train()
    state = RunState(model, WeightAverage(model, 0.9), build_optimizer(model, OptimConfig()))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    write_checkpoint(folder, state, keep=1)
    content: dict[str, Any] = torch.load(folder / "checkpoint-000000.pt", weights_only=True)
    return content


def checksum(state: RunState) -> float:
    return sum(
        float(value.detach().double().sum()) for value in (*state.model.parameters(), *state.average.values.values())
    )


def copy_of_state(content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {index: dict(values) for index, values in content["optimizer"]["state"].items()}


def test_an_intact_checkpoint_is_taken(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "checkpoint-000000.pt")
    model = make_model().train()
    read = RunState(model, WeightAverage(model, 0.9), build_optimizer(model, OptimConfig()))
    read_checkpoint(tmp_path, read)
    assert all(torch.equal(value, content["model"][name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, content["average"][name]) for name, value in read.average.values.items())
    gathered = read.optimizer.state_dict()["state"]
    assert all(torch.equal(gathered[i]["exp_avg"], v["exp_avg"]) for i, v in content["optimizer"]["state"].items())


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
        (lambda content: content.pop("average"), "has no average"),
        (lambda content: content.pop("optimizer"), "has no optimizer"),
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
        (lambda content: content["average"].update(x=torch.zeros(1)), "average: x is missing, left over"),
        (spoil("model", lambda value: value[:1]), "model: .* of another shape or type"),
        (spoil("average", lambda value: value[:1]), "average: .* of another shape or type"),
        (spoil("average", lambda value: value[..., None]), "average: .* of another shape or type"),
        (spoil("average", torch.Tensor.long), "average: .* of another shape or type"),
        (spoil("average", torch.Tensor.to_sparse), "is not a dense tensor"),
        (spoil("average", lambda value: 3), "is not a tensor"),
        (spoil("model", lambda value: torch.full_like(value, NAN)), "not finite"),
        (spoil("average", lambda value: torch.full_like(value, float("inf"))), "not finite"),
        (lambda content: content.update(optimizer=[]), "its optimizer has other parameters"),
        (lambda content: content["optimizer"].update(param_groups=[]), "its optimizer has other groups"),
        (lambda content: content["optimizer"]["state"].update({10**6: {}}), "its optimizer has other parameters"),
        (lambda content: content["optimizer"]["state"].update(x={}), "its optimizer has other parameters"),
        (lambda content: content["optimizer"]["state"].update({0: {}}), "its optimizer is another one"),
        (spoil_optimizer("exp_avg", torch.zeros(3)), "its optimizer is another one, or has other parameters"),
        (spoil_optimizer("exp_avg", "x"), "'exp_avg' is not a tensor"),
        (spoil_optimizer("step", torch.zeros(3)), "a step that is not a number"),
        (spoil_optimizer("step", torch.tensor(NAN)), "not finite"),
        (spoil_optimizer("momentum_buffer", torch.zeros(3)), "its optimizer is another one"),
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
    with pytest.raises(VisError, match="not a checkpoint of a run"):
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
