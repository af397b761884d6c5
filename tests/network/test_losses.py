"""Losses by hand-computed numbers."""

from __future__ import annotations

import math

import pytest
import torch

from vis_cli.network.aggregation import aggregate_logits, soft_aggregate
from vis_cli.network.losses import (
    aggregated_cross_entropy,
    box_regression_loss,
    mask_loss,
    partial_cross_entropy,
    soft_iou_loss,
)


def test_soft_iou_weighs_every_object_alike() -> None:
    probs = torch.tensor([[[0.5, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]])
    masks = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [1, 1]]], dtype=torch.uint8)
    assert soft_iou_loss(probs, masks).tolist() == pytest.approx([0.5, 0.25], abs=1e-5)


def test_aggregation_of_two_sure_objects_shares_the_pixel() -> None:
    probs = soft_aggregate(torch.tensor([[[0.9]], [[0.9]]]))
    assert probs.sum(dim=0).item() == pytest.approx(1.0)
    assert probs[1, 0, 0].item() == pytest.approx(9 / (9 + 9 + 0.01 / 0.99))


def test_aggregation_of_nothing_is_background() -> None:
    assert soft_aggregate(torch.zeros(0, 2, 3)).tolist() == [[[1.0] * 3] * 2]


def test_aggregated_cross_entropy_looks_up_the_true_object() -> None:
    logits = torch.log(torch.tensor([[[0.7, 0.2]], [[0.2, 0.1]], [[0.1, 0.7]]]))
    masks = torch.tensor([[[0, 0]], [[0, 1]]], dtype=torch.uint8)
    assert aggregated_cross_entropy(logits, masks).item() == pytest.approx(-math.log(0.7))


def test_a_region_costs_its_weight() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.5, 0.3]]))
    labels, everything = torch.tensor([1, 0]), torch.ones(2, 3, dtype=torch.bool)
    loss = partial_cross_entropy(logits, labels, everything, torch.tensor([0.5, 0.25]))
    assert loss.item() == pytest.approx(-(0.5 * math.log(0.6) + 0.25 * math.log(0.2)) / 2)
    deltas, goals = torch.tensor([[0.5, 0.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]]), torch.zeros(2, 4)
    weighted = box_regression_loss(deltas, goals, 10, weights=torch.tensor([1.0, 0.2]))
    assert weighted.item() == pytest.approx((0.125 + 0.2 * 2.5) / 10)


def test_background_regions_cost_only_the_labelled_classes() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3]]))
    background = torch.tensor([0])
    only_second = torch.tensor([[False, False, True]])
    everything = torch.tensor([[True, True, True]])
    assert partial_cross_entropy(logits, background, only_second).item() == pytest.approx(-math.log(0.7))
    assert partial_cross_entropy(logits, background, everything).item() == pytest.approx(-math.log(0.1))
    assert partial_cross_entropy(logits, torch.tensor([1]), only_second).item() == pytest.approx(-math.log(0.6))


def test_box_loss_is_summed_over_positives_and_divided_by_all_regions() -> None:
    deltas, targets = torch.tensor([[0.0, 0.0, 0.5, 3.0]]), torch.zeros(1, 4)
    assert box_regression_loss(deltas, targets, 10).item() == pytest.approx((0.125 + 2.5) / 10)


def test_mask_loss_cuts_the_target_to_its_box() -> None:
    masks = torch.zeros(1, 40, 40, dtype=torch.uint8)
    masks[0, :, :20] = 1
    inside, outside = torch.tensor([[4.0, 4.0, 14.0, 14.0]]), torch.tensor([[24.0, 4.0, 34.0, 14.0]])
    sure = torch.full((1, 28, 28), 10.0)
    assert mask_loss(sure, masks, inside).item() == pytest.approx(0.0, abs=1e-3)
    assert mask_loss(sure, masks, outside).item() == pytest.approx(10.0, abs=1e-3)
    assert mask_loss(sure[:0], masks[:0], inside[:0]).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_aggregation_computes_in_float32_whatever_the_network_does(dtype: torch.dtype) -> None:
    probs = torch.tensor([0.0, 0.003, 0.5, 0.99, 1.0], dtype=dtype).reshape(5, 1, 1).expand(5, 2, 2)
    for function in (aggregate_logits, soft_aggregate):
        aggregated = function(probs)
        assert aggregated.dtype == torch.float32
        assert aggregated.isfinite().all()
        torch.testing.assert_close(aggregated, function(probs.double().float()), rtol=0.0, atol=0.0)
    assert aggregate_logits(probs)[5].flatten()[0] == pytest.approx(16.1, abs=0.2)  # logit of 1 - 1e-7
