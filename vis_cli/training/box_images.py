"""Images with boxes, which train only the detector. Masks are optional.

Used by `sources`. A view of an image is flipped, scaled and cropped. It is not rotated, because a rotated box is not
tight. A clip repeats one view and has no guided objects.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.records.datasets.image import AnnotatedImage, ImageObject
from vis_cli.records.rle import decode_rle
from vis_cli.training.annotations import read_training_image
from vis_cli.training.labels import LabelMap
from vis_cli.training.photometric import ColourLimits, change_colours
from vis_cli.training.structures import ClipTargets, TrainClip
from vis_cli.training.transforms import scale_at_zoom_one

_MEAN_COLOUR = (124, 116, 104)  # of ImageNet, RGB
_COLOUR = ColourLimits(clip=0.25, frame=0.0, grey=0.03, blur=0.08, noise=0.05, jpeg=0.1)
_ALIASING = 0.7  # a scale below this needs averaging first


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """Limits of the view of an image."""

    zoom: tuple[float, float] = (0.8, 2.0)  # at 1 the image fits into the canvas
    focus: float = 0.7  # probability that the view is centred on a random object
    flip: float = 0.5  # probability
    colour: ColourLimits = _COLOUR
    # A box with less than this fraction inside of the view, or with a shorter side, is neither object nor background.
    smallest_seen: float = 0.35
    smallest_side: float = 3.0  # pixels of the canvas


@dataclass(frozen=True, slots=True)
class View:
    """Mapping from image pixels to canvas pixels: scale, then mirror, then shift."""

    scale: float
    flip: bool
    shift: tuple[float, float]
    width: int  # of the image

    def matrix(self) -> NDArray[np.float64]:
        """Return the (2, 3) matrix of continuous coordinates (x, y, 1)."""
        sign = -self.scale if self.flip else self.scale
        start = self.scale * self.width if self.flip else 0.0
        return np.array([[sign, 0.0, start + self.shift[0]], [0.0, self.scale, self.shift[1]]])

    def boxes(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map boxes (N, 4) xyxy to canvas pixels, without clipping."""
        left, right = (boxes[:, 2], boxes[:, 0]) if self.flip else (boxes[:, 0], boxes[:, 2])
        (a, _, c), (_, d, f) = self.matrix()
        return np.stack([a * left + c, d * boxes[:, 1] + f, a * right + c, d * boxes[:, 3] + f], axis=1)


class BoxImages:
    """Dataset of images with boxes. A clip shows one view of an image."""

    def __init__(
        self,
        annotated_images: Sequence[AnnotatedImage],
        label_map: LabelMap,
        limits: ViewLimits = ViewLimits(),
        *,
        name: str,
        score_threshold: float = 0.5,
        background_weight: float = 1.0,
        repeat_rare: float = 0.0,
    ) -> None:
        """Select the images of an epoch.

        Args:
            annotated_images: Result of `read_boxes`.
            label_map: Mapping from category names to labels.
            limits: Limits of the views.
            name: Name of the dataset, for error messages.
            score_threshold: Minimum score of an object, from 0 to 1. A box below it is neither object nor background.
            background_weight: Weight of regions without an object in the losses.
            repeat_rare: Fraction of the images, from 0 to 1. Images of classes that fewer images show are repeated.

        Raises:
            VisError: No object has a label.
        """
        self.categories = frozenset(item.category for annotated in annotated_images for item in annotated.objects)
        self._label_map, self._limits = label_map, limits
        self._score_threshold, self._background_weight = score_threshold, background_weight
        shown = [self._shown_labels(annotated) for annotated in annotated_images]
        if not any(shown):
            raise VisError(f"cannot train on {name}: no object has a category of the model. Check category_map.")
        repeats = repeat_factors(shown, repeat_rare)
        self._items = [
            annotated for annotated, number in zip(annotated_images, repeats, strict=True) for _ in range(number)
        ]

    def __len__(self) -> int:
        """Return the number of images, with repetitions."""
        return len(self._items)

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        """Create a clip of image `index`.

        Raises:
            VisError: The image cannot be read.
        """
        annotated = self._items[index]
        view = _draw_view(annotated, self._limits, canvas, rng)
        notes: list[str] = []
        image = _show(
            read_training_image(annotated.path, annotated.width, annotated.height, note=notes.append), view, canvas
        )
        (image,) = change_colours([image], self._limits.colour, rng)
        targets, ignore, doubtful = self._targets(annotated, view, canvas)
        frames = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).expand(num_frames, -1, -1, -1)
        return TrainClip(
            frames.contiguous(),
            (targets,) * num_frames,
            self._label_map.labelled(annotated.source),
            True,
            (ignore,) * num_frames,
            str(annotated.path),
            torch.zeros(0, dtype=torch.int64),
            self._background_weight,
            doubtful,
            tuple(notes),
        )

    def _shown_labels(self, annotated: AnnotatedImage) -> frozenset[int]:
        sure = [o for o in annotated.objects if not o.is_crowd and o.score >= self._score_threshold]
        return frozenset(label for item in sure if (label := self._label_map.label(item.category)) is not None)

    def _targets(
        self, annotated: AnnotatedImage, view: View, canvas: tuple[int, int]
    ) -> tuple[ClipTargets, Tensor, Tensor]:
        """Return the objects of the view, and the boxes (M, 4) to ignore and (D, 4) below the score threshold, xyxy."""
        known = [
            (item, label) for item in annotated.objects if (label := self._label_map.label(item.category)) is not None
        ]
        corners = np.array([_corners(item) for item, _ in known], np.float64).reshape(-1, 4)
        whole = view.boxes(corners)
        limits = np.array([canvas[1], canvas[0]] * 2, np.float64)
        cut = np.clip(whole, 0.0, limits)
        seen = _areas(cut) / np.maximum(_areas(whole), 1e-6)
        sides = (cut[:, 2:] - cut[:, :2]).min(axis=1) if len(cut) else np.zeros(0)
        sure = np.array([item.score >= self._score_threshold for item, _ in known], bool)
        crowd = np.array([item.is_crowd for item, _ in known], bool)
        visible = (seen > 0.0) & (sides > 0.0)
        trained = visible & sure & ~crowd & (seen >= self._limits.smallest_seen) & (sides >= self._limits.smallest_side)
        rows = np.flatnonzero(trained)
        items = [known[i][0] for i in rows]
        targets = ClipTargets(
            boxes=torch.from_numpy(cut[rows]).float(),
            labels=torch.tensor([known[i][1] for i in rows], dtype=torch.int64),
            masks=torch.from_numpy(_masks(items, view, canvas)),
            instance_ids=torch.from_numpy(rows + 1),
            scores=torch.tensor([item.score for item in items], dtype=torch.float32),
            has_mask=torch.tensor([item.rle is not None for item in items], dtype=torch.bool),
        )
        ignore, doubtful = (
            torch.from_numpy(cut[rest]).float() for rest in (visible & sure & ~trained, visible & ~sure)
        )
        return targets, ignore, doubtful


