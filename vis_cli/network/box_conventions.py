"""Two conventions for boxes: `modern` for torchvision, `legacy` for the authors' checkpoints; used by `detector`.

In `vis`, a box ends where its last pixel ends. In the authors' implementation, a box names its last pixel, so its width
is x2 - x1 + 1. In `vis`, this box is (x1, y1, x2 + 1, y2 + 1). Decoding, IoU and NMS are therefore the same in both
conventions.

The classes of this module implement the remaining differences. See docs/explanation/box-conventions.md and
docs/explanation/authors-implementation.md#detector.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image, roi_align

from vis_cli.network.config import BoxConventionName

Size: TypeAlias = tuple[int, int]  # (h, w) of the network input before padding

POOLED_LEVELS = ("p2", "p3", "p4", "p5")
STRIDES = (4, 8, 16, 32, 64)  # of P2..P6
ANCHOR_SCALE = 8  # side of an anchor, in strides
ANCHOR_SIZES = tuple((ANCHOR_SCALE * stride,) for stride in STRIDES)
ANCHOR_RATIOS = ((0.5, 1.0, 2.0),) * len(STRIDES)  # height to width
SAMPLING_RATIO = 2  # of RoIAlign
# Pixels: a box of a smaller side is pooled from P2: docs/explanation/authors-implementation.md#fact-12
FINEST_BOX = 112


class BoxConvention(Protocol):
    """Rules for the pixels of anchors, pooled regions, masks and detections."""

    proposals_per_level: int  # maximum number per FPN level before NMS, in inference
    min_box_side: float  # in pixels of the network input; a smaller detection is removed

    def anchors(self) -> AnchorGenerator:
        """Build the anchor generator of P2..P6."""

    def box_coder(self, weights: tuple[float, float, float, float]) -> BoxCoder:
        """Build the coder that expresses boxes as deltas from proposals or anchors."""

    def roi_align(self, output_size: int, *, finest_box: int) -> nn.Module:
        """Build RoIAlign over P2 to P5. Its arguments are levels by name, and boxes and image sizes of each frame.

        Args:
            output_size: Height and width of a pooled region.
            finest_box: A box with a shorter side in pixels is pooled from P2. Below twice this side it is pooled from
                P3, and so on.
        """

    def clip(self, boxes: Tensor, size: Size) -> Tensor:
        """Clip boxes (N, 4) to a frame (h, w)."""

    def arrange(self, labels: Tensor, max_instances: int) -> Tensor:
        """Select at most `max_instances` detections.

        Args:
            labels: (N,) labels of the detections, in descending order of score.
            max_instances: Maximum number.

        Returns:
            Rows of the selected detections, in the order of the convention.
        """

    def paste(self, probs: Tensor, boxes: Tensor, size: Size) -> Tensor:
        """Paste the masks of boxes into a frame.

        Args:
            probs: (N, 28, 28) from 0 to 1, inside of the boxes.
            boxes: (N, 4) xyxy.
            size: (h, w) of the frame.

        Returns:
            (N, h, w) from 0 to 1.
        """


class ModernBoxes:
    """Convention of torchvision: boxes are real numbers. An anchor is centred on the upper left corner of its cell."""

    proposals_per_level = 400
    min_box_side = 1.0

    def anchors(self) -> AnchorGenerator:
        """Build torchvision's anchor generator."""
        return AnchorGenerator(ANCHOR_SIZES, ANCHOR_RATIOS)

    def box_coder(self, weights: tuple[float, float, float, float]) -> BoxCoder:
        """Build torchvision's box coder."""
        return BoxCoder(weights)

    def roi_align(self, output_size: int, *, finest_box: int) -> nn.Module:
        """Build torchvision's RoIAlign over FPN levels."""
        pool: nn.Module = MultiScaleRoIAlign(
            POOLED_LEVELS, output_size=output_size, sampling_ratio=SAMPLING_RATIO, canonical_scale=2 * finest_box
        )
        return pool

    def clip(self, boxes: Tensor, size: Size) -> Tensor:
        """Clip boxes (N, 4) to the frame. A box outside of it has no width."""
        clipped: Tensor = clip_boxes_to_image(boxes, size)
        return clipped

    def arrange(self, labels: Tensor, max_instances: int) -> Tensor:
        """Keep the order of the scores."""
        return torch.arange(min(len(labels), max_instances), device=labels.device)

    def paste(self, probs: Tensor, boxes: Tensor, size: Size) -> Tensor:
        """Paste masks as torchvision does: both mask and box are enlarged by one cell, and edges are truncated."""
        pasted: Tensor = paste_masks_in_image(probs[:, None], boxes, size)[:, 0]
        return pasted


