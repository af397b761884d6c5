"""Objects pasted into a clip, each on a path of its own, hiding one another and the original objects.

Used by `pseudo_video`. Several alike objects in one picture are what teaches the propagation head to follow
the object whose mask it was given, and not the one that stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.training.cutouts import Cutout, CutoutBank, Picture, cut_out
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

_EDGE_SIGMA = 0.8  # pixels of blur of a cut-out's edge
_FLOCK_AGAIN = 0.8  # probability that the next of a flock is the same cut-out once more
_LARGEST_MAGNIFICATION = 2.0  # beyond, a small cut-out looks like a blot
_WARP_REACH = 3.0  # standard deviations of an elastic warp that its region leaves room for


@dataclass(frozen=True, slots=True)
class PasteLimits:
    """Say how many objects are pasted, which, how large and how they move."""

    most: int  # objects a clip, drawn from 0 to this
    twin: float  # probability that it looks like an original object: cut out of the same picture
    same_class: float  # probability that a pasted object is of a class already there
    same_cutout: float  # probability that it is the previous cut-out once more, near to it
    flock: float  # probability that a clip has `most` small objects, mostly alike
    behind: float  # probability that it is behind an original object
    near: float  # probability that it starts beside an object already there
    rival: float  # probability that it is about as large as an object of its class, and beside it
    side: tuple[float, float]  # longer side of the object, fraction of the canvas's shorter side
    flock_side: tuple[float, float]
    tilt: float  # degrees of its first pose
    colour: float  # strength of its own colour change
    motion: MotionLimits


@dataclass(frozen=True, slots=True)
class Place:
    """An object in the guidance frame that pasted ones may imitate or stand beside."""

    instance_id: int  # 0: a pasted one
    label: int  # 1..C, 0 if unknown
    box: Sequence[float]  # x, y, width, height in canvas pixels


@dataclass(frozen=True, slots=True)
class Paste:
    """One pasted object on its way through the clip."""

    cutout: Cutout  # at most as large as it was cut out, alpha soft at the edge
    matrices: tuple[Matrix, ...]  # T, from the cut-out to the canvas
    motion: Motion
    behind: int  # instance id of the original object that hides it; 0: none


def draw_pastes(
    limits: PasteLimits,
    bank: CutoutBank,
    picture: Picture,
    places: Sequence[Place],
    *,
    num_frames: int,
    canvas: tuple[int, int],
    rng: np.random.Generator,
) -> list[Paste]:
    """Draw the pasted objects of a clip, from the farthest to the nearest.

    Args:
        limits: how many, which, where.
        bank: where they come from; empty: nothing is pasted.
        picture: what frame 0 is made of.
        places: the original objects in frame 0.
        num_frames: T.
        canvas: height and width.
        rng: decides.

    Raises:
        VisError: the picture of a cut-out cannot be read.
    """
    flock = rng.random() < limits.flock
    number = (limits.most if flock else int(rng.integers(limits.most + 1))) if len(bank) else 0
    sides = limits.flock_side if flock else limits.side
    known, pastes = list(places), list[Paste]()
    near: Place | None
    for _ in range(number):
        if pastes and rng.random() < (_FLOCK_AGAIN if flock else limits.same_cutout):
            near = known[-1]  # and the same cut-out
            side = max(near.box[2:]) * rng.uniform(0.8, 1.25)
        else:
            cutout = _draw_cutout(limits, bank, picture, known, rng)
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
        image: (H, W, 3) RGB.
        id_map: (H, W) instance ids, 0 where nothing is.
        originals: (H, W) the ids before anything was pasted.
        paste: the object.
        frame: which frame of the clip this is.
        instance_id: what to write into `id_map`.
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
    limits: PasteLimits, bank: CutoutBank, picture: Picture, known: list[Place], rng: np.random.Generator
) -> Cutout:
    originals = [place for place in known if place.instance_id]
    if originals and rng.random() < limits.twin:
        place = originals[int(rng.integers(len(originals)))]
        cutout = cut_out(picture.image, (picture.id_map == place.instance_id).view(np.uint8), place.label)
    else:
        alike = [place.label for place in known] if rng.random() < limits.same_class else []
        cutout = bank.draw(alike, rng)
    colours = draw_colour(limits.colour, rng).apply(np.ascontiguousarray(cutout.rgba[..., :3]))
    return replace(cutout, rgba=np.dstack([colours, cutout.rgba[..., 3]]))


def _draw_neighbour(
    limits: PasteLimits, label: int, known: list[Place], rng: np.random.Generator
) -> tuple[Place | None, float]:
    """Return the object to start beside, if any, and the longer side to have, 0 if that is free."""
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
    """Bring a cut-out to its box and give it a path."""
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
    """Shrink with averaging, so that sampling meets no aliasing, and soften the edge; never enlarge."""
    rgba = cutout.rgba
    if width < rgba.shape[1]:
        rgba = np.asarray(cv2.resize(rgba, (round(width), max(round(height), 1)), interpolation=cv2.INTER_AREA))
    alpha = cv2.GaussianBlur(rgba[..., 3], (0, 0), _EDGE_SIGMA)
    return replace(cutout, rgba=np.dstack([rgba[..., :3], alpha]))
