"""A Seq-Prop head that has learned nothing copies labels: the mask stays on a still frame and follows a shift."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.network.factories import make_model
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.training.initialise import KEY_STD, start_as_label_copier

FPN = 32
SIDE = 128  # pixels of a frame; P2 is a quarter of it


def make_p2(num: int, *, seed: int = 0) -> Tensor:
    """Return (num, FPN, 32, 32) features that vary smoothly over places and unevenly over channels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((num, FPN, 10, 10), generator=generator) * torch.logspace(1, -1, FPN)[:, None, None]
    return F.interpolate(coarse, size=(SIDE // 4, SIDE // 4), mode="bicubic", align_corners=False)


@pytest.fixture
def head() -> SeqPropHead:
    torch.manual_seed(0)
    head = SeqPropHead(
        fpn_channels=FPN,
        c2_channels=6,
        c3_channels=6,
        encoder_channels=48,
        key_channels=24,
        value_channels=16,
        decoder_channels=8,
    )
    start_as_label_copier(head, make_p2(8, seed=1))
    return head.eval()


def propagate(head: SeqPropHead, first: Tensor, mask: Tensor, later: Tensor) -> Tensor:
    """Return the mask (SIDE, SIDE) of the later frame."""
    with torch.inference_mode():
        key, value = head.memorize(first, mask[None])
        skips = head.encode_skips(torch.zeros(1, 6, SIDE // 8, SIDE // 8), torch.zeros(1, 6, SIDE // 4, SIDE // 4))
        query_key, query_value = head.encode_query(later)
        return head.decode(query_value, skips, head.read(query_key, key[:, :, None], value[:, :, None]))[0] > 0.5


def iou(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_mask_of_a_still_frame_stays(head: SeqPropHead) -> None:
    mask = torch.zeros(SIDE, SIDE)
    mask[32:96, 48:112] = 1
    p2 = make_p2(1)
    assert iou(propagate(head, p2, mask, p2), mask > 0) > 0.75


def test_the_mask_follows_what_it_covers(head: SeqPropHead) -> None:
    mask = torch.zeros(SIDE, SIDE)
    mask[32:96, 32:80] = 1
    p2 = make_p2(1)
    shift = 16  # pixels: one cell of the affinity
    moved = propagate(head, p2, mask, torch.roll(p2, shift // 4, dims=3))
    assert iou(moved, torch.roll(mask, shift, dims=1) > 0) > 0.75
    assert iou(moved, mask > 0) < 0.7


def test_keys_are_even_and_hardly_hear_the_mask(head: SeqPropHead) -> None:
    p2 = make_p2(8, seed=1)
    mask = torch.zeros(SIDE, SIDE)
    mask[32:96, 48:112] = 1
    with torch.inference_mode():
        without, empty_value = head.memorize(p2, torch.zeros(1, SIDE, SIDE))
        within, full_value = head.memorize(p2, mask[None])
    deviations = without.std(dim=(0, 2, 3))
    assert deviations.min() > 0.5 * KEY_STD
    assert deviations.max() < 2.0 * KEY_STD
    assert (within - without).std() < 0.5 * KEY_STD
    label = (full_value - empty_value)[:, :2]
    assert label[:, :, 3:5, 4:6].mean().item() == pytest.approx(1.0, abs=0.2)
    assert label[:, :, :, :2].abs().mean() < 0.2


@pytest.mark.parametrize("field", ["encoder_channels", "key_channels", "value_channels", "decoder_channels"])
def test_one_channel_is_enough_to_start(field: str) -> None:
    model = make_model(**{field: 1})
    start_as_label_copier(model.prop_head, model.encode_frames(torch.rand(1, 3, 64, 64) * 255).pyramid[0].detach())
    assert all(bool(torch.isfinite(value).all()) for value in model.prop_head.state_dict().values())