def repeat_factors(shown: Sequence[frozenset[int]], threshold: float) -> list[int]:
    """Return the number of repetitions of each image: the largest sqrt(threshold / fraction) of its classes, rounded.

    Args:
        shown: Labels of each image.
        threshold: Fraction of the images below which a class is rare, from 0 to 1. At 0, each image is used once.

    Reference: LVIS (Gupta et al., CVPR 2019), Sec. 4.2.
    """
    counts = Counter(label for labels in shown for label in labels)
    rates = {label: math.sqrt(threshold * len(shown) / count) for label, count in counts.items()}
    return [max(1, round(max((rates[label] for label in labels), default=1.0))) for labels in shown]


def _draw_view(
    annotated: AnnotatedImage, limits: ViewLimits, canvas: tuple[int, int], rng: np.random.Generator
) -> View:
    height, width = canvas
    unit = scale_at_zoom_one((annotated.height, annotated.width), canvas, whole=True)
    scale = unit * float(np.exp(rng.uniform(*np.log(limits.zoom))))
    flip = bool(rng.random() < limits.flip)
    focus = (annotated.width * rng.random(), annotated.height * rng.random())
    if annotated.objects and rng.random() < limits.focus:
        x, y, across, down = annotated.objects[int(rng.integers(len(annotated.objects)))].box
        focus = (x + across / 2, y + down / 2)
    x = annotated.width - focus[0] if flip else focus[0]
    shift = []
    for point, size, side in ((x, annotated.width, width), (focus[1], annotated.height, height)):
        slack = side - size * scale  # negative if the image is larger than the canvas
        wanted = rng.uniform(0.25, 0.75) * side - point * scale
        shift.append(float(np.clip(wanted, min(slack, 0.0), max(slack, 0.0))))
    return View(scale, flip, (shift[0], shift[1]), annotated.width)


def _show(image: NDArray[np.uint8], view: View, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the view (H, W, 3). Canvas pixels outside of the image have the mean colour."""
    factor = 1.0
    if view.scale < _ALIASING:
        factor = view.scale
        size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _warp(image, view, canvas, factor, cv2.INTER_LINEAR, _MEAN_COLOUR)


def _masks(items: Sequence[ImageObject], view: View, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the masks (N, H, W). An object without a mask has an empty one."""
    masks = np.zeros((len(items), *canvas), np.uint8)
    for mask, item in zip(masks, items, strict=True):
        if item.rle is not None:
            mask[:] = _warp(decode_rle(item.rle).view(np.uint8), view, canvas, 1.0, cv2.INTER_NEAREST, (0,))
    return masks


def _warp(
    image: NDArray[np.uint8],
    view: View,
    canvas: tuple[int, int],
    factor: float,
    interpolation: int,
    border: tuple[int, ...],
) -> NDArray[np.uint8]:
    """Map an image that was resized by `factor` to the canvas."""
    matrix = view.matrix()
    matrix[:, :2] /= factor
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # the centre of pixel i is i + 0.5
    size = (canvas[1], canvas[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=interpolation, borderValue=border), np.uint8)


def _corners(item: ImageObject) -> tuple[float, float, float, float]:
    x, y, width, height = item.box
    return x, y, x + width, y + height


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    return areas
