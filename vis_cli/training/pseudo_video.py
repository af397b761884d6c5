"""Clips from annotated images: camera motion, pasted objects and changed colours.

The paper only rotates images (Propose-Reduce, Sec. 4.2). `PAPER` contains these rotations.

Used by `datasets`, with one repeated image (a pseudo-video) or with the frames of a real video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.training.copy_paste import PasteLimits, Place, apply_paste, draw_pastes
from vis_cli.training.cutouts import CutoutBank, LabelledImage
from vis_cli.training.photometric import ColourLimits, change_colours
from vis_cli.training.structures import ClipTargets
from vis_cli.training.targets import FrameObjects, all_guided, choose_guided, frame_targets
from vis_cli.training.transforms import (
    Matrix,
    MotionLimits,
    draw_motion,
    pose_matrix,
    sampling_maps,
    scale_at_zoom_one,
    scale_matrix,
    turned_poses,
    view_matrix,
)

_REPLICATE, _REFLECT, _MEAN = cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT
_MEAN_COLOUR = (124, 116, 104)  # of ImageNet, RGB
_ALIASING = 0.7  # a scale below this needs averaging first
_LARGEST_MAGNIFICATION = 3.0  # of an image, to enlarge a small object


@dataclass(frozen=True, slots=True)
class PseudoVideoConfig:
    """Strength of the changes of a clip. `STRONG`, `VIDEO`, `PAPER` and `PAPER_VIDEO` are the values in use."""

    camera: MotionLimits
    paste: PasteLimits
    colour: ColourLimits
    zoom: tuple[float, float]  # at 1 the image covers the canvas or, with `whole`, fits into it
    tilt: float  # maximum rotation of the first frame in degrees, in both directions
    focus: float  # probability that the view is centred on a random object
    fill_probability: float = 0.0  # probability that this object gets a random size, which replaces the zoom
    fill: tuple[float, float] = (0.2, 1.1)  # its longer side, as a fraction of the shorter side of the canvas
    flip: float = 0.5  # probability
    max_guided: int = 5  # guided objects per clip: docs/explanation/authors-implementation.md#fact-46
    smallest_guided: int = 400  # pixels; the Seq-Prop head works on cells of 16x16 pixels
    smallest_area: int = 16  # pixels; a smaller visible part is not a target of its frame
    smallest_side: int = 3  # pixels
    turns: tuple[float, ...] = ()  # rotations of the frames in degrees, instead of camera motion
    whole: bool = False  # fit the image into the canvas, with the mean colour around it
    guide_all: bool = False  # guide all objects that the last frame shows


_PASTE_MOTION = MotionLimits(
    rotation=30.0, scale=0.45, shear=0.2, translation=0.25, perspective=0.05, elastic=0.03, jitter=0.05
)
_PASTE = PasteLimits(
    max_pastes=4,
    twin=0.15,
    same_class=0.6,
    same_cutout=0.25,
    flock=0.15,
    behind=0.25,
    near=0.5,
    rival=0.5,
    side=(0.15, 0.7),
    flock_side=(0.12, 0.35),
    tilt=15.0,
    colour=0.3,
    motion=_PASTE_MOTION,
)
_NO_MOTION = MotionLimits(rotation=0.0, scale=0.0, shear=0.0, translation=0.0, perspective=0.0, elastic=0.0, jitter=0.0)
_COLOUR = ColourLimits(clip=0.4, frame=0.08, grey=0.05, blur=0.15, noise=0.1, jpeg=0.15)

STRONG = PseudoVideoConfig(  # images: everything moves
    camera=MotionLimits(
        rotation=30.0, scale=0.4, shear=0.15, translation=0.2, perspective=0.15, elastic=0.02, jitter=0.05
    ),
    paste=_PASTE,
    colour=_COLOUR,
    zoom=(0.6, 2.8),
    tilt=10.0,
    focus=0.8,
    fill_probability=0.5,
)
VIDEO = PseudoVideoConfig(  # real videos already contain motion
    camera=MotionLimits(
        rotation=3.0, scale=0.05, shear=0.02, translation=0.03, perspective=0.01, elastic=0.0, jitter=0.2
    ),
    paste=_PASTE,
    colour=_COLOUR,
    zoom=(0.8, 2.0),
    tilt=5.0,
    focus=0.8,
)
# Only rotations by -30, 0 and 30 degrees (Propose-Reduce, Sec. 4.2) and flips.
PAPER = PseudoVideoConfig(
    camera=_NO_MOTION,
    paste=PasteLimits(
        max_pastes=0,
        twin=0.0,
        same_class=0.0,
        same_cutout=0.0,
        flock=0.0,
        behind=0.0,
        near=0.0,
        rival=0.0,
        side=(0.1, 0.7),
        flock_side=(0.1, 0.3),
        tilt=0.0,
        colour=0.0,
        motion=_NO_MOTION,
    ),
    colour=ColourLimits(clip=0.0, frame=0.0, grey=0.0, blur=0.0, noise=0.0, jpeg=0.0),
    zoom=(1.0, 1.0),
    tilt=0.0,
    focus=0.0,
    smallest_guided=1,
    turns=(-30.0, 0.0, 30.0),
    # As in inference (docs/explanation/authors-implementation.md#fact-2), except for the centre of the canvas, where
    # rotations lose the smallest part of the image.
    whole=True,
    guide_all=True,
)
PAPER_VIDEO = replace(PAPER, turns=())  # only flips: docs/explanation/authors-implementation.md#fact-43


@dataclass(frozen=True, slots=True)
class RenderedClip:
    """Frames of a clip with their objects."""

    images: Tensor  # (T, 3, H, W) uint8 RGB
    targets: tuple[ClipTargets, ...]
    ignore: tuple[Tensor, ...]  # T times (M, 4)
    guided_ids: Tensor  # (G,)


def render_clip(
    labelled_images: Sequence[LabelledImage],
    objects: FrameObjects,
    bank: CutoutBank,
    config: PseudoVideoConfig,
    *,
    canvas: tuple[int, int],
    rng: np.random.Generator,
) -> RenderedClip:
    """Create a clip of T frames from T images of one size. The same image T times gives a pseudo-video.

    Args:
        labelled_images: Images of the frames, in the order of the video.
        objects: Labels and crowds among the ids of the images.
        bank: Objects to paste.
        config: Strength of the changes.
        canvas: Height and width of the frames in pixels.
        rng: Source of all random numbers.

    Raises:
        VisError: The image of a pasted object cannot be read.
    """
    images, id_maps = _film(labelled_images, config, canvas, rng)
    pasted = _paste_objects(labelled_images[0], images, id_maps, objects, bank, config, rng)
    images = change_colours(images, config.colour, rng)
    known = FrameObjects({**objects.labels, **pasted}, objects.crowds)
    found = [
        frame_targets(id_map, known, smallest_area=config.smallest_area, smallest_side=config.smallest_side)
        for id_map in id_maps
    ]
    targets = tuple(target for target, _ in found)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()  # (T, 3, H, W)
    return RenderedClip(
        stacked,
        targets,
        tuple(ignore for _, ignore in found),
        all_guided(targets, config.max_guided, rng)
        if config.guide_all
        else choose_guided(targets, config.max_guided, rng, smallest=config.smallest_guided),
    )


def _film(
    labelled_images: Sequence[LabelledImage],
    config: PseudoVideoConfig,
    canvas: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint16]]]:
    """Map the images to the canvas with one moving camera."""
    view = _draw_view(labelled_images[0], config, canvas, rng)
    camera = draw_motion(config.camera, len(labelled_images), rng)
    motion = replace(camera, poses=turned_poses(config.turns, len(labelled_images), rng)) if config.turns else camera
    center = (canvas[1] / 2, canvas[0] / 2)
    border = _MEAN if config.whole else int(rng.choice([_REFLECT, _REFLECT, _REPLICATE, _MEAN]))
    images, id_maps = [], []
    for labelled_image, pose, warp in zip(labelled_images, motion.poses, motion.warps, strict=True):
        matrix = pose_matrix(pose, center, canvas) @ view
        seen, to_seen = _shrink(labelled_image, matrix)
        maps = sampling_maps(to_seen @ np.linalg.inv(matrix), (0, 0, canvas[1], canvas[0]), warp)
        sampled = cv2.remap(seen.id_map, *maps, cv2.INTER_NEAREST, borderMode=_MEAN, borderValue=0)
        id_map = np.asarray(sampled, np.uint16)
        images.append(_sample(seen, maps, id_map, border))
        id_maps.append(id_map)
    return images, id_maps


def _draw_view(
    labelled_image: LabelledImage, config: PseudoVideoConfig, canvas: tuple[int, int], rng: np.random.Generator
) -> Matrix:
    height, width = labelled_image.id_map.shape
    focus = (width * rng.random(), height * rng.random())
    zoom = _draw_log(config.zoom, rng)
    ids = np.flatnonzero(np.bincount(labelled_image.id_map.ravel()))[1:]
    if len(ids) and rng.random() < config.focus:
        x, y, across, down = cv2.boundingRect((labelled_image.id_map == rng.choice(ids)).view(np.uint8))
        focus = (x + across / 2, y + down / 2)
        if rng.random() < config.fill_probability:
            unit = scale_at_zoom_one((height, width), canvas, whole=config.whole)
            wanted = _draw_log(config.fill, rng) * min(canvas) / max(across, down)
            zoom = max(min(wanted, _LARGEST_MAGNIFICATION) / unit, config.zoom[0])
    view = view_matrix(
        (height, width),
        canvas,
        zoom=zoom,
        flip=bool(rng.random() < config.flip),
        focus=focus,
        at=(rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)),
        whole=config.whole,
    )
    tilt = np.zeros(7)
    tilt[0] = np.deg2rad(config.tilt) * rng.uniform(-1.0, 1.0)
    return pose_matrix(tilt, (canvas[1] / 2, canvas[0] / 2), canvas) @ view


def _draw_log(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Sample between two limits, uniformly in the logarithm."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def _shrink(labelled_image: LabelledImage, matrix: Matrix) -> tuple[LabelledImage, Matrix]:
    """Reduce an image by averaging to about its size in the canvas. Also return the matrix to the reduced image."""
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if factor > _ALIASING:
        return labelled_image, np.eye(3)
    height, width = labelled_image.id_map.shape
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    image = cv2.resize(labelled_image.image, size, interpolation=cv2.INTER_AREA)
    id_map = cv2.resize(labelled_image.id_map, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return LabelledImage(np.asarray(image, np.uint8), np.asarray(id_map, np.uint16)), scale_matrix(
        size[0] / width, size[1] / height
    )


def _sample(
    labelled_image: LabelledImage,
    maps: tuple[NDArray[np.float32], NDArray[np.float32]],
    id_map: NDArray[np.uint16],
    border: int,
) -> NDArray[np.uint8]:
    """Sample the image. Pixels outside of it mirror it only if that does not repeat an object."""
    if border == _REFLECT:
        mirrored = cv2.remap(labelled_image.id_map, *maps, cv2.INTER_NEAREST, borderMode=_REFLECT)
        border = _REFLECT if np.array_equal(mirrored, id_map) else _REPLICATE
    image = cv2.remap(labelled_image.image, *maps, cv2.INTER_LINEAR, borderMode=border, borderValue=_MEAN_COLOUR)
    return np.asarray(image, np.uint8)


def _paste_objects(
    labelled_image: LabelledImage,
    images: list[NDArray[np.uint8]],
    id_maps: list[NDArray[np.uint16]],
    objects: FrameObjects,
    bank: CutoutBank,
    config: PseudoVideoConfig,
    rng: np.random.Generator,
) -> dict[int, int]:
    """Draw the pasted objects into the frames and id maps in place. Return their labels by id."""
    originals = [id_map.copy() for id_map in id_maps]
    canvas = (originals[0].shape[0], originals[0].shape[1])
    pastes = draw_pastes(
        config.paste,
        bank,
        labelled_image,
        _places(originals[0], objects),
        num_frames=len(images),
        canvas=canvas,
        rng=rng,
    )
    first = max([0, *objects.labels, *objects.crowds]) + 1
    for instance_id, paste in enumerate(pastes, first):
        for frame, (image, id_map) in enumerate(zip(images, id_maps, strict=True)):
            apply_paste(image, id_map, originals[frame], paste, frame=frame, instance_id=instance_id)
    return {instance_id: paste.cutout.label for instance_id, paste in enumerate(pastes, first)}


def _places(id_map: NDArray[np.uint16], objects: FrameObjects) -> list[Place]:
    seen = np.flatnonzero(np.bincount(id_map.ravel()))
    return [
        Place(int(value), objects.labels[int(value)], cv2.boundingRect((id_map == value).view(np.uint8)))
        for value in seen
        if int(value) in objects.labels
    ]
