"""The optimiser: AdamW or SGD, and what of the parameters decays."""

from __future__ import annotations

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.training.config import OptimConfig
from vis_cli.training.optimizer import build_optimizer, set_rates


def test_sgd_with_momentum_is_an_option() -> None:
    model = make_model().train()
    optim = OptimConfig(kind="sgd", momentum=0.5, weight_decay=1e-4, decay_all=True)
    optimizer = build_optimizer(model, optim)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {1e-4}


def test_sgd_moves_against_the_gradient_by_the_parts_rate() -> None:
    model = make_model().train()
    optim = OptimConfig(kind="sgd", momentum=0.0, weight_decay=0.0, unnormed_share=0.5)
    optimizer = build_optimizer(model, optim)
    set_rates(optimizer, optim, 0.1)
    head, box = model.prop_head.predict.weight, model.detector.box_predictor.cls_score.weight
    before = head.detach().clone(), box.detach().clone()
    head.grad, box.grad = torch.ones_like(head), torch.ones_like(box)
    optimizer.step()
    torch.testing.assert_close(before[0] - head, torch.full_like(head, 0.05))
    torch.testing.assert_close(before[1] - box, torch.full_like(box, 0.1))


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
    with pytest.raises(VisError, match=f"did you mean {near}"):
        OptimConfig(**fields)  # type: ignore[arg-type]
