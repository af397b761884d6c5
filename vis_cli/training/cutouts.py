"""Objects cut out of annotated pictures, found by their label; made by `datasets`, drawn from by `copy_paste`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import decode_rle
from vis_cli.training.annotations import Still, StillObject, read_picture

_RIM = 3  # pixels of surroundings kept around a cut-out, so that its soft edge is whole


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture with its objects."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    id_map: NDArray[np.uint16]  # (H, W) instance ids, 0 where nothing is
    notes: tuple[str, ...] = ()  # assumptions that were made to read it


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object cut out of a picture."""

    rgba: NDArray[np.uint8]  # (h, w, 4)
    label: int  # 1..C, 0 if unknown


class CutoutBank:
    """Hold the objects that may be pasted; their pictures are read when one is drawn."""

    def __init__(self, candidates: dict[int, list[tuple[Still, StillObject]]]) -> None:
        """Take label -> objects; labels without an object do not count."""
        self._by_label = {label: found for label, found in sorted(candidates.items()) if found}
        self._labels = np.array(list(self._by_label), np.int64)
        self._weights = np.sqrt([float(len(found)) for found in self._by_label.values()])  # lifts the rare classes

    def __len__(self) -> int:
        """Count the objects."""
        return sum(len(found) for found in self._by_label.values())

    def draw(self, labels: Sequence[int], rng: np.random.Generator) -> Cutout:
        """Draw an object of one of `labels`, or of any label if the bank has none of them.

        Raises:
            VisError: its picture cannot be read.
            ValueError: the bank is empty.
        """
        if not self._by_label:
            raise ValueError("the bank of cut-outs is empty")
        offered = [label for label in labels if label in self._by_label]
        any_label = self._weights / self._weights.sum()
        label = int(rng.choice(offered) if offered else rng.choice(self._labels, p=any_label))
        still, item = self._by_label[label][int(rng.integers(len(self._by_label[label])))]
        if item.rle is None:
            raise ValueError(f"{still.path}: an object without a mask cannot be cut out")
        return cut_out(read_picture(still.path, still.width, still.height), decode_rle(item.rle).view(np.uint8), label)


def paste_candidates(still: Still, smallest: float) -> list[StillObject]:
    """Return the objects that are whole: no crowds, over `smallest` of the picture's area, off its border."""
    return [
        item
        for item in still.objects
        if item.rle is not None
        and not item.is_crowd
        and item.area > smallest * still.width * still.height
        and _off_border(item, still)
    ]


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.uint8], label: int) -> Cutout:
    """Cut the object of the (H, W) mask, not empty, out of the (H, W, 3) picture."""
    x, y, width, height = cv2.boundingRect(mask)
    rows = slice(max(y - _RIM, 0), y + height + _RIM)
    columns = slice(max(x - _RIM, 0), x + width + _RIM)
    # Some collections' masks have pinholes.
    whole = cv2.morphologyEx(mask[rows, columns], cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return Cutout(np.dstack([image[rows, columns], 255 * whole]), label)


def _off_border(item: StillObject, still: Still) -> bool:
    x, y, width, height = item.box
    return x >= 1 and y >= 1 and x + width <= still.width - 1 and y + height <= still.height - 1
