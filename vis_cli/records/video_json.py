"""The `video` object of NAME.json: properties and source of the video, and names and timestamps of its frames.

Used by `result_json` and `result_head`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.files.urls import url_of
from vis_cli.records.json_fields import is_finite_number, require, shown, take_field, take_flag, take_size
from vis_cli.records.part import PartRequest, VideoPart, make_request
from vis_cli.records.types import SourceIdentity, VideoInfo

LONG_FIELD = "frame_names"  # the first field of `video` whose length depends on the video; `result_head` stops there
TIME_DIGITS = 6  # microseconds
MIN_FPS = 1e-10  # below the lowest rate that a container can store; timestamps stay finite


def video_to_json(video: VideoInfo) -> dict[str, Any]:
    """Return the `video` object. The fields whose length depends on the video are last."""
    source = video.source
    return {
        "name": video.name,
        "path": url_of(video.path),
        "absolute_path": None if source is None else url_of(source.path),
        "kind": None if source is None else source.kind,
        "size": None if source is None else source.size,
        "fingerprint": None if source is None else source.fingerprint,
        **({} if source is None or source.stream is None else {"stream": source.stream}),
        "width": video.width,
        "height": video.height,
        "fps": video.fps,
        "num_frames": video.num_frames,
        **({} if video.part is None else {"part": _part_to_json(video.part)}),
        LONG_FIELD: None if video.frame_names is None else list(video.frame_names),
        "timestamps": None if video.timestamps is None else [round(t, TIME_DIGITS) for t in video.timestamps],
    }


def video_from_json(entry: dict[str, Any], where: str) -> VideoInfo:
    """Convert the `video` object of schema 1 or 2.

    Raises:
        VisError: A field is missing or invalid, or two fields contradict each other.
    """
    width, height = take_size(entry, where)
    num_frames = take_field(entry, "num_frames", int, where)
    hint = f"Use a value from 0 to {MAX_FRAMES:,}."
    require(0 <= num_frames <= MAX_FRAMES, where, f"'num_frames' is {num_frames}", hint=hint)
    fps = float(take_field(entry, "fps", float, where))
    require(fps >= 0, where, f"'fps' is {fps}", hint="Use a number of at least 0.")
    hint = f"Use a number of at least {MIN_FPS:g}, or 0 if the frame rate is unknown."
    require(fps == 0 or fps >= MIN_FPS, where, f"'fps' is {fps}", hint=hint)
    return VideoInfo(
        name=take_field(entry, "name", str, where),
        path=Path(take_field(entry, "path", str, where)),
        width=width,
        height=height,
        fps=fps,
        num_frames=num_frames,
        source=source_from_json(entry, where),
        frame_names=_frame_names(entry, num_frames, where),
        timestamps=_timestamps(entry, num_frames, where),
        part=part_from_json(entry, num_frames, where),
    )


def source_from_json(entry: dict[str, Any], where: str) -> SourceIdentity | None:
    """Return the identity of the source, or None if the `video` object has no fingerprint (schema 1).

    Raises:
        VisError: A field is missing or has another type.
    """
    if entry.get("fingerprint") is None:
        return None
    kind = take_field(entry, "kind", str, where)
    require(kind in ("file", "folder"), where, f"'kind' is {shown(kind)}", hint="Use 'file' or 'folder'.")
    known: Literal["file", "folder"] = "file" if kind == "file" else "folder"
    return SourceIdentity(
        path=Path(take_field(entry, "absolute_path", str, where)),
        kind=known,
        size=take_field(entry, "size", int, where),
        fingerprint=take_field(entry, "fingerprint", str, where),
        stream=take_field(entry, "stream", int, where) if entry.get("stream") is not None else None,
    )


def part_from_json(entry: dict[str, Any], num_frames: int, where: str) -> VideoPart | None:
    """Return the part of the video that the result covers, or None for the complete video.

    Raises:
        VisError: A field is missing or invalid, or the part has another number of frames than the result.
    """
    if entry.get("part") is None:
        return None
    part, where = take_field(entry, "part", dict, where), f"{where}.part"
    first, end, every = (take_field(part, name, int, where) for name in ("start_frame", "end_frame", "every"))
    start, stop = (part.get(name) for name in ("start", "end"))
    is_valid = all(text is None or isinstance(text, str) for text in (start, stop))
    require(is_valid, where, "'start' or 'end' is not a string", hint="Use a position such as 120 or 5s, or null.")
    try:
        request = make_request(start, stop, every) or PartRequest()
    except VisError as error:
        raise error.inside(where) from error
    problem = f"the part from frame {first} to before frame {end} does not fit to {num_frames} frames"
    fits = 0 <= first < end <= MAX_FRAMES and len(range(first, end, every)) == num_frames
    require(fits, where, problem, hint="Use one frame number per frame.")
    return VideoPart(first, end, request, take_flag(part, "ends_with_video", where, default=False))


def _part_to_json(part: VideoPart) -> dict[str, Any]:
    start, end = (None if position is None else str(position) for position in (part.request.start, part.request.end))
    return {
        "start_frame": part.first,
        "end_frame": part.end,
        "every": part.frames.step,
        "ends_with_video": part.ends_with_video,
        "start": start,
        "end": end,
    }


def _frame_names(entry: dict[str, Any], num_frames: int, where: str) -> tuple[str, ...] | None:
    if entry.get("frame_names") is None:
        return None
    names = take_field(entry, "frame_names", list, where)
    problem = f"'frame_names' has {len(names)} entries, 'num_frames' is {num_frames}"
    require(len(names) == num_frames, where, problem, hint="Use one name per frame.")
    is_valid = all(isinstance(name, str) for name in names)
    require(is_valid, where, "'frame_names' contains a value that is not a string", hint="Use only strings.")
    return tuple(names)


def _timestamps(entry: dict[str, Any], num_frames: int, where: str) -> tuple[float, ...] | None:
    if entry.get("timestamps") is None:
        return None
    times = take_field(entry, "timestamps", list, where)
    problem = f"'timestamps' has {len(times)} entries, 'num_frames' is {num_frames}"
    require(len(times) == num_frames, where, problem, hint="Use one timestamp per frame.")
    is_valid = all(map(is_finite_number, times))
    require(is_valid, where, "'timestamps' contains a value that is not a finite number", hint="Use only seconds.")
    return tuple(float(time) for time in times)
