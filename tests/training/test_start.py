"""The network as a run starts with it: what is frozen, and what the norms do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vis_cli.errors import VisError
from vis_cli.training.config_file import read_train_config
from vis_cli.training.start import build_model

from .test_trainer import make_run


def build(folder: Path, extra: str) -> torch.nn.Module:
    return build_model(read_train_config(make_run(folder, extra=extra)))


def test_named_parts_do_not_learn(tmp_path: Path) -> None:
    model = build(tmp_path, "freeze = ['backbone', 'detector.rpn']")
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith(("backbone", "detector.rpn")), name


def learning_norms(model: torch.nn.Module) -> dict[str, bool]:
    """Tell by name which batch norms move their statistics."""
    norms = torch.nn.modules.batchnorm._BatchNorm
    return {name: module.training for name, module in model.named_modules() if isinstance(module, norms)}


def test_norms_keep_their_statistics_unless_they_are_to_learn_them(tmp_path: Path) -> None:
    for extra, learning in (("", False), ("norm_eval = false", True)):
        assert set(learning_norms(build(tmp_path, extra)).values()) == {learning}


def test_norms_of_frozen_parts_keep_their_statistics(tmp_path: Path) -> None:
    part = "backbone.body.blocks.3."
    path = make_run(tmp_path, init="lite", extra=f"norm_eval = false\nfreeze = ['{part}']")
    frozen = ("backbone.body.bn1", "backbone.body.blocks.0.", "backbone.body.blocks.1.", part)
    found = learning_norms(build_model(read_train_config(path)))
    assert len(set(found.values())) == 2
    assert all(learns != name.startswith(frozen) for name, learns in found.items())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("freeze = ['bckbone']", "freeze is bckbone, but no part"),
        ("freeze = ['backbone', 'fpn', 'detector', 'prop_head']", "no part of the network learns"),
        ("num_frames = 1", r"num_frames is 1, .*or freeze = \[.prop_head.\]"),
    ],
)
def test_a_network_that_cannot_learn_so_is_refused(extra: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VisError, match=message):
        build(tmp_path, extra)
