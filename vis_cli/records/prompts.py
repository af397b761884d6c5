"""Boxes and points that select the objects of a video: their text form, and their objects by frame.

Used by `commands.object_options` for `--box` and `--point`, and by the engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.given_names import MAX_OBJECT_ID

MAX_FRAME = 10**9
BOX_FORM = "FRAME:x1,y1,x2,y2"
POINT_FORM = "FRAME:x,y"
_TEXT = re.compile(r"(?P<minus>-?)(?P<frame>[0-9]{1,9}):(?P<values>[^:#]+)(#(?P<id>[0-9]{1,9}))?")
_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*")


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A box around one object of a frame.

    Attributes:
        frame: Frame index, from 0.
        box: (x1, y1, x2, y2) in pixels of the displayed video. The box ends where its last pixel ends.
        id: Id of the object. None: the next free id.
    """

    frame: int
    box: tuple[float, float, float, float]
    id: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            VisError: A value is out of range, or the box is empty.
        """
        _check(self.frame, self.box, self.id, str(self))
        x1, y1, x2, y2 = self.box
        if not (x1 < x2 and y1 < y2):
            raise VisError("the box is empty", where=self, hint="Use x1 < x2 and y1 < y2.")

    def __str__(self) -> str:
        """Return the box as an option."""
        return f"--box {self.frame}:{_joined(self.box)}{_suffix(self.id)}"


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A point of a frame, inside of one object, or in an area that does not belong to it.

    Attributes:
        frame: Frame index, from 0.
        point: (x, y) in pixels of the displayed video.
        id: Id of the object. None: the next free id; for a negative point, all objects of boxes and points in this
            frame.
        positive: Whether the object contains the point.
    """

    frame: int
    point: tuple[float, float]
    id: int | None = None
    positive: bool = True

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            VisError: A value is out of range.
        """
        _check(self.frame, self.point, self.id, str(self))

    def __str__(self) -> str:
        """Return the point as an option."""
        sign = "" if self.positive else "-"
        return f"--point {sign}{self.frame}:{_joined(self.point)}{_suffix(self.id)}"


Prompt: TypeAlias = BoxPrompt | PointPrompt


def uses_detector(*, has_masks: bool, has_detections: bool, has_prompts: bool, also_detect: bool) -> bool:
    """Return whether the detector of a model takes part: for detection, or for the classes of boxes and points.

    Args:
        has_masks: Whether masks are given.
        has_detections: Whether detections of another program are given.
        has_prompts: Whether boxes or points are given.
        also_detect: Whether objects are detected in addition to the given objects.
    """
    return has_prompts or (not has_detections and (not has_masks or also_detect))


@dataclass(frozen=True, slots=True)
class PromptedObject:
    """The prompts of one object in one frame: a box or at least one positive point, and negative points."""

    id: int
    box: BoxPrompt | None
    points: tuple[PointPrompt, ...]
    negative: tuple[PointPrompt, ...]


def parse_box(text: str) -> BoxPrompt:
    """Parse a box such as "30:100,50,220,180", or "30:100,50,220,180#2" for the object 2.

    Raises:
        VisError: The text has another form, or a value is out of range.
    """
    minus, frame, values, id_ = _parse(text, "--box", BOX_FORM, num=4)
    if minus:
        raise _malformed(text, "--box", BOX_FORM)
    return BoxPrompt(frame, (values[0], values[1], values[2], values[3]), id_)


def parse_point(text: str) -> PointPrompt:
    """Parse a point such as "30:120,90", "30:120,90#2" for the object 2, or "-30:120,90" for a negative point.

    Raises:
        VisError: The text has another form, or a value is out of range.
    """
    minus, frame, values, id_ = _parse(text, "--point", POINT_FORM, num=2)
    return PointPrompt(frame, (values[0], values[1]), id_, positive=not minus)


def group_prompts(prompts: Sequence[Prompt]) -> dict[int, tuple[PromptedObject, ...]]:
    """Return the objects of each frame with a prompt, in ascending order of the frames and ids.

    A box or a positive point without id is a new object. These objects get the lowest free ids in the order of the
    prompts.

    Raises:
        VisError: An object has several boxes, or a box and points, in one frame. Or a negative point has no object.
    """
    taken = {prompt.id for prompt in prompts}
    free = (id_ for id_ in count(1) if id_ not in taken)
    by_frame: dict[int, list[tuple[int | None, Prompt]]] = {prompt.frame: [] for prompt in prompts}
    for prompt in prompts:
        is_new = prompt.id is None and (isinstance(prompt, BoxPrompt) or prompt.positive)
        by_frame[prompt.frame].append((next(free) if is_new else prompt.id, prompt))
    return {frame: _objects(some) for frame, some in sorted(by_frame.items())}


def describe_prompts(only: Sequence[str], prompts: Sequence[Prompt], *, also_detect: bool) -> str | None:
    """Return prompts as options, for the record in a result. None: there is no prompt."""
    words = [f"--only {','.join(only)}"] if only else []
    words += [*map(str, prompts), *(["--also-detect"] if also_detect else [])]
    return " ".join(words) or None


def require_inside(prompts: Iterable[Prompt], *, width: int, height: int) -> None:
    """Check that boxes and points are inside of a video.

    Raises:
        VisError: One of them is not.
    """
    for prompt in prompts:
        if isinstance(prompt, BoxPrompt):
            x1, y1, x2, y2 = prompt.box
            is_inside = x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height
        else:
            x, y = prompt.point
            is_inside = 0 <= x < width and 0 <= y < height
        if not is_inside:
            kind = "box" if isinstance(prompt, BoxPrompt) else "point"
            hint = f"Use x from 0 to {width} and y from 0 to {height}, the size of the displayed video."
            raise VisError(f"the {kind} is not inside of the image", where=prompt, hint=hint)


def require_frames(prompts: Iterable[Prompt], frames: range) -> None:
    """Check that a video, or a part of it, has the frames of the prompts.

    Args:
        prompts: Boxes and points.
        frames: Frame numbers of the video or of its part.

    Raises:
        VisError: It does not have one of them.
    """
    for prompt in prompts:
        if prompt.frame not in frames:
            every = "" if frames.step == 1 else f", every {frames.step} frames"
            hint = f"Use a frame from {frames[0]} to {frames[-1]}{every}."
            raise VisError("the video has no such frame", where=prompt, hint=hint)


def _objects(prompts: Sequence[tuple[int | None, Prompt]]) -> tuple[PromptedObject, ...]:
    """Return the objects of one frame, from its prompts and the ids of their objects."""
    boxes: dict[int, BoxPrompt] = {}
    points: dict[int, list[PointPrompt]] = {}
    negative: list[PointPrompt] = []
    for id_, prompt in prompts:
        if isinstance(prompt, PointPrompt) and not prompt.positive:
            negative.append(prompt)
        elif id_ is None:
            raise ValueError("an object has no id")
        elif isinstance(prompt, PointPrompt):
            points.setdefault(id_, []).append(prompt)
        elif boxes.setdefault(id_, prompt) is not prompt:
            raise VisError("the object has another box in this frame", where=prompt, hint="Use one of them.")
    for id_ in boxes.keys() & points.keys():
        hint = "Use the box, or the points. Negative points can be combined with a box."
        raise VisError("the object also has a point in this frame", where=boxes[id_], hint=hint)
    ids = sorted(boxes.keys() | points.keys())
    _require_objects(negative, ids)
    return tuple(
        PromptedObject(
            id_, boxes.get(id_), tuple(points.get(id_, ())), tuple(item for item in negative if item.id in (None, id_))
        )
        for id_ in ids
    )


def _require_objects(negative: Iterable[PointPrompt], ids: Sequence[int]) -> None:
    for point in negative:
        if not ids or (point.id is not None and point.id not in ids):
            which = "no object has" if point.id is None else f"object {point.id} has no"
            what = "a box or a positive point" if point.id is None else "box and no positive point"
            hint = "A negative point removes an area from an object. Add --box or --point for this frame."
            raise VisError(f"{which} {what} in this frame", where=point, hint=hint)


def _parse(text: str, option: str, form: str, *, num: int) -> tuple[bool, int, list[float], int | None]:
    found = _TEXT.fullmatch(text.strip())
    values = found["values"].split(",") if found else []
    if found is None or len(values) != num or not all(map(_NUMBER.fullmatch, values)):
        raise _malformed(text, option, form)
    id_ = None if found["id"] is None else int(found["id"])
    return bool(found["minus"]), int(found["frame"]), [float(value) for value in values], id_


def _malformed(text: str, option: str, form: str) -> VisError:
    example = "30:100,50,220,180" if option == "--box" else "30:120,90"
    hint = f"Use a frame index and pixels, such as {example}, and #ID at the end for the id of the object."
    return VisError(f"'{printable(text)}' is not {form}", where=option, hint=hint)


def _check(frame: int, values: Sequence[float], id_: int | None, where: str) -> None:
    if not 0 <= frame <= MAX_FRAME:
        raise VisError(f"the frame is {frame}", where=where, hint="Use a frame index of at least 0.")
    if not all(map(math.isfinite, values)):
        raise VisError("a coordinate is not a finite number", where=where, hint="Use pixels.")
    if id_ is not None and not 1 <= id_ <= MAX_OBJECT_ID:
        raise VisError(f"the id is {id_}", where=where, hint=f"Use an id from 1 to {MAX_OBJECT_ID}.")


def _joined(values: Iterable[float]) -> str:
    return ",".join(f"{value:.10g}" for value in values)


def _suffix(id_: int | None) -> str:
    return "" if id_ is None else f"#{id_}"
