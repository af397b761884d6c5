"""Geometry of pseudo-videos: smooth paths of affine, perspective and elastic warps, and how they are sampled.

Used by `pseudo_video` (the camera) and `copy_paste` (each pasted object). Coordinates are continuous: the
centre of pixel i lies at i + 0.5. Matrices are (3, 3) float64 and map (x, y, 1) columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.floating[Any]]
Region: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels, x1 and y1 exclusive

_CELL = 8  # pixels: warps are computed on a grid this coarse and interpolated, which the eye cannot tell
_WARP_NODES = 4  # random displacements a side of an elastic warp


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """Bound how far something may move between the first and the last frame of a clip, each way."""

    rotation: float  # degrees
    scale: float  # natural logarithm of the factor
    shear: float
    translation: float  # fraction of the canvas side
    perspective: float  # change of the homogeneous coordinate across the canvas
    elastic: float  # standard deviation of the warp's nodes, fraction of the region's side
    jitter: float  # trembling of every frame, fraction of the bounds above

    def bounds(self) -> NDArray[np.float64]:
        """Return the bounds in the order of a `Motion` pose."""
        scalars = (np.deg2rad(self.rotation), self.scale, self.shear, self.translation, self.translation)
        return np.array([*scalars, self.perspective, self.perspective])


@dataclass(frozen=True, slots=True)
class Motion:
    """A smooth path over T frames that starts at rest."""

    poses: NDArray[np.float64]  # (T, 7): angle, log scale, shear, shift x, shift y, perspective x, perspective y
    warps: NDArray[np.float32]  # (T, n, n, 2) displacements (x, y) of evenly spaced nodes, fractions of the region


def draw_motion(limits: MotionLimits, num_frames: int, rng: np.random.Generator) -> Motion:
    """Draw a path whose distance from frame 0 grows evenly; from nearly still to the limits."""
    progress = np.linspace(0.0, 1.0, num_frames)[:, None]
    strength = float(rng.uniform(0.05, 1.0))
    poses = progress * strength * rng.uniform(-1.0, 1.0, 7)
    poses[1:] += limits.jitter * rng.standard_normal((num_frames - 1, 7))
    nodes = strength * limits.elastic * rng.standard_normal((1, _WARP_NODES, _WARP_NODES, 2))
    warps = (progress[:, :, None, None] * nodes).astype(np.float32)
    return Motion(poses * limits.bounds(), warps)


def turned_poses(degrees: Sequence[float], num_frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return poses (T, 7) that rotate each frame by one of the angles, each angle once before any repeats.

    See Propose-Reduce, Sec. 4.2.
    """
    rounds = -(-num_frames // len(degrees))
    angles = np.concatenate([rng.permutation(degrees) for _ in range(rounds)])[:num_frames]
    poses = np.zeros((num_frames, 7))
    poses[:, 0] = np.deg2rad(angles)
    return poses


def pose_matrix(pose: NDArray[np.float64], center: tuple[float, float], canvas: tuple[int, int]) -> Matrix:
    """Return the (3, 3) matrix that moves the canvas (height, width) by one pose about `center` (x, y)."""
    angle, log_scale, shear, shift_x, shift_y, tilt_x, tilt_y = pose
    height, width = canvas
    cos, sin = np.exp(log_scale) * np.cos(angle), np.exp(log_scale) * np.sin(angle)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    skew = np.array([[1.0, shear, 0.0], [0.0, 1.0, 0.0], [tilt_x / width, tilt_y / height, 1.0]])
    x, y = center
    matrix: Matrix = shift_matrix(x + shift_x * width, y + shift_y * height) @ turn @ skew @ shift_matrix(-x, -y)
    return matrix


def shift_matrix(x: float, y: float) -> Matrix:
    """Return the (3, 3) translation by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scale_matrix(x: float, y: float) -> Matrix:
    """Return the (3, 3) scaling by x and y; a negative factor flips."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def scale_at_zoom_one(picture: tuple[int, int], canvas: tuple[int, int], *, whole: bool) -> float:
    """Return by how much a picture, (height, width), grows to just cover the canvas or, `whole`, to just fit in."""
    scales = (canvas[0] / picture[0], canvas[1] / picture[1])
    return min(scales) if whole else max(scales)


def view_matrix(
    picture: tuple[int, int],
    canvas: tuple[int, int],
    *,
    zoom: float,
    flip: bool,
    focus: tuple[float, float],
    at: tuple[float, float],
    whole: bool = False,
) -> Matrix:
    """Return the matrix from a picture to the canvas, both (height, width).

    Zoom 1 just covers the canvas. The picture's point `focus` (x, y) comes to `at` (fractions of the canvas), as
    far as that uncovers no canvas that could be covered; what is smaller than the canvas stays inside. With `whole`,
    zoom 1 just fits into the canvas, and what is smaller than the canvas stands in its middle.
    """
    height, width = picture
    factor = zoom * scale_at_zoom_one(picture, canvas, whole=whole)
    shift = []
    for point, place, size, side in zip(focus, at, (width, height), (canvas[1], canvas[0]), strict=True):
        slack = side - size * factor  # below 0: the picture is larger than the canvas
        wanted = slack / 2 if whole and slack > 0.0 else place * side - point * factor
        shift.append(float(np.clip(wanted, min(slack, 0.0), max(slack, 0.0))))
    view = shift_matrix(*shift) @ scale_matrix(factor, factor)
    return shift_matrix(canvas[1], 0.0) @ scale_matrix(-1.0, 1.0) @ view if flip else view


def sampling_maps(
    inverse: Matrix, region: Region, warp: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where each pixel of a canvas region lies in the source, as cv2.remap's two (h, w) maps.

    Args:
        inverse: from canvas to source.
        region: the canvas pixels wanted.
        warp: (n, n, 2) displacements, fractions of the region's sides, spread evenly over the region.
    """
    x0, y0, x1, y1 = region
    width, height = x1 - x0, y1 - y0
    across, down = -(-width // _CELL), -(-height // _CELL)
    xs = (np.arange(across + 2) - 0.5) * _CELL + x0  # one node beyond each side, so that nothing is extrapolated
    ys = (np.arange(down + 2) - 0.5) * _CELL + y0
    push = cv2.resize(warp, (across + 2, down + 2), interpolation=cv2.INTER_CUBIC)
    x, y = xs[None, :] + push[..., 0] * width, ys[:, None] + push[..., 1] * height
    scale = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    source_x = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / scale - 0.5
    source_y = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / scale - 0.5
    return _refine(source_x, width, height), _refine(source_y, width, height)


def bounding_region(matrix: Matrix, size: tuple[int, int], canvas: tuple[int, int], margin: float) -> Region | None:
    """Return the canvas pixels that a picture of `size` (height, width) can cover, None if there are none.

    Args:
        matrix: from the picture to the canvas.
        size: the picture's height and width.
        canvas: the canvas's height and width.
        margin: widening on each side, as a fraction of the covered sides.
    """
    height, width = size
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    low, high = (corners[:2] / corners[2]).min(1), (corners[:2] / corners[2]).max(1)
    spread = margin * (high - low) + 1.0
    x0, y0 = (int(v) for v in np.maximum(np.floor(low - spread), 0))
    x1, y1 = (int(v) for v in np.minimum(np.ceil(high + spread), (canvas[1], canvas[0])))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _refine(nodes: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    down, across = nodes.shape
    fine = cv2.resize(nodes.astype(np.float32), (across * _CELL, down * _CELL), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(fine[_CELL : _CELL + height, _CELL : _CELL + width])
