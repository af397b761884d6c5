"""Reader of `--masks`: label maps that the user gives instead of detections, and the frame of each label map.

Used by `commands.batch` and `evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_IMAGE_BYTES
from vis_cli.files.reading import read_bytes
from vis_cli.messages import Messages, NoMessages
from vis_cli.records.antialiasing import require_sharp
from vis_cli.records.davis import VOID, list_label_pngs
from vis_cli.records.frame_numbers import images_by_number, is_frame_number
from vis_cli.records.inputs import image_files
from vis_cli.records.label_png import decode_labels
from vis_cli.records.media_folder import listed
from vis_cli.records.video import Video

Labels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Image:
    """A label map and its file."""

    path: Path
    labels: Labels
    is_palette: bool  # whether it is a palette PNG, whose values a labelling tool chose


def read_given_masks(
    masks: Path, video: Path, *, first: int | None = None, messages: Messages | None = None
) -> dict[int, Labels]:
    """Read label maps (H, W) by frame index. 0 is background, and 1 to 254 are ids of objects.

    Void (255) becomes background. If 255 is the only value, as in DAVIS 2016, it becomes object 1.

    Args:
        masks: A PNG, or a folder of PNGs. The names of the PNGs are names of images or frame numbers. A single PNG
            with another name is for the first frame.
        video: A video file or a folder of images.
        first: Number of the first frame in the names of the masks. None uses the numbers of the images, or 0.
        messages: Receives notes and warnings about assumptions.

    Raises:
        VisError: A PNG cannot be read or is antialiased, or its frame is unknown.
    """
    messages = messages or NoMessages()
    paths = _find_frames(masks, video, first, messages)
    images = {frame: _read_image(path) for frame, path in paths.items()}
    for image in images.values():
        if not image.is_palette:
            require_sharp(image.labels, str(image.path))
    guidance = _without_void(masks, images, messages)
    empty = [paths[frame] for frame, labels in guidance.items() if not labels.any()]
    if 0 < len(empty) < len(paths):
        messages.warn(f"{masks}: no object is given in {listed(empty)}")
    return guidance


def is_for_first_frame(masks: Path, video: Path, *, first: int | None = None) -> bool:
    """Return whether masks are a single PNG whose name does not mean a frame. Arguments as for `read_given_masks`."""
    names = [image.stem for image in image_files(video)] if video.is_dir() else []
    return first is None and not masks.is_dir() and masks.stem not in names


def require_objects(guidance: Mapping[int, Labels], masks: Path) -> None:
    """Check that a label map contains an object.

    Args:
        guidance: What `read_given_masks` returned for `masks`.
        masks: The PNG or the folder of PNGs.

    Raises:
        VisError: All label maps contain only background.
    """
    if not any(labels.any() for labels in guidance.values()):
        hint = "Mark each object with an id from 1 to 254."
        raise VisError(f"no object is given in {masks}: all pixels are background", hint=hint)


def require_mask_size(guidance: Mapping[int, Labels], masks: Path, video: Video, *, first: int | None = None) -> None:
    """Check that label maps have the size of the video.

    Args:
        guidance: What `read_given_masks` returned for `masks`.
        masks: The PNG or the folder of PNGs.
        video: The opened video.
        first: The same value as for `read_given_masks`.

    Raises:
        VisError: A label map has another size. The error names its file.
    """
    for frame, labels in guidance.items():
        height, width = labels.shape
        if (width, height) != (video.width, video.height):
            png = _find_frames(masks, video.path, first, NoMessages())[frame]
            problem = f"the mask is {width}x{height}, but the video is {video.width}x{video.height}"
            raise VisError(problem, where=png, hint="Export the mask in the size of the video.")


def _find_frames(masks: Path, video: Path, first: int | None, messages: Messages) -> dict[int, Path]:
    """Return the files of the masks by frame index."""
    names = [image.stem for image in image_files(video)] if video.is_dir() else []
    if not masks.is_dir():
        if first is None:
            return {_frame_of_one(masks, names, messages): masks}
        return {_frame_number(masks) - first: _require_after(masks, first)}
    pngs = list_label_pngs(masks)
    if first is None and any(png.stem in names for png in pngs):
        return _by_image(pngs, {name: index for index, name in enumerate(names)}, video)
    return _by_number(pngs, names, video, first, messages)


def _frame_of_one(mask: Path, names: list[str], messages: Messages) -> int:
    """Return the frame of a single mask: the image of the same name, or the first frame."""
    frame = names.index(mask.stem) if mask.stem in names else 0
    if frame:
        messages.note(f"{mask}: used for frame {frame}, because the image of this frame has the same name")
    return frame


def _by_image(pngs: list[Path], indices: dict[str, int], video: Path) -> dict[int, Path]:
    for png in pngs:
        if png.stem not in indices:
            problem = f"{video} has no image of this name"
            raise VisError(problem, where=png, hint="Use the names of the images for all masks.")
    return {indices[png.stem]: png for png in pngs}


def _by_number(
    pngs: list[Path], names: list[str], video: Path, first: int | None, messages: Messages
) -> dict[int, Path]:
    """Pair masks with frames by the numbers of the images, or by frame index if the images have no numbers."""
    by_number: dict[int, Path] = {}
    for png in pngs:
        number = _frame_number(png)
        if (other := by_number.setdefault(number, png)) is not png:
            raise VisError(f"{other.name} is also for frame {number}", where=png, hint="Keep one of them.")
    indices = images_by_number(names)
    if first is None and indices is not None:
        return _by_image_number(by_number, indices, video)
    if first is None and min(by_number) == 1:
        named = by_number[1].name
        messages.warn(f"{named}: used for the second frame. If it is for the first frame, use --masks-from 1")
    return {number - (first or 0): _require_after(png, first or 0) for number, png in by_number.items()}


def _by_image_number(by_number: dict[int, Path], indices: dict[int, int], video: Path) -> dict[int, Path]:
    for number, png in by_number.items():
        if number not in indices:
            first = min(by_number)
            hint = f"If {first} is the number of the first frame, use --masks-from {first}."
            raise VisError(f"{video} has no image with the number {number}", where=png, hint=hint)
    return {indices[number]: png for number, png in by_number.items()}


def _require_after(png: Path, first: int) -> Path:
    """Return the path, or raise a VisError if its number is below the number of the first frame."""
    if _frame_number(png) < first:
        raise VisError(f"the number is below --masks-from {first}", where=png, hint="Use a smaller --masks-from.")
    return png


def _frame_number(png: Path) -> int:
    if not is_frame_number(png.stem):
        problem = "the name is not a frame number"
        raise VisError(problem, where=png, hint="Name the mask of frame 12, for example, 12.png or 00012.png.")
    return int(png.stem)


def _read_image(path: Path) -> _Image:
    labels, header = decode_labels(read_bytes(path, limit=MAX_IMAGE_BYTES), str(path))
    return _Image(path, labels, header.is_palette)


def _without_void(masks: Path, images: dict[int, _Image], messages: Messages) -> dict[int, Labels]:
    values = {int(value) for image in images.values() for value in np.unique(image.labels)}
    if VOID not in values:
        return {frame: image.labels for frame, image in images.items()}
    if values <= {0, VOID}:
        messages.note(f"{masks}: {VOID} is the only value, so it is object 1")
        return {frame: (image.labels == VOID).astype(np.uint8) for frame, image in images.items()}
    are_palettes = all(image.is_palette for image in images.values())
    report = messages.note if are_palettes else messages.warn
    report(f"{masks}: {VOID} means void, so these pixels are background. Use the ids 1 to {VOID - 1} for objects")
    return {frame: np.where(image.labels == VOID, 0, image.labels).astype(np.uint8) for frame, image in images.items()}
