"""Objects pasted into a clip. Each moves on a separate path and can hide other objects.

Used by `pseudo_video`. Several similar objects in one clip train the Seq-Prop head to propagate the given mask, instead
of the mask of the most salient object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.training.cutouts import Cutout, CutoutBank, LabelledImage, cut_out
from vis_cli.training.photometric import draw_colour
from vis_cli.training.transforms import (
    Matrix,
    Motion,
    MotionLimits,
    bounding_region,
    draw_motion,
    pose_matrix,
    sampling_maps,
    scale_matrix,
    shift_matrix,
)

_EDGE_SIGMA = 0.8  # blur of the edge of a cut-out, in pixels
_FLOCK_AGAIN = 0.8  # probability that the next object of a flock is the same cut-out
_LARGEST_MAGNIFICATION = 2.0  # above this, a small cut-out is too blurred
_WARP_REACH = 3.0  # margin of the region of an elastic warp, in standard deviations


@dataclass(frozen=True, slots=True)
class PasteLimits:
    """Limits of the pasted objects: number, choice, size and motion."""

    max_pastes: int  # objects per clip; the number is sampled from 0 to this
    twin: float  # probability that an object is a copy of an original object of the same image
    same_class: float  # probability that an object has a class that the clip already contains
    same_cutout: float  # probability that an object is the previous cut-out again, near to it
    flock: float  # probability that a clip has `max_pastes` small objects, mostly similar
    behind: float  # probability that an object is behind an original object
    near: float  # probability that an object starts next to another object
    rival: float  # probability that an object has the size of an object of its class, and starts next to it
    side: tuple[float, float]  # longer side of an object, as a fraction of the shorter side of the canvas
    flock_side: tuple[float, float]
    tilt: float  # maximum rotation of the first pose, in degrees
    colour: float  # strength of the separate colour change
    motion: MotionLimits


@dataclass(frozen=True, slots=True)
class Place:
    """An object of the guidance frame. Pasted objects can resemble it or start next to it."""

    instance_id: int  # 0: a pasted object
    label: int  # 1..C, 0 if unknown
    box: Sequence[float]  # x, y, width, height in canvas pixels


@dataclass(frozen=True, slots=True)
class Paste:
    """One pasted object and its path through the clip."""

    cutout: Cutout  # not larger than in its image; alpha is soft at the edge
    matrices: tuple[Matrix, ...]  # T, from the cut-out to the canvas
    motion: Motion
    behind: int  # instance id of the original object that hides it; 0: none


def draw_pastes(
    limits: PasteLimits,
    bank: CutoutBank,
    labelled_image: LabelledImage,
    places: Sequence[Place],
    *,
    num_frames: int,
    canvas: tuple[int, int],
    rng: np.random.Generator,
) -> list[Paste]:
    """Sample the pasted objects of a clip, from the farthest to the nearest.

    Args:
        limits: Limits of the pasted objects.
        bank: Objects to paste. If it is empty, no object is pasted.
        labelled_image: Image of frame 0.
        places: Original objects in frame 0.
        num_frames: Number of frames of the clip (T).
        canvas: Height and width of the frames in pixels.
        rng: Source of all random numbers.

    Raises:
        VisError: The image of a cut-out cannot be read.
    """
    flock = rng.random() < limits.flock
    number = (limits.max_pastes if flock else int(rng.integers(limits.max_pastes + 1))) if len(bank) else 0
    sides = limits.flock_side if flock else limits.side
    known, pastes = list(places), list[Paste]()
    near: Place | None
    for _ in range(number):
        if pastes and rng.random() < (_FLOCK_AGAIN if flock else limits.same_cutout):
            near = known[-1]  # with the same cut-out
            side = max(near.box[2:]) * rng.uniform(0.8, 1.25)
        else:
            cutout = _draw_cutout(limits, bank, labelled_image, known, rng)
            near, side = _draw_neighbour(limits, cutout.label, known, rng)
            if flock or not side:
                side = min(canvas) * float(np.exp(rng.uniform(*np.log(sides))))
        box = _draw_box(cutout, side, near, canvas, rng)
        behind = int(rng.choice([p.instance_id for p in places])) if places and rng.random() < limits.behind else 0
        pastes.append(_set_off(cutout, box, behind, limits, num_frames=num_frames, canvas=canvas, rng=rng))
        known.append(Place(0, cutout.label, box))
    return sorted(pastes, key=lambda paste: paste.behind == 0)


def apply_paste(
    image: NDArray[np.uint8],
    id_map: NDArray[np.uint16],
    originals: NDArray[np.uint16],
    paste: Paste,
    *,
    frame: int,
    instance_id: int,
) -> None:
    """Draw one pasted object into a frame and its map of instance ids, both in place.

    Args:
        image: Frame, (H, W, 3) RGB.
        id_map: Instance ids, (H, W), 0 is background.
        originals: Instance ids of the original objects, (H, W).
        paste: The object.
        frame: Index of the frame in the clip.
        instance_id: Id of the object.
    """
    matrix, warp = paste.matrices[frame], paste.motion.warps[frame]
    margin = min(_WARP_REACH * float(np.abs(warp).max()), 0.5)
    (height, width), (down, across) = paste.cutout.rgba.shape[:2], id_map.shape
    region = bounding_region(matrix, (height, width), (down, across), margin)
    if region is None:
        return
    x0, y0, x1, y1 = region
    maps = sampling_maps(np.linalg.inv(matrix), region, warp)
    patch = cv2.remap(paste.cutout.rgba, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    alpha = patch[..., 3].astype(np.float32) / 255.0
    if paste.behind:
        hidden = (originals[y0:y1, x0:x1] == paste.behind).astype(np.float32)
        alpha *= 1.0 - cv2.GaussianBlur(hidden, (0, 0), _EDGE_SIGMA)
    under = np.ascontiguousarray(image[y0:y1, x0:x1])
    image[y0:y1, x0:x1] = cv2.blendLinear(np.ascontiguousarray(patch[..., :3]), under, alpha, 1.0 - alpha)
    id_map[y0:y1, x0:x1][alpha > 0.5] = instance_id


def _draw_cutout(
    limits: PasteLimits, bank: CutoutBank, labelled_image: LabelledImage, known: list[Place], rng: np.random.Generator
) -> Cutout:
    originals = [place for place in known if place.instance_id]
    if originals and rng.random() < limits.twin:
        place = originals[int(rng.integers(len(originals)))]
        cutout = cut_out(labelled_image.image, (labelled_image.id_map == place.instance_id).view(np.uint8), place.label)
    else:
        alike = [place.label for place in known] if rng.random() < limits.same_class else []
        cutout = bank.draw(alike, rng)
    colours = draw_colour(limits.colour, rng).apply(np.ascontiguousarray(cutout.rgba[..., :3]))
    return replace(cutout, rgba=np.dstack([colours, cutout.rgba[..., 3]]))


def _draw_neighbour(
    limits: PasteLimits, label: int, known: list[Place], rng: np.random.Generator
) -> tuple[Place | None, float]:
    """Return the object to start next to, or None, and the longer side in pixels, or 0 for any size."""
    rivals = [place for place in known if place.label == label]
    if rivals and rng.random() < limits.rival:
        rival = rivals[int(rng.integers(len(rivals)))]
        return rival, max(rival.box[2:]) * rng.uniform(0.5, 1.2)
    if known and rng.random() < limits.near:
        return known[int(rng.integers(len(known)))], 0.0
    return None, 0.0


def _draw_box(
    cutout: Cutout, side: float, near: Place | None, canvas: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    rows, columns = cutout.rgba.shape[:2]
    factor = min(side / max(rows, columns), _LARGEST_MAGNIFICATION)
    width, height = max(columns * factor, 1.0), max(rows * factor, 1.0)
    x, y, across, down = near.box if near else (0.0, 0.0, float(canvas[1]), float(canvas[0]))
    spread = (-0.4, 1.4) if near else (0.0, 1.0)
    center_x = np.clip(x + across * rng.uniform(*spread), 0.05 * canvas[1], 0.95 * canvas[1])
    center_y = np.clip(y + down * rng.uniform(*spread), 0.05 * canvas[0], 0.95 * canvas[0])
    return float(center_x - width / 2), float(center_y - height / 2), width, height


def _set_off(
    cutout: Cutout,
    box: tuple[float, float, float, float],
    behind: int,
    limits: PasteLimits,
    *,
    num_frames: int,
    canvas: tuple[int, int],
    rng: np.random.Generator,
) -> Paste:
    """Place a cut-out in its box and sample its path."""
    x, y, width, height = box
    center = (x + width / 2, y + height / 2)
    shown = _resize(cutout, width, height)
    down, across = shown.rgba.shape[:2]
    tilt = np.zeros(7)
    tilt[0] = np.deg2rad(limits.tilt) * rng.uniform(-1.0, 1.0)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    start = shift_matrix(*center) @ scale_matrix(flip * width / across, height / down)
    start = pose_matrix(tilt, center, canvas) @ start @ shift_matrix(-across / 2, -down / 2)
    motion = draw_motion(limits.motion, num_frames, rng)
    matrices = tuple(pose_matrix(pose, center, canvas) @ start for pose in motion.poses)
    return Paste(shown, matrices, motion, behind)


def _resize(cutout: Cutout, width: float, height: float) -> Cutout:
    """Reduce the size with averaging against aliasing, and soften the edge. A cut-out is never enlarged."""
    rgba = cutout.rgba
    if width < rgba.shape[1]:
        rgba = np.asarray(cv2.resize(rgba, (round(width), max(round(height), 1)), interpolation=cv2.INTER_AREA))
    alpha = cv2.GaussianBlur(rgba[..., 3], (0, 0), _EDGE_SIGMA)
    return replace(cutout, rgba=np.dstack([rgba[..., :3], alpha]))
