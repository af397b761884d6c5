"""Colour and quality changes of pseudo-videos: strong changes per clip, small changes per frame.

Used by `pseudo_video` and `box_images` for frames, and by `copy_paste` for cut-outs. All random numbers come from the
generator of the clip. docs/explanation/training.md#clips gives the reason not to use torchvision.transforms.v2.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.files.library_output import silenced_libraries

_TO_LUMA = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])  # RGB to YIQ
_FROM_LUMA = np.linalg.inv(_TO_LUMA)
_MID_GREY = 118.0  # fixed point of contrast changes: the usual mean of a photograph
_LARGEST_BLUR = 9  # maximum length of a motion blur in pixels
_LARGEST_NOISE = 12.0  # maximum standard deviation, for values from 0 to 255
_JPEG_QUALITIES = (15, 60)


@dataclass(frozen=True, slots=True)
class ColourLimits:
    """Strength of colour changes (0: none, 0.5: strong), and probabilities of a reduced quality."""

    clip: float  # the same for all frames of a clip
    frame: float  # from frame to frame
    grey: float  # probability of a grey clip
    blur: float  # probability of a blurred clip
    noise: float  # probability of a clip with noise
    jpeg: float  # probability of a clip with JPEG artefacts


@dataclass(frozen=True, slots=True)
class ColourShift:
    """A change of colours. Zeros change nothing."""

    brightness: float
    contrast: float
    saturation: float  # -1: grey
    hue: float  # radians

    def matrix(self) -> NDArray[np.float64]:
        """Return the affine map (3, 4) of RGB values from 0 to 255."""
        chroma = 1.0 + self.saturation
        cos, sin = chroma * np.cos(self.hue), chroma * np.sin(self.hue)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        linear = (1.0 + self.contrast) * _FROM_LUMA @ turn @ _TO_LUMA
        offset = 255.0 * self.brightness - _MID_GREY * self.contrast
        return np.hstack([linear, np.full((3, 1), offset)])

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an RGB image (H, W, 3) with changed colours."""
        return np.asarray(cv2.transform(image, self.matrix()), np.uint8)


def draw_colour(strength: float, rng: np.random.Generator) -> ColourShift:
    """Sample a change of at most `strength`."""
    brightness, contrast, saturation, hue = strength * rng.uniform(-1.0, 1.0, 4)
    return ColourShift(0.4 * brightness, 0.8 * contrast, 1.2 * saturation, 0.8 * hue)


def change_colours(
    frames: list[NDArray[np.uint8]], limits: ColourLimits, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """Change colours and quality of the frames of one clip.

    Args:
        frames: RGB frames, (H, W, 3) uint8.
        limits: Strength and probabilities.
        rng: Source of all random numbers.
    """
    whole = draw_colour(limits.clip, rng)
    grey = rng.random() < limits.grey
    blurred, noisy, packed = rng.random(3) < (limits.blur, limits.noise, limits.jpeg)
    changed = []
    for frame in frames:
        mild = draw_colour(limits.frame, rng)
        saturation = -1.0 if grey else whole.saturation + mild.saturation
        shift = ColourShift(
            whole.brightness + mild.brightness, whole.contrast + mild.contrast, saturation, whole.hue + mild.hue
        )
        image = shift.apply(frame)
        image = _blur(image, rng) if blurred else image
        image = _add_noise(image, rng) if noisy else image
        changed.append(_pack(image, rng) if packed else image)
    return changed


def _blur(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2.0)), np.uint8)
    return np.asarray(cv2.filter2D(image, -1, _motion_kernel(rng)), np.uint8)


def _motion_kernel(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the kernel of a straight camera path. Its sum is 1."""
    half = _LARGEST_BLUR // 2
    angle, reach = rng.uniform(0.0, np.pi), rng.uniform(1.0, half)
    kernel = np.zeros((_LARGEST_BLUR, _LARGEST_BLUR), np.float32)
    step = np.round(reach * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    cv2.line(kernel, (half - int(step[0]), half - int(step[1])), (half + int(step[0]), half + int(step[1])), 1.0)
    kernel /= kernel.sum()
    return kernel


def _add_noise(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.uniform(1.0, _LARGEST_NOISE) * rng.standard_normal(image.shape, np.float32)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _pack(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    quality = int(rng.integers(*_JPEG_QUALITIES))
    with silenced_libraries():
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
