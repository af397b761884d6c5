"""Masks of an earlier result as given masks: the objects keep their ids and categories.

Used by `commands.given_inputs` for `--masks NAME.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import Messages, NoMessages, counted
from vis_cli.records.given_names import MAX_OBJECT_ID
from vis_cli.records.result_json import read_result
from vis_cli.records.types import Category, InstanceSequence, VideoInfo

Labels: TypeAlias = NDArray[np.uint16]

SUFFIX = ".json"
AT_OPTION = "--masks-at"


@dataclass(frozen=True, slots=True)
class GivenResult:
    """Objects of an earlier result."""

    masks: dict[int, Labels]  # label maps (H, W) by frame number
    categories: dict[int, Category]  # by id of the object, for objects with a category
    video: VideoInfo


def is_result(masks: Path) -> bool:
    """Return whether the value of `--masks` is the path of a result."""
    return masks.suffix.lower() == SUFFIX


def read_frames(text: str) -> tuple[int, ...]:
    """Read a list of frame numbers such as "0,300".

    Raises:
        VisError: A part of it is not a frame number.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not re.fullmatch("[0-9]{1,9}", word):
            problem = f"'{printable(word)}' is not a frame number"
            raise VisError(problem, where=AT_OPTION, hint="Use frame numbers counted from 0, such as 0,300.")
    return tuple(sorted({int(word) for word in words}))


def read_result_masks(path: Path, *, at: Sequence[int] = (), messages: Messages | None = None) -> GivenResult:
    """Read the masks of the confident instances of a result.

    A pixel of several instances belongs to the one with the highest score.

    Args:
        path: NAME.json.
        at: Frame numbers of the masks to use. (): the first mask of each instance.
        messages: Receives notes about instances that are not used.

    Raises:
        VisError: The result cannot be read, a frame is not in it, an id is above 65,535, or no instance has a mask.
    """
    messages, result = messages or NoMessages(), read_result(path)
    numbers = result.video.frame_numbers
    for number in at:
        if number not in numbers:
            hint = f"Use frames from {numbers[0]} to {numbers[-1]}."
            raise VisError(f"{path} has no frame {number}", where=AT_OPTION, hint=hint)
    confident = [instance for instance in result.instances if instance.confident]
    if len(confident) < len(result.instances):
        num = counted(len(result.instances) - len(confident), "instance")
        messages.note(f"{path}: {num} not used, because their score is low")
    frames = [numbers.index(number) for number in at]
    used = {item.id: some for item in confident if (some := _frames_of(item, frames))}
    if unused := [item.id for item in confident if item.id not in used]:
        messages.note(f"{path}: objects without a mask in these frames, not used: {', '.join(map(str, unused))}")
    if not confident:
        raise VisError("the result has no confident instance", where=path, hint="Use another result, or omit --masks.")
    if not used:
        raise VisError("no instance has a mask in these frames", where=path, hint=f"Use other frames for {AT_OPTION}.")
    _require_labels(used, path)
    names = {category.id: category for category in result.categories}
    objects = [item for item in sorted(confident, key=lambda item: item.score) if item.id in used]
    masks = {
        numbers[frame]: _label_map(objects, used, frame, result.video) for frame in sorted(set().union(*used.values()))
    }
    shown = {int(id_) for labels in masks.values() for id_ in np.unique(labels)}
    if hidden := [item.id for item in confident if item.id in used and item.id not in shown]:
        messages.note(
            f"{path}: objects that others with higher scores cover in these frames, not used: "
            f"{', '.join(map(str, hidden))}"
        )
    return GivenResult(
        masks,
        {item.id: names[item.category_id] for item in objects if item.category_id is not None and item.id in shown},
        result.video,
    )


def require_result_size(given: VideoInfo, path: Path, *, width: int, height: int) -> None:
    """Check that a result has the size of the video.

    Raises:
        VisError: It has another size.
    """
    if (given.width, given.height) != (width, height):
        problem = f"the result is for a video of {given.width}x{given.height}, but the video is {width}x{height}"
        raise VisError(problem, where=path, hint="Use a result of this video.")


def _frames_of(instance: InstanceSequence, frames: Sequence[int]) -> set[int]:
    """Return the indices of the frames whose mask of an instance is used."""
    if frames:
        return {frame for frame in frames if instance.segmentations[frame] is not None}
    first = next((index for index, mask in enumerate(instance.segmentations) if mask is not None), None)
    return set() if first is None else {first}


def _label_map(
    instances: Iterable[InstanceSequence], used: dict[int, set[int]], frame: int, video: VideoInfo
) -> Labels:
    """Return the label map (H, W) of a frame. Later instances are above earlier ones."""
    labels = np.zeros((video.height, video.width), dtype=np.uint16)
    for instance in instances:
        mask = instance.mask(frame) if frame in used[instance.id] else None
        if mask is not None:
            labels[mask] = instance.id
    return labels


def _require_labels(ids: Iterable[int], path: Path) -> None:
    for id_ in ids:
        if not 1 <= id_ <= MAX_OBJECT_ID:
            problem = f"the id {id_} of an object is not from 1 to {MAX_OBJECT_ID}"
            raise VisError(problem, where=path, hint=f"Use {AT_OPTION} with frames that do not show it.")