class LegacyBoxes:
    """Convention of the authors' implementation: boxes are pixels, and an anchor is centred on its cell.

    See docs/explanation/authors-implementation.md#detector.
    """

    proposals_per_level = 200
    min_box_side = 0.0

    def anchors(self) -> AnchorGenerator:
        """Build anchors of whole pixels around (stride - 1) / 2.

        See docs/explanation/authors-implementation.md#fact-7.
        """
        return LegacyAnchors(ANCHOR_SIZES, ANCHOR_RATIOS)

    def box_coder(self, weights: tuple[float, float, float, float]) -> BoxCoder:
        """Build a box coder that limits how much a box shrinks, in addition to how much it grows.

        See docs/explanation/authors-implementation.md#fact-10.
        """
        return LegacyBoxCoder(weights)

    def roi_align(self, output_size: int, *, finest_box: int) -> nn.Module:
        """Build RoIAlign without a minimum size of a region.

        See docs/explanation/authors-implementation.md#fact-13.
        """
        return LegacyRoIAlign(output_size, finest_box)

    def clip(self, boxes: Tensor, size: Size) -> Tensor:
        """Move the first and the last pixel of boxes (N, 4) into the frame. A box outside becomes a pixel at the edge.

        See docs/explanation/authors-implementation.md#fact-10.
        """
        limits = boxes.new_tensor([size[1] - 1, size[0] - 1])
        return torch.cat(
            [boxes[:, :2].clamp(min=0).minimum(limits), boxes[:, 2:].clamp(min=1).minimum(limits + 1)], dim=1
        )

    def arrange(self, labels: Tensor, max_instances: int) -> Tensor:
        """Order by class, then by score; if there are more than `max_instances`, order by score only.

        See docs/explanation/authors-implementation.md#fact-15.
        """
        if len(labels) > max_instances:
            return torch.arange(max_instances, device=labels.device)
        return torch.argsort(labels, stable=True)

    def paste(self, probs: Tensor, boxes: Tensor, size: Size) -> Tensor:
        """Resize each mask to the pixels that its box covers.

        See docs/explanation/authors-implementation.md#fact-16.
        """
        height, width = size
        pasted = probs.new_zeros((len(probs), height, width))
        edges = boxes - boxes.new_tensor(
            [0.0, 0.0, 1.0, 1.0]
        )  # the last pixel is truncated, and not the end of the box
        for mask, prob, (x0, y0, x1, y1) in zip(pasted, probs, edges.int().tolist(), strict=True):
            sides = (max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1))
            resized = F.interpolate(prob[None, None], size=sides, mode="bilinear", align_corners=False)[0, 0]
            mask[y0 : y0 + sides[0], x0 : x0 + sides[1]] = resized[: height - y0, : width - x0]
        return pasted


def box_convention(name: BoxConventionName) -> BoxConvention:
    """Return the named convention.

    Raises:
        ValueError: The convention does not exist.
    """
    match name:
        case "modern":
            return ModernBoxes()
        case "legacy":
            return LegacyBoxes()
    raise ValueError(f"no box convention is named {name!r}")


class LegacyAnchors(AnchorGenerator):  # type: ignore[misc]  # torchvision is untyped
    """Anchors with integer coordinates, on grids whose strides do not depend on the padded size."""

    def generate_anchors(
        self,
        scales: tuple[int, ...],
        aspect_ratios: tuple[float, ...],
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> Tensor:
        """Return the anchors (A, 4) of the first cell. Coordinates are rounded, and halves are rounded to even."""
        size = torch.tensor(scales, dtype=dtype, device=device)[None, :]
        ratio = torch.tensor(aspect_ratios, dtype=dtype, device=device)[:, None]
        sides = torch.stack([size / ratio.sqrt(), size * ratio.sqrt()], dim=-1).reshape(-1, 2)  # (A, width and height)
        centre = (scales[0] / ANCHOR_SCALE - 1) / 2
        first, last = centre - (sides - 1) / 2, centre + (sides - 1) / 2
        return torch.cat([first.round(), last.round() + 1], dim=1)

    def grid_anchors(self, grid_sizes: list[list[int]], strides: list[list[Tensor]]) -> list[Tensor]:
        """Repeat the anchors of the first cell. The stride stays 64 pixels if P5 has 11 cells and P6 has 6."""
        anchors: list[Tensor] = super().grid_anchors(grid_sizes, [[stride, stride] for stride in STRIDES])
        return anchors


class LegacyBoxCoder(BoxCoder):  # type: ignore[misc]
    """Deltas of which none makes a side less than 0.016 of what it was."""

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Return boxes (N, 4R) from deltas (N, 4R) of boxes (N, 4)."""
        least = rel_codes.new_tensor([-torch.inf, -torch.inf, *(-self.bbox_xform_clip * w for w in self.weights[2:])])
        decoded: Tensor = super().decode_single(
            rel_codes.maximum(least.repeat(rel_codes.shape[1] // 4)), boxes.to(rel_codes.dtype)
        )
        return decoded


class LegacyRoIAlign(nn.Module):
    """Pool regions of any size, sampled from their corner on."""

    def __init__(self, output_size: int, finest_box: int = FINEST_BOX) -> None:
        super().__init__()
        self.output_size, self.finest_box = output_size, finest_box

    def forward(self, levels: dict[str, Tensor], boxes: list[Tensor], sizes: list[Size]) -> Tensor:
        """Return (N, F, s, s) of the boxes of all frames, in their order."""
        frames = torch.cat([box.new_full((len(box), 1), float(i)) for i, box in enumerate(boxes)])
        joined = torch.cat(boxes)
        chosen = pooling_level(joined, self.finest_box)
        finest = levels[POOLED_LEVELS[0]]
        pooled = finest.new_zeros((len(joined), finest.shape[1], self.output_size, self.output_size))
        for index, (name, stride) in enumerate(zip(POOLED_LEVELS, STRIDES, strict=False)):
            rows = torch.nonzero(chosen == index)[:, 0]
            first, end = joined[rows, :2], joined[rows, 2:]
            # torchvision's `aligned` moves regions by half a cell up and left: here they are to stay.
            regions = torch.cat([frames[rows], first + stride / 2, end.maximum(first) + stride / 2], dim=1)
            pooled[rows] = roi_align(
                levels[name], regions.to(finest.dtype), self.output_size, 1 / stride, SAMPLING_RATIO, aligned=True
            )
        return pooled


def pooling_level(boxes: Tensor, finest_box: int = FINEST_BOX) -> Tensor:
    """Return (N,) int64 which of P2..P5 boxes (N, 4) are pooled from.

    See docs/explanation/authors-implementation.md#fact-12.
    """
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    level: Tensor = torch.log2(2 * sides / finest_box + 1e-6).floor()
    return level.clamp(0, len(POOLED_LEVELS) - 1).long()
