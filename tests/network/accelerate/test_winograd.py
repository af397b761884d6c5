"""The wide 3x3 convolutions give what PyTorch's own give, whichever way they are computed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vis_cli.network.accelerate import winograd
from vis_cli.network.accelerate.winograd import FEWEST_CHANNELS, WinogradConv3x3, transform_weight, winograd_conv
from vis_cli.network.seq_prop_head import conv3x3


def make_conv(in_channels: int = FEWEST_CHANNELS, out_channels: int = FEWEST_CHANNELS) -> WinogradConv3x3:
    torch.manual_seed(3)
    return WinogradConv3x3(conv3x3(in_channels, out_channels).requires_grad_(False))


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


@torch.inference_mode()
def test_takes_the_detour_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    conv = make_conv()
    x = torch.randn(1, FEWEST_CHANNELS, 24, 24, generator=torch.Generator().manual_seed(5))
    for given, rectified in ((x, False), (F.relu(x), True)):
        expected = F.conv2d(given, conv.weight, conv.bias, padding=1)
        torch.testing.assert_close(conv(x, rectified=rectified), expected, rtol=1e-4, atol=1e-4)
    assert len(seen) == 2


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
    conv = make_conv(channels, FEWEST_CHANNELS).to(dtype)
    assert conv(torch.zeros(1, channels, size, size, dtype=dtype)).shape == (1, FEWEST_CHANNELS, size, size)
    assert not seen


@torch.inference_mode()
def test_stays_direct_with_a_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    conv = WinogradConv3x3(conv3x3(FEWEST_CHANNELS, FEWEST_CHANNELS, 2))
    assert conv(torch.zeros(1, FEWEST_CHANNELS, 48, 48), rectified=True).shape == (1, FEWEST_CHANNELS, 24, 24)
    assert not seen


@torch.inference_mode()
def test_stays_direct_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_detours(monkeypatch)
    conv = make_conv()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(torch.zeros(1, FEWEST_CHANNELS, 24, 24)).dtype == torch.bfloat16
    assert not seen


def test_other_convolutions_are_rejected() -> None:
    for conv in (nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, 1, 1, bias=False)):
        with pytest.raises(ValueError, match="no 3x3 convolution"):
            WinogradConv3x3(conv)


@torch.inference_mode()
def test_no_image() -> None:
    conv = make_conv()
    assert conv(torch.zeros(0, FEWEST_CHANNELS, 24, 24)).shape == (0, FEWEST_CHANNELS, 24, 24)


@pytest.mark.parametrize("channels", [FEWEST_CHANNELS, 8])
def test_what_is_shared_is_convolved_once(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    seen = count_detours(monkeypatch)
    conv = make_conv(2 * channels, FEWEST_CHANNELS)
    own, shared = torch.randn(3, channels, 24, 24), torch.randn(1, channels, 24, 24)
    both = torch.cat([own, shared.expand(3, -1, -1, -1)], dim=1)
    expected = F.conv2d(both, conv.weight, conv.bias, padding=1)
    once = conv.forward_shared(own, shared)
    assert [shape[0] for shape in seen] == ([1, 3] if channels == FEWEST_CHANNELS else [])
    for result in (once, conv.forward_shared(own, shared.expand(3, -1, -1, -1))):
        torch.testing.assert_close(result, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
