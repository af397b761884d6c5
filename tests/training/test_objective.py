"""The joint loss: how far its gradient reaches back through the memory."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.network.factories import SIZES, make_model
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training import objective
from vis_cli.training.objective import GuidanceFractions, clip_losses
from vis_cli.training.structures import TrainClip

from .test_pairs import make_clip

FRAMES = 4


def make_guided_clip() -> TrainClip:
    clip = make_clip(canvas=(64, 96), num_frames=FRAMES)
    return dataclasses.replace(
        clip, detect=False, labelled=torch.ones(4, dtype=torch.bool), guided_ids=torch.tensor([3])
    )


def losses_of(model: SeqMaskRCNN, truncate: int | None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return clip_losses(
        model,
        [make_guided_clip()],
        guidance=GuidanceFractions(ground_truth=1.0),
        cross_entropy_weight=0.5,
        generator=generator,
        sizes=SIZES,
        truncate=truncate,
    )


@pytest.mark.parametrize(
    ("truncate", "attached"),
    [(None, [True, True, True]), (3, [True, True, True]), (2, [True, True, False]), (1, [True, False, False])],
)
def test_the_memory_is_cut_off_from_the_gradient(
    truncate: int | None, attached: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model().train()
    read, seen, lengths = model.prop_head.read, [], []

    def spy(query_key: Tensor, mem_key: Tensor, mem_value: Tensor) -> Tensor:
        seen.append(mem_key.requires_grad)
        lengths.append(mem_key.shape[2])
        return read(query_key, mem_key, mem_value)

    monkeypatch.setattr(model.prop_head, "read", spy)
    losses_of(model, truncate)
    assert seen == attached
    assert lengths == [1, 2, 3]


def test_truncation_changes_the_gradient_and_not_the_loss() -> None:
    model = make_model().train()
    found = []
    for truncate in (None, 1):
        model.zero_grad()
        loss = losses_of(model, truncate)["loss_prop"]
        torch.autograd.backward(loss)
        gradient = model.prop_head.mask_conv.weight.grad
        assert gradient is not None
        found.append((loss.item(), gradient.clone()))
    (whole, far), (cut, near) = found
    assert whole == pytest.approx(cut)
    assert not torch.allclose(far, near)


def test_guidance_is_mixed_in_the_given_fractions() -> None:
    masks = torch.zeros(4000, 16, 16)
    masks[:, 4:12, 4:12] = 1.0
    estimates = torch.full_like(masks, 0.5)
    mixed = objective._mix_guidance(
        estimates, masks, GuidanceFractions(ground_truth=0.3, perturbed=0.2), torch.Generator().manual_seed(0)
    )
    is_estimate = (mixed == estimates).flatten(1).all(dim=1)
    is_true = (mixed == masks).flatten(1).all(dim=1)
    assert is_estimate.float().mean().item() == pytest.approx(0.5, abs=0.03)
    # A side of 8 pixels is changed by -1 to 1 pixel in three ways; 1 of 27 changes is none.
    assert is_true.float().mean().item() == pytest.approx(0.3 + 0.2 / 27, abs=0.03)
    for shares, expected in ((GuidanceFractions(ground_truth=1.0), masks), (GuidanceFractions(), estimates)):
        assert torch.equal(objective._mix_guidance(estimates, masks, shares, torch.Generator()), expected)


def test_an_absent_object_costs_the_fraction_of_the_frame_that_is_assigned_to_it() -> None:
    probs = torch.zeros(2, 4, 4)
    probs[1, :2, :2] = 1.0
    probs[1, 3] = 0.5
    truth = torch.zeros(2, 4, 4, dtype=torch.uint8)
    truth[0, 0, 0] = 1
    cost = objective._visible_mean(torch.tensor([0.5, 0.9]), probs, truth)
    assert cost.item() == pytest.approx((0.5 + 6 / 16) / 2)
