"""Cut-outs of annotated objects, grouped by label. `datasets` collects them, and `copy_paste` pastes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.datasets.image import AnnotatedImage, ImageObject
from vis_cli.records.rle import decode_rle
from vis_cli.training.annotations import read_training_image

_RIM = 3  # pixels of background around a cut-out, which its soft edge needs


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image with the instance ids of its objects."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    id_map: NDArray[np.uint16]  # (H, W) instance ids, 0 is background
    notes: tuple[str, ...] = ()  # assumptions of the reader


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object, cut out of an image."""

    rgba: NDArray[np.uint8]  # (h, w, 4)
    label: int  # 1..C, 0 if unknown


class CutoutBank:
    """Objects that can be pasted. An image is read when one of its objects is sampled."""

    def __init__(self, candidates: dict[int, list[tuple[AnnotatedImage, ImageObject]]]) -> None:
        """Store the objects of each label. Labels without an object are ignored."""
        self._by_label = {label: found for label, found in sorted(candidates.items()) if found}
        self._labels = np.array(list(self._by_label), np.int64)
        self._weights = np.sqrt(
            [float(len(found)) for found in self._by_label.values()]
        )  # rare classes are sampled more often

    def __len__(self) -> int:
        """Return the number of objects."""
        return sum(len(found) for found in self._by_label.values())

    def draw(self, labels: Sequence[int], rng: np.random.Generator) -> Cutout:
        """Sample an object with one of `labels`, or with any label if the bank has no object with one of them.

        Raises:
            VisError: The image cannot be read.
            ValueError: The bank is empty.
        """
        if not self._by_label:
            raise ValueError("the bank of cut-outs is empty")
        offered = [label for label in labels if label in self._by_label]
        any_label = self._weights / self._weights.sum()
        label = int(rng.choice(offered) if offered else rng.choice(self._labels, p=any_label))
        annotated, item = self._by_label[label][int(rng.integers(len(self._by_label[label])))]
        if item.rle is None:
            raise ValueError(f"{annotated.path}: an object without a mask cannot be cut out")
        return cut_out(
            read_training_image(annotated.path, annotated.width, annotated.height),
            decode_rle(item.rle).view(np.uint8),
            label,
        )


def paste_candidates(annotated: AnnotatedImage, smallest: float) -> list[ImageObject]:
    """Return the complete objects of an image.

    An object is complete if it is not a crowd, does not touch the border, and covers more than the fraction `smallest`
    of the image.
    """
    return [
        item
        for item in annotated.objects
        if item.rle is not None
        and not item.is_crowd
        and item.area > smallest * annotated.width * annotated.height
        and _off_border(item, annotated)
    ]


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.uint8], label: int) -> Cutout:
    """Cut the object of a non-empty mask (H, W) out of an image (H, W, 3)."""
    x, y, width, height = cv2.boundingRect(mask)
    rows = slice(max(y - _RIM, 0), y + height + _RIM)
    columns = slice(max(x - _RIM, 0), x + width + _RIM)
    # The masks of some datasets have holes of single pixels.
    whole = cv2.morphologyEx(mask[rows, columns], cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return Cutout(np.dstack([image[rows, columns], 255 * whole]), label)


def _off_border(item: ImageObject, annotated: AnnotatedImage) -> bool:
    x, y, width, height = item.box
    return x >= 1 and y >= 1 and x + width <= annotated.width - 1 and y + height <= annotated.height - 1
