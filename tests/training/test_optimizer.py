"""The optimiser: AdamW or SGD, and what of the parameters decays."""

from __future__ import annotations

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.training.config import OptimConfig
from vis_cli.training.config_errors import one_line_errors
from vis_cli.training.optimizer import build_optimizer, set_rates


def test_sgd_with_momentum_is_an_option() -> None:
    model = make_model().train()
    optim = OptimConfig(kind="sgd", momentum=0.5, weight_decay=1e-4, decay_all=True)
    optimizer = build_optimizer(model, optim)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {1e-4}


@pytest.mark.parametrize(("decoder_lr_mult", "decoder_step"), [(None, 0.05), (0.8, 0.08)])
def test_sgd_moves_against_the_gradient_by_the_parts_rate(decoder_lr_mult: float | None, decoder_step: float) -> None:
    model = make_model().train()
    optim = OptimConfig(
        kind="sgd", momentum=0.0, weight_decay=0.0, unnormed_lr_mult=0.5, decoder_lr_mult=decoder_lr_mult
    )
    optimizer = build_optimizer(model, optim)
    set_rates(optimizer, optim, 0.1)
    moved = {
        model.prop_head.query_encoder.key.weight: 0.05,
        model.prop_head.predict.weight: decoder_step,
        model.detector.box_predictor.cls_score.weight: 0.1,
    }
    before = [parameter.detach().clone() for parameter in moved]
    for parameter in moved:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for (parameter, step), old in zip(moved.items(), before, strict=True):
        torch.testing.assert_close(old - parameter, torch.full_like(parameter, step))


def test_what_does_not_learn_is_left_out() -> None:
    model = make_model().train()
    model.backbone.requires_grad_(False)
    assert {group["part"] for group in build_optimizer(model, OptimConfig()).param_groups} == {
        "fpn",
        "detector",
        "prop_head",
    }


@pytest.mark.parametrize(("fields", "near"), [({"kind": "adam"}, "adamw"), ({"decay": "step"}, "steps")])
def test_an_unknown_word_is_refused_with_a_near_one(fields: dict[str, str], near: str) -> None:
    with pytest.raises(VisError, match=f"Did you mean {near}"), one_line_errors(OptimConfig):
        OptimConfig(**fields)  # type: ignore[arg-type]
