"""Frame numbers in the names of images. Used by `given_masks` and `detection_frames`."""

from __future__ import annotations

from collections.abc import Sequence

from vis_cli.files.limits import MAX_FRAMES


def is_frame_number(name: str) -> bool:
    """Return whether a name without its file extension is a number that a frame can have."""
    return name.isdecimal() and len(name.lstrip("0")) <= len(str(MAX_FRAMES))


def images_by_number(names: Sequence[str]) -> dict[int, int] | None:
    """Return the frame index of each image by its number, or None if an image has another name.

    Args:
        names: Names of the images in frame order, without file extensions.
    """
    if not names or not all(map(is_frame_number, names)):
        return None
    return {int(name): index for index, name in enumerate(names)}
