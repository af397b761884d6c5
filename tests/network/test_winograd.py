"""The wide 3x3 convolutions give what PyTorch's own give, whichever way they are computed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vis_cli.network import winograd
from vis_cli.network.winograd import FEWEST_CHANNELS, Conv3x3, transform_weight, winograd_conv


def make_conv(in_channels: int = FEWEST_CHANNELS, out_channels: int = FEWEST_CHANNELS) -> Conv3x3:
    torch.manual_seed(3)
    return Conv3x3(in_channels, out_channels)


def count_detours(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    seen: list[torch.Size] = []

    def counted(x: torch.Tensor, *args: torch.Tensor, **options: bool) -> torch.Tensor:
        seen.append(x.shape)
        return winograd_conv(x, *args, **options)

    monkeypatch.setattr(winograd, "winograd_conv", counted)
    return seen


@pytest.mark.parametrize(
    "shape",
    [(1, 3, 6, 6), (2, 3, 12, 18), (3, 5, 7, 9), (1, 2, 1, 1), (2, 4, 13, 30), (1, 2, 30, 700), (130, 2, 5, 6)],
)
@pytest.mark.parametrize("rectified", [False, True])
def test_equals_the_direct_convolution(shape: tuple[int, int, int, int], rectified: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator)
    weight = torch.randn((6, shape[1], 3, 3), generator=generator)
    bias = torch.randn(6, generator=generator)
    expected = F.conv2d(F.relu(x) if rectified else x, weight, bias, padding=1)
    result = winograd_conv(x, transform_weight(weight), bias, rectified=rectified)
    assert result.shape == expected.shape
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_hand_computed_sum() -> None:
    """A kernel of ones over a picture of ones counts the neighbours that there are."""
    result = winograd_conv(torch.ones(1, 1, 3, 4), transform_weight(torch.ones(1, 1, 3, 3)), torch.zeros(1))
    expected = torch.tensor([[4.0, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]])
    torch.testing.assert_close(result[0, 0], expected, rtol=0, atol=1e-5)


def test_memory_format_does_not_matter() -> None:
    x = torch.randn(2, 3, 9, 10, generator=torch.Generator().manual_seed(2))
    weight, bias = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(4)), torch.zeros(4)
    transformed = transform_weight(weight)
    last = winograd_conv(x.to(memory_format=torch.channels_last), transformed, bias)
    torch.testing.assert_close(last, winograd_conv(x, transformed, bias), rtol=0, atol=0)


def test_inference_takes_the_detour_and_agrees_with_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    conv = make_conv()
    x = torch.randn(1, FEWEST_CHANNELS, 24, 24, generator=torch.Generator().manual_seed(5))
    direct = conv(x)
    assert direct.requires_grad
    assert not seen
    rectified = conv(x, rectified=True)
    with torch.inference_mode():
        detour, rectified_detour = conv(x), conv(x, rectified=True)
    assert len(seen) == 2
    torch.testing.assert_close(detour, direct.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rectified_detour, rectified.detach(), rtol=1e-4, atol=1e-4)
    assert not torch.equal(detour, rectified_detour)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("channels", "size", "dtype"),
    [
        (FEWEST_CHANNELS // 2, 24, torch.float32),
        (FEWEST_CHANNELS, 8, torch.float32),
        (FEWEST_CHANNELS, 24, torch.float64),
    ],
)
def test_stays_direct_where_it_would_not_pay(
    channels: int, size: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = count_detours(monkeypatch)
    with torch.inference_mode(mode=False):
        conv = make_conv(channels, FEWEST_CHANNELS).to(dtype)
    assert conv(torch.zeros(1, channels, size, size, dtype=dtype)).shape == (1, FEWEST_CHANNELS, size, size)
    assert not seen


@torch.inference_mode()
def test_stays_direct_with_a_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    with torch.inference_mode(mode=False):
        conv = Conv3x3(FEWEST_CHANNELS, FEWEST_CHANNELS, 2)
    assert conv(torch.zeros(1, FEWEST_CHANNELS, 48, 48), rectified=True).shape == (1, FEWEST_CHANNELS, 24, 24)
    assert not seen


@torch.inference_mode()
def test_stays_direct_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    with torch.inference_mode(mode=False):
        conv = make_conv()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(torch.zeros(1, FEWEST_CHANNELS, 24, 24)).dtype == torch.bfloat16
    assert not seen


@torch.no_grad()
def test_sees_new_weights() -> None:
    """A step of the optimiser or loaded weights between two inferences are not missed."""
    conv = make_conv()
    x = torch.randn(1, FEWEST_CHANNELS, 24, 24, generator=torch.Generator().manual_seed(6))
    first = conv(x)
    conv.weight.mul_(2.0)
    expected = 2 * (first - conv.bias[:, None, None])
    torch.testing.assert_close(conv(x) - conv.bias[:, None, None], expected, rtol=0, atol=2e-5 * expected.abs().max())
    conv.load_state_dict({"weight": torch.zeros_like(conv.weight), "bias": torch.ones_like(conv.bias)})
    torch.testing.assert_close(conv(x), torch.ones_like(x), rtol=0, atol=0)


@torch.no_grad()
def test_sees_a_weight_that_took_the_place_of_another() -> None:
    """The allocator likes to give a new weight the address of the one before, and its version starts anew, too."""
    conv = make_conv()
    x = torch.ones(1, FEWEST_CHANNELS, 24, 24)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        weight = torch.full((FEWEST_CHANNELS, FEWEST_CHANNELS, 3, 3), value)
        conv.load_state_dict({"weight": weight, "bias": torch.zeros(FEWEST_CHANNELS)}, assign=True)
        del weight
        assert float(conv(x)[0, 0, 12, 12]) == pytest.approx(9 * FEWEST_CHANNELS * value, rel=1e-4)


@torch.no_grad()
def test_forgets_between_training_and_inference() -> None:
    """A fused optimiser changes a weight without a new version."""
    conv = make_conv().eval()
    x = torch.ones(1, FEWEST_CHANNELS, 24, 24)
    before = conv(x)
    conv.train()
    conv.weight.data.mul_(2.0)
    conv.bias.data.mul_(2.0)
    torch.testing.assert_close(conv.eval()(x), 2 * before)


@torch.inference_mode()
def test_no_image() -> None:
    with torch.inference_mode(mode=False):
        conv = make_conv()
    assert conv(torch.zeros(0, FEWEST_CHANNELS, 24, 24)).shape == (0, FEWEST_CHANNELS, 24, 24)


@pytest.mark.parametrize("channels", [FEWEST_CHANNELS, 8])
def test_what_is_shared_is_convolved_once(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    seen = count_detours(monkeypatch)
    conv = make_conv(2 * channels, FEWEST_CHANNELS)
    own, shared = torch.randn(3, channels, 24, 24), torch.randn(1, channels, 24, 24)
    expected = conv(torch.cat([own, shared.expand(3, -1, -1, -1)], dim=1)).detach()
    assert conv.forward_shared(own, shared).requires_grad
    with torch.no_grad():
        both = conv.forward_shared(own, shared)
    assert [shape[0] for shape in seen] == ([1, 3] if channels == FEWEST_CHANNELS else [])
    for result in (both, conv.forward_shared(own, shared), conv.forward_shared(own, shared.expand(3, -1, -1, -1))):
        torch.testing.assert_close(result.detach(), expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
