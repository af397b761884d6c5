"""Geometry of pseudo-videos: smooth paths of affine, perspective and elastic warps, and their sampling maps.

Used by `pseudo_video` for the camera, and by `copy_paste` for each pasted object. Coordinates are continuous: the
centre of pixel i is at i + 0.5. Matrices are (3, 3) float64 and map columns (x, y, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.floating[Any]]
Region: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1 in integer pixels; x1 and y1 are exclusive

_CELL = 8  # pixels; warps are computed on a grid of such cells and interpolated
_WARP_NODES = 4  # random displacements per side of an elastic warp


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """Limits of the motion from the first to the last frame of a clip, in both directions."""

    rotation: float  # degrees
    scale: float  # natural logarithm of the scale factor
    shear: float
    translation: float  # fraction of the side of the canvas
    perspective: float  # change of the homogeneous coordinate across the canvas
    elastic: float  # standard deviation of the nodes of the warp, as a fraction of the side of the region
    jitter: float  # random motion of each frame, as a fraction of the limits above

    def bounds(self) -> NDArray[np.float64]:
        """Return the limits (7,) in the order of a `Motion` pose."""
        scalars = (np.deg2rad(self.rotation), self.scale, self.shear, self.translation, self.translation)
        return np.array([*scalars, self.perspective, self.perspective])


@dataclass(frozen=True, slots=True)
class Motion:
    """A smooth path over T frames. Pose 0 is the identity."""

    poses: NDArray[np.float64]  # (T, 7): angle, log scale, shear, shift x, shift y, perspective x, perspective y
    warps: NDArray[np.float32]  # (T, n, n, 2) displacements (x, y) of a regular grid, as fractions of the region


def draw_motion(limits: MotionLimits, num_frames: int, rng: np.random.Generator) -> Motion:
    """Sample a path with constant speed, from nearly motionless to the limits."""
    progress = np.linspace(0.0, 1.0, num_frames)[:, None]
    strength = float(rng.uniform(0.05, 1.0))
    poses = progress * strength * rng.uniform(-1.0, 1.0, 7)
    poses[1:] += limits.jitter * rng.standard_normal((num_frames - 1, 7))
    nodes = strength * limits.elastic * rng.standard_normal((1, _WARP_NODES, _WARP_NODES, 2))
    warps = (progress[:, :, None, None] * nodes).astype(np.float32)
    return Motion(poses * limits.bounds(), warps)


def turned_poses(degrees: Sequence[float], num_frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return poses (T, 7) that rotate each frame by one of the angles. All angles occur before an angle is repeated.

    Reference: Propose-Reduce, Sec. 4.2.
    """
    rounds = -(-num_frames // len(degrees))
    angles = np.concatenate([rng.permutation(degrees) for _ in range(rounds)])[:num_frames]
    poses = np.zeros((num_frames, 7))
    poses[:, 0] = np.deg2rad(angles)
    return poses


def pose_matrix(pose: NDArray[np.float64], center: tuple[float, float], canvas: tuple[int, int]) -> Matrix:
    """Return the matrix (3, 3) of one pose of the canvas (height, width) about `center` (x, y)."""
    angle, log_scale, shear, shift_x, shift_y, tilt_x, tilt_y = pose
    height, width = canvas
    cos, sin = np.exp(log_scale) * np.cos(angle), np.exp(log_scale) * np.sin(angle)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    skew = np.array([[1.0, shear, 0.0], [0.0, 1.0, 0.0], [tilt_x / width, tilt_y / height, 1.0]])
    x, y = center
    matrix: Matrix = shift_matrix(x + shift_x * width, y + shift_y * height) @ turn @ skew @ shift_matrix(-x, -y)
    return matrix


def shift_matrix(x: float, y: float) -> Matrix:
    """Return the translation (3, 3) by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scale_matrix(x: float, y: float) -> Matrix:
    """Return the scaling (3, 3) by x and y. A negative factor flips."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def scale_at_zoom_one(image_size: tuple[int, int], canvas: tuple[int, int], *, whole: bool) -> float:
    """Return the scale at which an image (height, width) covers the canvas or, with `whole`, fits into it."""
    scales = (canvas[0] / image_size[0], canvas[1] / image_size[1])
    return min(scales) if whole else max(scales)


def view_matrix(
    image_size: tuple[int, int],
    canvas: tuple[int, int],
    *,
    zoom: float,
    flip: bool,
    focus: tuple[float, float],
    at: tuple[float, float],
    whole: bool = False,
) -> Matrix:
    """Return the matrix (3, 3) from an image to the canvas.

    The point `focus` moves as near to `at` as possible. An image that is larger than the canvas covers it. A smaller
    image stays inside of it.

    Args:
        image_size: Height and width of the image in pixels.
        canvas: Height and width of the canvas in pixels.
        zoom: Scale of the image. At 1 it covers the canvas or, with `whole`, fits into it.
        flip: Mirror the image horizontally.
        focus: Point (x, y) of the image in pixels.
        at: Target of the focus, as fractions of the width and the height of the canvas.
        whole: Centre an image that is smaller than the canvas.
    """
    height, width = image_size
    factor = zoom * scale_at_zoom_one(image_size, canvas, whole=whole)
    shift = []
    for point, place, size, side in zip(focus, at, (width, height), (canvas[1], canvas[0]), strict=True):
        slack = side - size * factor  # negative if the image is larger than the canvas
        wanted = slack / 2 if whole and slack > 0.0 else place * side - point * factor
        shift.append(float(np.clip(wanted, min(slack, 0.0), max(slack, 0.0))))
    view = shift_matrix(*shift) @ scale_matrix(factor, factor)
    return shift_matrix(canvas[1], 0.0) @ scale_matrix(-1.0, 1.0) @ view if flip else view


def sampling_maps(
    inverse: Matrix, region: Region, warp: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the source position of each pixel of a canvas region, as two maps (h, w) for cv2.remap.

    Args:
        inverse: Matrix (3, 3) from the canvas to the source.
        region: Region of the canvas.
        warp: Displacements (n, n, 2) on a regular grid over the region, as fractions of its sides.
    """
    x0, y0, x1, y1 = region
    width, height = x1 - x0, y1 - y0
    across, down = -(-width // _CELL), -(-height // _CELL)
    xs = (np.arange(across + 2) - 0.5) * _CELL + x0  # one node outside of each side, so that no value is extrapolated
    ys = (np.arange(down + 2) - 0.5) * _CELL + y0
    push = cv2.resize(warp, (across + 2, down + 2), interpolation=cv2.INTER_CUBIC)
    x, y = xs[None, :] + push[..., 0] * width, ys[:, None] + push[..., 1] * height
    scale = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    source_x = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / scale - 0.5
    source_y = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / scale - 0.5
    return _refine(source_x, width, height), _refine(source_y, width, height)


def bounding_region(matrix: Matrix, size: tuple[int, int], canvas: tuple[int, int], margin: float) -> Region | None:
    """Return the region of the canvas that an image can cover, or None if the image is outside of the canvas.

    Args:
        matrix: Matrix (3, 3) from the image to the canvas.
        size: Height and width of the image in pixels.
        canvas: Height and width of the canvas in pixels.
        margin: Margin on each side, as a fraction of the covered sides.
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
