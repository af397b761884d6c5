"""Frame index of each frame number or image name in a detection file. Used by `detection_file`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import Messages
from vis_cli.records.detection_formats.rows import FrameKey, Numbering
from vis_cli.records.frame_numbers import images_by_number, is_frame_number

OPTION = "--detections-from"
NUM_LISTED = 3  # first numbers of images in a message
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)", re.DOTALL)  # clip_12: Ultralytics, and names of images


@dataclass(frozen=True, slots=True)
class FrameKeys:
    """The frames of a detection file."""

    path: Path
    keys: Sequence[FrameKey]  # each once
    numbering: Numbering
    where: Callable[[int], str]  # place of the first row of a key, by its index
    listed: Sequence[str] = ()  # names of frames with or without detections


def assign_frames(
    found: FrameKeys, num_frames: int, frame_names: Sequence[str] | None, first: int | None, messages: Messages
) -> list[int]:
    """Return the frame index of each key.

    Names of images decide first, then the numbers in these names, then the numbers in the file, then the format.

    Args:
        found: The frames of the file.
        num_frames: Number of frames of the video.
        frame_names: File names of the images of the video; None for a video file.
        first: Number of the first frame; None decides automatically.
        messages: Receives the assumption with its reason.

    Raises:
        VisError: A name is unknown, a number is beyond the end, or two keys mean the same frame.
    """
    stems = [PurePath(name).stem for name in frame_names or ()]
    names = set(stems)
    if first is None and any(isinstance(key, str) and key in names for key in found.keys):
        frames = _by_name(found, stems)
    elif found.numbering.is_certain:
        frames = _indices(found, first)
    else:
        frames = _by_number(found, num_frames, stems, first, messages)
    _require_range(found, frames, num_frames, first)
    _require_one_key_per_frame(found, frames)
    return frames


def _by_name(found: FrameKeys, stems: Sequence[str]) -> list[int]:
    indices = {name: index for index, name in enumerate(stems)}
    frames = []
    for index, key in enumerate(found.keys):
        if str(key) not in indices:
            problem = f"the video has no image with the name {printable(str(key))!r}"
            raise VisError(problem, where=found.where(index), hint="Use the names of the images in all rows.")
        frames.append(indices[str(key)])
    return frames


def _indices(found: FrameKeys, first: int | None) -> list[int]:
    if first:
        problem = f"{OPTION} is {first}, but a result contains frame indices"
        raise VisError(problem, where=found.path, hint=f"Omit {OPTION}.")
    return [int(key) for key in found.keys]


def _by_number(
    found: FrameKeys, num_frames: int, stems: Sequence[str], first: int | None, messages: Messages
) -> list[int]:
    numbers = _numbers(found)
    if first is not None:
        return [number - first for number in numbers]
    by_number = images_by_number(stems)
    if by_number is not None and _are_image_numbers(found, numbers, num_frames, by_number):
        messages.note(f"{found.path}: the frame numbers are numbers of images. For another meaning, use {OPTION} N")
        return [by_number[number] for number in numbers]
    start, reason = _guess_first(found, numbers, num_frames)
    other = f"For another start, use {OPTION} N"
    if by_number is not None and by_number.keys() >= set(numbers):
        other = f"If the numbers are numbers of images, use {OPTION} 0"
    meaning = f", so frame {start} is image {printable(stems[0])}" if stems else ""
    messages.note(f"{found.path}: frame numbers start at {start}{meaning}: {reason}. {other}")
    return [number - start for number in numbers]


def _numbers(found: FrameKeys) -> list[int]:
    """Return the frame number of each key: the number itself, or the digits after the same text in all names."""
    numbers: list[int] = []
    known: tuple[str, str] | None = None  # text before the number, and a name with this text
    for index, key in enumerate(found.keys):
        if isinstance(key, int):
            numbers.append(key)
            continue
        match = _NUMBERED.fullmatch(key)
        if match is None or not is_frame_number(match["number"]):
            problem = f"the name {printable(key)!r} is not a frame number, and no image of the video has this name"
            hint = "Use frame numbers, or the names of the images of the video."
            raise VisError(problem, where=found.where(index), hint=hint)
        known = known or (match["prefix"], key)
        if match["prefix"] != known[0]:
            problem = f"the names {printable(known[1])!r} and {printable(key)!r} can be of two videos"
            raise VisError(problem, where=found.where(index), hint="Use one file or folder per video.")
        numbers.append(int(match["number"]))
    return numbers


def _are_image_numbers(found: FrameKeys, numbers: Sequence[int], num_frames: int, by_number: Mapping[int, int]) -> bool:
    """Return whether numbers are numbers of images. Return False if they are counted from 0 or 1.

    Images from 0 to N - 1 do not show whether 1 is the first or the second one. The format decides, unless 0 occurs.

    Raises:
        VisError: Both meanings are impossible.
    """
    first, last = min(by_number), max(by_number)
    are_consecutive = last - first + 1 == len(by_number)
    unknown = [index for index, number in enumerate(numbers) if number not in by_number]
    if not unknown:
        has_0 = 0 in numbers or 0 in _listed_numbers(found)
        return not (are_consecutive and first == 0 and found.numbering.first == 1 and not has_0)
    misfit = _misfit(numbers, num_frames)
    if misfit and not (are_consecutive and first <= 1):
        images = f"the number of an image ({_listed(sorted(by_number))})"
        problem = f"number {numbers[unknown[0]]} is not {images}, and for frames counted from 0 or 1, {misfit}"
        hint = f"Use numbers of images, or frame indices with {OPTION} N, the number of the first frame."
        raise VisError(problem, where=found.where(unknown[0]), hint=_start_hint(numbers, num_frames) or hint)
    return False


def _guess_first(found: FrameKeys, numbers: Sequence[int], num_frames: int) -> tuple[int, str]:
    """Return the number of the first frame, and the reason.

    Raises:
        VisError: A number is beyond the end whether the first frame is 0 or 1.
    """
    first, last = min(numbers), max(numbers)
    if misfit := _misfit(numbers, num_frames):
        hint = _start_hint(numbers, num_frames) or "Use the detections of this video."
        raise VisError(misfit, where=found.where(numbers.index(last)), hint=hint)
    if first == 0:
        return 0, "frame 0 occurs"
    if last == num_frames:
        return 1, f"frame {last} occurs, and the video has {num_frames} frames"
    listed = _listed_numbers(found)
    if 0 in listed:
        return 0, "frame 0 is listed, without detections"
    if max(listed, default=0) == num_frames:
        return 1, f"frame {num_frames} is listed, without detections, and the video has {num_frames} frames"
    return found.numbering.first, found.numbering.reason


def _misfit(numbers: Sequence[int], num_frames: int) -> str | None:
    """Return why the frames of a video have other numbers whether the first one is 0 or 1, or None."""
    first, last = min(numbers), max(numbers)
    if first == 0 and last == num_frames:
        return f"the frame numbers 0 and {last} occur, but the video has {num_frames} frames"
    return f"frame {last} is beyond the end: the video has {num_frames} frames" if last > num_frames else None


def _start_hint(numbers: Sequence[int], num_frames: int) -> str | None:
    """Return a remedy if the smallest number can be the number of the first frame."""
    first = min(numbers)
    if first > 0 and max(numbers) - first < num_frames:
        return f"If {first} is the number of the first frame, use {OPTION} {first}."
    return None


def _listed(numbers: Sequence[int]) -> str:
    """Return the first numbers and the last one for a message, such as '0, 4, 8, …, 28'."""
    shown = list(map(str, numbers))
    return ", ".join(shown if len(shown) <= NUM_LISTED + 1 else [*shown[:NUM_LISTED], "…", shown[-1]])


def _listed_numbers(found: FrameKeys) -> set[int]:
    """Return the numbers of the listed frames whose names have the same text before the number as the keys."""
    first = _NUMBERED.fullmatch(str(found.keys[0]))
    matches = [match for match in map(_NUMBERED.fullmatch, found.listed) if match and is_frame_number(match["number"])]
    return {int(match["number"]) for match in matches if first is not None and match["prefix"] == first["prefix"]}


def _require_range(found: FrameKeys, frames: Sequence[int], num_frames: int, first: int | None) -> None:
    for index, frame in enumerate(frames):
        if frame < 0:
            problem = f"frame {printable(str(found.keys[index]))} is before the first frame, {OPTION} {first}"
            raise VisError(problem, where=found.where(index), hint=f"Use a smaller {OPTION}.")
        if frame >= num_frames:
            problem = f"frame {printable(str(found.keys[index]))} is beyond the end: the video has {num_frames} frames"
            hint = "Use the detections of this video." if first is None else f"Check {OPTION} {first}."
            raise VisError(problem, where=found.where(index), hint=hint)


def _require_one_key_per_frame(found: FrameKeys, frames: Sequence[int]) -> None:
    used: dict[int, FrameKey] = {}
    for index, frame in enumerate(frames):
        if frame in used:
            names = f"{printable(str(used[frame]))!r} and {printable(str(found.keys[index]))!r}"
            problem = f"{names} are the same frame"
            raise VisError(problem, where=found.where(index), hint="Use one name per frame.")
        used[frame] = found.keys[index]
