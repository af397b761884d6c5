"""A 3x3 convolution that costs a CPU half the time where it is wide; used by `seq_prop_head`, made of them.

Winograd's minimal filtering F(4x4, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
(CVPR 2016): 36 products give 16 outputs that take 144 otherwise. PyTorch's CPU convolutions do not use it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 4  # outputs a side
PATCH = TILE + 2  # inputs a side that they depend on
FEWEST_CHANNELS = 128  # 128 are 1.4 times as fast, 256 twice, 64 slower: the transforms cost more than they save
FEWEST_TILES = 32  # at once; fewer make the products too narrow
TILES_A_CHUNK = 96  # transformed at once, so that they stay in the cache

# B^T, G and A^T of the article's Sec. 4.2 (points 0, 1, -1, 2, -2 and infinity).
INPUT_TRANSFORM = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
WEIGHT_TRANSFORM = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT_TRANSFORM = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def _squared(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return what applies a transform down and across a flattened patch: its Kronecker product with itself."""
    once = torch.tensor(matrix, dtype=torch.float32, device="cpu")
    return torch.kron(once, once)


SPREAD = _squared(INPUT_TRANSFORM)  # (36, 36)
JOIN = _squared(OUTPUT_TRANSFORM)  # (16, 36)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps the size; the same to about 1e-5 of its largest output either way."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 1, 1)
        # The weight, kept so that no other takes its place in memory, its version then, and what became of it.
        self._transformed: tuple[Tensor, int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, h, w) from (B, in, h, w)."""
        if self.bias is None or not self._pays(x):
            return super().forward(x)
        return winograd_conv(x, self._transformed_weight(), self.bias)

    def _pays(self, x: Tensor) -> bool:
        """Tell whether the detour is possible and worth it: inference in float32 on a CPU, many channels and tiles."""
        batch, _, height, width = x.shape
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        num_tiles = batch * -(-height // TILE) * -(-width // TILE)
        wide = min(self.in_channels, self.out_channels) >= FEWEST_CHANNELS and num_tiles >= FEWEST_TILES
        return plain and wide and not torch.is_grad_enabled() and not self.weight.is_inference()

    def train(self, mode: bool = True) -> Conv3x3:
        """Forget the transformed weight, which the optimiser may change unseen."""
        self._transformed = None
        return super().train(mode)

    def _transformed_weight(self) -> Tensor:
        """Return the weight as `transform_weight` makes it, made once for each state of the weight."""
        known, weight = self._transformed, self.weight
        if known is None or known[0].data_ptr() != weight.data_ptr() or known[1] != weight._version:
            known = self._transformed = (weight.detach(), weight._version, transform_weight(weight))
        return known[2]


def transform_weight(weight: Tensor) -> Tensor:
    """Return G w G^T, (36, in, out), of a weight (out, in, 3, 3); computed in float64."""
    matrix = torch.tensor(WEIGHT_TRANSFORM, dtype=torch.float64, device=weight.device)
    transformed = torch.einsum("ai,ocij,bj->abco", matrix, weight.detach().double(), matrix)
    return transformed.flatten(0, 1).float().contiguous()


def winograd_conv(x: Tensor, transformed: Tensor, bias: Tensor) -> Tensor:
    """Convolve on a CPU, with zero padding of 1.

    Args:
        x: (B, in, h, w) float32.
        transformed: (36, in, out), of `transform_weight`.
        bias: (out,).

    Returns:
        (B, out, h, w) float32, channels last in memory.
    """
    batch, _, height, width = x.shape
    down, across = -(-height // TILE), -(-width // TILE)  # tiles
    beyond = (0, 0, 1, across * TILE + 1 - width, 1, down * TILE + 1 - height)
    padded = F.pad(x.permute(0, 2, 3, 1), beyond).contiguous()  # (B, 4*down+2, 4*across+2, in)
    out = x.new_empty((batch, down, TILE, across, TILE, transformed.shape[2]))
    rows = min(down, max(1, TILES_A_CHUNK // across))  # of tiles
    images = max(1, TILES_A_CHUNK // (rows * across)) if rows == down else 1
    for image in range(0, batch, images):
        for row in range(0, down, rows):
            some = padded[image : image + images, TILE * row : TILE * (row + rows) + 2]
            out[image : image + images, row : row + rows] = _convolve_tiles(some, transformed)
    out += bias
    whole = out.reshape(batch, down * TILE, across * TILE, -1)[:, :height, :width]
    return whole.permute(0, 3, 1, 2)


def _convolve_tiles(padded: Tensor, transformed: Tensor) -> Tensor:
    """Return (B, rows, 4, across, 4, out) from (B, 4*rows+2, 4*across+2, in)."""
    batch, height, width, channels = padded.shape
    rows, across = height // TILE, width // TILE
    by_batch, by_row, by_column, _ = padded.stride()
    patches = padded.as_strided(
        (PATCH, PATCH, batch, rows, across, channels),
        (by_row, by_column, by_batch, TILE * by_row, TILE * by_column, 1),
    )
    spread = torch.mm(SPREAD, patches.reshape(PATCH**2, -1))
    products = torch.bmm(spread.view(PATCH**2, -1, channels), transformed)  # (36, B*rows*across, out)
    joined = torch.mm(JOIN, products.view(PATCH**2, -1))
    return joined.view(TILE, TILE, batch, rows, across, -1).permute(2, 3, 0, 4, 1, 5)
