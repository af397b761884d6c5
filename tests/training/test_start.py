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


def test_norms_keep_their_statistics_unless_they_are_to_learn_them(tmp_path: Path) -> None:
    for extra, learning in (("", False), ("norm_eval = false", True)):
        model = build(tmp_path, extra)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        assert norms
        assert {norm.training for norm in norms} == {learning}


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
