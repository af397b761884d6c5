"""A 3x3 convolution for inference that takes half the time on a CPU if it is wide; used by `accelerate`.

Winograd's minimal filtering F(6x6, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
(CVPR 2016): 64 products give 36 outputs that take 324 otherwise. PyTorch's CPU convolutions do not use it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vis_cli.network.accelerate.fused_conv import Activation, activate, fused_conv

TILE = 6  # outputs a side
PATCH = TILE + 2  # inputs a side that they depend on
FEWEST_CHANNELS = (
    128  # 128 are 1.4 times as fast, 256 more than twice, 64 slower: the transforms cost more than they save
)
FEWEST_TILES = 16  # at once; fewer make the products too narrow
TILES_A_CHUNK = 216  # transformed at once: more would not be quicker, but hold more memory

# B^T, G and A^T for the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
INPUT_TRANSFORM = (
    (1.0, 0.0, -21 / 4, 0.0, 21 / 4, 0.0, -1.0, 0.0),
    (0.0, 1.0, 1.0, -17 / 4, -17 / 4, 1.0, 1.0, 0.0),
    (0.0, -1.0, 1.0, 17 / 4, -17 / 4, -1.0, 1.0, 0.0),
    (0.0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2.0, 1.0, 0.0),
    (0.0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2.0, 1.0, 0.0),
    (0.0, 2.0, 4.0, -5 / 2, -5.0, 1 / 2, 1.0, 0.0),
    (0.0, -2.0, 4.0, 5 / 2, -5.0, -1 / 2, 1.0, 0.0),
    (0.0, -1.0, 0.0, 21 / 4, 0.0, -21 / 4, 0.0, 1.0),
)
WEIGHT_TRANSFORM = (
    (1.0, 0.0, 0.0),
    (-2 / 9, -2 / 9, -2 / 9),
    (-2 / 9, 2 / 9, -2 / 9),
    (1 / 90, 1 / 45, 2 / 45),
    (1 / 90, -1 / 45, 2 / 45),
    (32 / 45, 16 / 45, 8 / 45),
    (32 / 45, -16 / 45, 8 / 45),
    (0.0, 0.0, 1.0),
)
OUTPUT_TRANSFORM = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 1 / 2, -1 / 2, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 1 / 4, 1 / 4, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1 / 8, -1 / 8, 0.0),
    (0.0, 1.0, 1.0, 16.0, 16.0, 1 / 16, 1 / 16, 0.0),
    (0.0, 1.0, -1.0, 32.0, -32.0, 1 / 32, -1 / 32, 1.0),
)


def _both_ways(transform: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return what applies a transform to rows and columns of a flattened square: (outputs^2, inputs^2) float32."""
    matrix = torch.tensor(transform, dtype=torch.float64, device="cpu")
    return torch.kron(matrix, matrix).float()


SPREAD = torch.tensor(INPUT_TRANSFORM, device="cpu")
SPREAD_WEIGHT = _both_ways(WEIGHT_TRANSFORM)  # (64, 9)
JOIN = _both_ways(OUTPUT_TRANSFORM)  # (36, 64)
BIASED = PATCH + 1  # the product of the point 1 both ways, which every output takes once: the bias is added there


