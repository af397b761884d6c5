"""Training targets from maps of instance ids, and the choice of the guided objects. Used by `pseudo_video`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.training.structures import ClipTargets

_LEAVE_OUT_NEIGHBOUR = 0.7  # probability that an object of the first guided object's class is not guided


@dataclass(frozen=True, slots=True)
class FrameObjects:
    """Meaning of the values of an id map. Other values are background."""

    labels: Mapping[int, int]  # id -> label 1..C, or 0: unknown class, in clips that do not train the detector
    crowds: frozenset[int]


def frame_targets(
    id_map: NDArray[np.uint16], objects: FrameObjects, *, smallest_area: int, smallest_side: int
) -> tuple[ClipTargets, Tensor]:
    """Return the objects of one frame, and the boxes (M, 4) to ignore: crowds and objects that are almost hidden.

    An object of unknown class gets label 1.

    Args:
        id_map: Instance ids, (H, W).
        objects: Meaning of the ids.
        smallest_area: Minimum visible area of an object in pixels.
        smallest_side: Minimum shorter side of its bounding box in pixels.
    """
    masks, boxes, ids, ignored = [], [], [], []
    for value in np.flatnonzero(np.bincount(id_map.ravel())):
        if value not in objects.labels and value not in objects.crowds:
            continue
        mask = (id_map == value).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        box = (x, y, x + width, y + height)
        small = min(width, height) < smallest_side or cv2.countNonZero(mask) < smallest_area
        if small or value in objects.crowds:
            ignored.append(box)
        else:
            masks.append(mask)
            boxes.append(box)
            ids.append(int(value))
    stacked = np.stack(masks) if masks else np.zeros((0, *id_map.shape), np.uint8)
    targets = ClipTargets(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([max(objects.labels[value], 1) for value in ids], dtype=torch.int64),
        masks=torch.from_numpy(stacked),
        instance_ids=torch.tensor(ids, dtype=torch.int64),
    )
    return targets, torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4)


def choose_guided(
    targets: Sequence[ClipTargets], max_guided: int, rng: np.random.Generator, *, smallest: int = 0
) -> Tensor:
    """Sample guided objects of frame 0.

    The first object also appears in a query frame if possible. An object of the same class then usually stays unguided,
    so that the class does not identify the guided object.

    Args:
        targets: Targets of all frames.
        max_guided: Maximum number of objects. The number is sampled uniformly from 1.
        rng: Source of all random numbers.
        smallest: Minimum area of a guided object in pixels.

    Returns:
        Sorted instance ids (G,). It is empty if frame 0 shows no object of the minimum area.
    """
    first = targets[0]
    large = first.masks.flatten(1).sum(dim=1, dtype=torch.int64) >= smallest
    ids = first.instance_ids[large].tolist()
    if not ids:
        return torch.zeros(0, dtype=torch.int64)
    label = dict(zip(ids, first.labels[large].tolist(), strict=True))
    again = {value for later in targets[1:] for value in later.instance_ids.tolist()}
    number = int(rng.integers(1, min(max_guided, len(ids)) + 1))
    lead = int(rng.choice([value for value in ids if value in again] or ids))
    alike = [value for value in ids if value != lead and label[value] == label[lead]]
    left_out = int(rng.choice(alike)) if alike and rng.random() < _LEAVE_OUT_NEIGHBOUR else 0
    rest = [value for value in ids if value not in (lead, left_out)]
    chosen = rng.permutation(rest)[: number - 1].tolist()
    return torch.tensor(sorted([lead, *chosen]), dtype=torch.int64)


def all_guided(targets: Sequence[ClipTargets], max_guided: int, rng: np.random.Generator) -> Tensor:
    """Return the sorted ids of the objects that the first and the last frame show, at max_guided `max_guided` of them.

    Reference: docs/explanation/authors-implementation.md#fact-46.
    """
    last = set(targets[-1].instance_ids.tolist())
    ids = [value for value in targets[0].instance_ids.tolist() if value in last]
    chosen = rng.permutation(np.array(ids, np.int64))[:max_guided].tolist()
    return torch.tensor(sorted(chosen), dtype=torch.int64)
