"""A 3x3 convolution that costs a CPU half the time where it is wide; used by `seq_prop_head`, made of them.

Winograd's minimal filtering F(6x6, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
(CVPR 2016): 64 products give 36 outputs that take 324 otherwise. PyTorch's CPU convolutions do not use it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 6  # outputs a side
PATCH = TILE + 2  # inputs a side that they depend on
FEWEST_CHANNELS = 128  # 128 are 1.4 times as fast, 256 twice, 64 slower: the transforms cost more than they save
FEWEST_TILES = 16  # at once; fewer make the products too narrow
TILES_A_CHUNK = 108  # transformed at once, so that they stay in the cache

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
# Rows 1 and 2, 3 and 4, 5 and 6 of B^T are the sum and the difference of a part over the even columns and a part over
# the odd ones; row 0 has even columns alone, row 7 odd ones. Each part is computed once, then added and subtracted.
EVEN_ROWS, ODD_ROWS = (0, 1, 3, 5), (7, 1, 3, 5)
ROWS = ((0, 1, 3, 5), (7, 2, 4, 6))  # what is left of the parts after that


def _products() -> list[int]:
    """List the products in the order in which they are computed, each by its row of (B^T x B^T)."""
    return [PATCH * down + across for downs in ROWS for acrosses in ROWS for down in downs for across in acrosses]


def _input_parts() -> Tensor:
    """Return (4, 16, 16): what takes the even or odd rows and even or odd columns of a patch to their parts."""
    matrix = torch.tensor(INPUT_TRANSFORM, device="cpu")
    parts = matrix[list(EVEN_ROWS), 0::2], matrix[list(ODD_ROWS), 1::2]
    return torch.stack([torch.kron(down, across) for down in parts for across in parts])


def _output_join() -> Tensor:
    """Return (36, 64): what takes the products to the outputs of a tile."""
    matrix = torch.tensor(OUTPUT_TRANSFORM, device="cpu")
    return torch.kron(matrix, matrix)[:, PRODUCTS].contiguous()


PRODUCTS = _products()
PARTS = _input_parts()
JOIN = _output_join()
BIASED = PRODUCTS.index(PATCH + 1)  # of the point 1 both ways, which every output takes once: the bias is added there


class Conv3x3(nn.Conv2d):
    """A padded 3x3 convolution; the same to 2e-5 of its largest output either way."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, stride, 1)
        # The weight, kept so that no other takes its place in memory, its version then, and what became of it.
        self._transformed: tuple[Tensor, int, Tensor] | None = None

    def forward(self, x: Tensor, *, rectified: bool = False) -> Tensor:
        """Return (B, out, h/stride, w/stride) from (B, in, h, w), or from its ReLU."""
        if self.bias is None or not self._pays(x):
            return super().forward(F.relu(x) if rectified else x)
        return winograd_conv(x, self._transformed_weight(), self.bias, rectified=rectified)

    def _pays(self, x: Tensor) -> bool:
        """Tell whether the detour is possible and worth it: inference in float32 on a CPU, many channels and tiles."""
        batch, _, height, width = x.shape
        possible = self.stride == (1, 1) and not torch.is_grad_enabled() and not self.weight.is_inference()
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        num_tiles = batch * -(-height // TILE) * -(-width // TILE)
        wide = min(self.in_channels, self.out_channels) >= FEWEST_CHANNELS and num_tiles >= FEWEST_TILES
        return possible and plain and wide

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
    """Return G w G^T, (64, in, out) in the order of PRODUCTS, of a weight (out, in, 3, 3); computed in float64."""
    matrix = torch.tensor(WEIGHT_TRANSFORM, dtype=torch.float64, device=weight.device)
    transformed = torch.einsum("ai,ocij,bj->abco", matrix, weight.detach().double(), matrix)
    return transformed.flatten(0, 1)[PRODUCTS].float()


def winograd_conv(x: Tensor, transformed: Tensor, bias: Tensor, *, rectified: bool = False) -> Tensor:
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


def _convolve_tiles(padded: Tensor, transformed: Tensor, bias: Tensor) -> Tensor:
    """Return (B, rows, 6, across, 6, out) from (B, 6*rows+2, 6*across+2, in)."""
    batch, height, width, channels = padded.shape
    rows, across = height // TILE, width // TILE
    by_batch, by_row, by_column, _ = padded.stride()
    patches = padded.as_strided(
        (2, 2, PATCH // 2, PATCH // 2, batch, rows, across, channels),
        (by_row, by_column, 2 * by_row, 2 * by_column, by_batch, TILE * by_row, TILE * by_column, 1),
    )
    spread = torch.bmm(PARTS, patches.reshape(4, PATCH**2 // 4, -1)).view(2, 2, PATCH // 2, PATCH // 2, -1)
    _add_and_subtract(spread[0, :, 1:], spread[1, :, 1:])
    _add_and_subtract(spread[:, 0, :, 1:], spread[:, 1, :, 1:])
    products = torch.bmm(spread.view(PATCH**2, -1, channels), transformed)  # (64, B*rows*across, out)
    products[BIASED] += bias
    joined = torch.mm(JOIN, products.view(PATCH**2, -1))
    return joined.view(TILE, TILE, batch, rows, across, -1).permute(2, 3, 0, 4, 1, 5)


def _add_and_subtract(even: Tensor, odd: Tensor) -> None:
    """Put even + odd and even - odd in their places."""
    even.add_(odd)
    torch.sub(even, odd, alpha=2, out=odd)