class WinogradConv3x3(nn.Module):
    """A padded 3x3 convolution; both algorithms differ by at most 2e-5 of the largest output."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take over the weights of a 3x3 convolution with a bias and padding 1."""
        super().__init__()
        if conv.kernel_size != (3, 3) or conv.padding != (1, 1) or conv.groups != 1 or conv.bias is None:
            raise ValueError(f"no 3x3 convolution with a bias and padding 1: {conv}")
        self.weight, self.bias, self.stride = conv.weight, conv.bias, conv.stride
        self._transformed: Tensor | None = None  # computed at first use: float16 and bfloat16 never need it

    def forward(
        self, x: Tensor, *, rectified: bool = False, activation: Activation = "none", residual: Tensor | None = None
    ) -> Tensor:
        """Return (B, out, h/stride, w/stride) from (B, in, h, w), or from its ReLU.

        A residual of the size of the output is added, and then the activation is applied.
        """
        every = slice(None)
        return self._convolve(x, every, self.bias, rectified=rectified, activation=activation, residual=residual)

    def forward_shared(self, x: Tensor, shared: Tensor) -> Tensor:
        """Convolve the concatenation of x (B, A, h, w) and shared (1 or B, in - A, h, w) along the channels.

        A convolution is linear, so one shared part is convolved once and added.
        """
        num, own = x.shape[:2]
        if len(shared) == num:
            return self.forward(torch.cat([x, shared], dim=1))
        common = self._convolve(shared, slice(own, None), self.bias)
        return self._convolve(x, slice(own), None).add_(common)

    def _convolve(
        self,
        x: Tensor,
        part: slice,
        bias: Tensor | None,
        *,
        rectified: bool = False,
        activation: Activation = "none",
        residual: Tensor | None = None,
    ) -> Tensor:
        """Convolve with the part of the weight for some of the input channels."""
        if not self._pays(x):
            where = [1, 1], list(self.stride), [1, 1], 1
            x = F.relu(x) if rectified else x
            return fused_conv(x, self.weight[:, part], bias, where, activation=activation, residual=residual)
        if self._transformed is None:
            self._transformed = transform_weight(self.weight)
        out = winograd_conv(x, self._transformed[:, part], bias, rectified=rectified)
        return activate(out if residual is None else out.add_(residual), activation)

    def _pays(self, x: Tensor) -> bool:
        """Return whether Winograd is possible and faster: float32 on a CPU, many channels and tiles."""
        batch, channels, height, width = x.shape
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        num_tiles = batch * -(-height // TILE) * -(-width // TILE)
        wide = min(channels, len(self.weight)) >= FEWEST_CHANNELS and num_tiles >= FEWEST_TILES
        return self.stride == (1, 1) and plain and wide


def transform_weight(weight: Tensor) -> Tensor:
    """Return G w G^T, (64, in, out), of a weight (out, in, 3, 3)."""
    out_channels, in_channels = weight.shape[:2]
    taps = weight.detach().float().permute(2, 3, 1, 0).reshape(9, -1)
    return torch.mm(SPREAD_WEIGHT, taps).view(PATCH**2, in_channels, out_channels)


def winograd_conv(x: Tensor, transformed: Tensor, bias: Tensor | None, *, rectified: bool = False) -> Tensor:
    """Convolve on a CPU, with zero padding of 1.

    Args:
        x: (B, in, h, w) float32.
        transformed: (64, in, out), of `transform_weight`.
        bias: (out,).
        rectified: convolve ReLU(x).

    Returns:
        (B, out, h, w) float32, channels last in memory.
    """
    batch, _, height, width = x.shape
    down, across = -(-height // TILE), -(-width // TILE)  # tiles
    padded = _pad(x, down * TILE + 2, across * TILE + 2, rectified=rectified)
    out = x.new_empty((batch, down, TILE, across, TILE, transformed.shape[2]))
    rows = min(down, max(1, TILES_A_CHUNK // across))  # of tiles
    images = max(1, TILES_A_CHUNK // (rows * across)) if rows == down else 1
    for image in range(0, batch, images):
        for row in range(0, down, rows):
            some = padded[image : image + images, TILE * row : TILE * (row + rows) + 2]
            out[image : image + images, row : row + rows] = _convolve_tiles(some, transformed, bias)
    whole = out.reshape(batch, down * TILE, across * TILE, -1)[:, :height, :width]
    return whole.permute(0, 3, 1, 2)


def _pad(x: Tensor, height: int, width: int, *, rectified: bool) -> Tensor:
    """Return (B, height, width, C) from (B, C, h, w), or its ReLU, with a zero before and zeros behind each side."""
    batch, channels, inner_height, inner_width = x.shape
    padded = x.new_empty((batch, height, width, channels))
    padded[:, 0], padded[:, 1 + inner_height :] = 0.0, 0.0
    padded[:, :, 0], padded[:, :, 1 + inner_width :] = 0.0, 0.0
    inner = padded[:, 1 : 1 + inner_height, 1 : 1 + inner_width]
    if rectified:
        torch.clamp_min(x.permute(0, 2, 3, 1), 0.0, out=inner)
    else:
        inner.copy_(x.permute(0, 2, 3, 1))
    return padded


def _convolve_tiles(padded: Tensor, transformed: Tensor, bias: Tensor | None) -> Tensor:
    """Return (B, rows, 6, across, 6, out) from (B, 6*rows+2, 6*across+2, in)."""
    by_columns = torch.matmul(SPREAD, padded.unfold(2, PATCH, TILE).transpose(3, 4))  # (B, height, across, 8, in)
    by_rows = by_columns.flatten(3).unfold(1, PATCH, TILE).transpose(3, 4)  # (B, rows, across, 8, 8*in)
    batch, rows, across = by_rows.shape[:3]
    spread = torch.matmul(SPREAD, by_rows).view(batch * rows * across, PATCH**2, -1)
    products = torch.bmm(spread.transpose(0, 1), transformed)  # (64, tiles, out)
    if bias is not None:
        products[BIASED] += bias
    joined = torch.bmm(JOIN.expand(len(spread), -1, -1), products.transpose(0, 1))  # (tiles, 36, out)
    return joined.view(batch, rows, across, TILE, TILE, -1).transpose(2, 3)
