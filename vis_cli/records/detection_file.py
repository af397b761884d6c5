"""Reader of `--detections`: boxes and masks of another program for the frames of one video.

Used by `commands.batch`. The package `detection_formats` has one module per format.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import KIB, MAX_DETECTION_BYTES
from vis_cli.files.reading import open_limited, read_errors, require_regular
from vis_cli.messages import Messages, NoMessages
from vis_cli.records.detection_boxes import fit_to_frame
from vis_cli.records.detection_formats.coco import read_coco_dataset, read_coco_results, require_few_entries
from vis_cli.records.detection_formats.companion import Companion, read_companion
from vis_cli.records.detection_formats.mot import read_mot
from vis_cli.records.detection_formats.result import read_result_detections
from vis_cli.records.detection_formats.rows import ParsedDetections, digest_of, labels_of, require_valid
from vis_cli.records.detection_formats.yolo import read_yolo
from vis_cli.records.detection_formats.yolo_names import NAME_FILES, YAML_SUFFIXES
from vis_cli.records.detection_frames import FrameKeys, assign_frames
from vis_cli.records.detection_pairs import DET_FILE, JSON_SUFFIX, TEXT_SUFFIXES, has_det_file, pair_detections
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.json_fields import RESTORE, read_json_object, shown
from vis_cli.records.json_stream import open_json_text
from vis_cli.records.part import VideoPart
from vis_cli.records.types import Category
from vis_cli.records.video import Video
from vis_cli.records.video_part import PartVideo

MAX_SPACES = 64 * KIB  # at the start of a JSON file
FORMATS = "Use COCO JSON (.json), MOTChallenge text (.txt or .csv), or a folder of YOLO text files."


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFile:
    """Detections of one video. Frames and pixels are not assigned yet."""

    path: Path
    categories: tuple[Category, ...]
    digest: str  # SHA-256 of the content; it does not depend on the path
    _parsed: ParsedDetections
    _labels: NDArray[np.int64]  # label of each row

    def locate(
        self,
        *,
        width: int,
        height: int,
        num_frames: int,
        frame_names: tuple[str, ...] | None,
        first: int | None = None,
        messages: Messages | None = None,
    ) -> VideoDetections:
        """Assign the detections to the frames of a video.

        Args:
            width: Width of the video in pixels.
            height: Height of the video in pixels.
            num_frames: Number of frames of the video.
            frame_names: File names of the images of the video; None for a video file.
            first: Number of the first frame in the file; None decides automatically.
            messages: Receives notes about assumptions, and warnings about detections that are left out.

        Raises:
            VisError: A frame is unknown or beyond the end, a size differs from the video, or no detection is left.
        """
        messages, rows, where = messages or NoMessages(), self._parsed.rows, str(self.path)
        _require_video(self._parsed, where, width, height, num_frames)
        found = FrameKeys(
            self.path,
            rows.keys,
            self._parsed.numbering,
            lambda key: rows.places(int((rows.frames == key).argmax())),
            self._parsed.listed,
        )
        frames = np.array(assign_frames(found, num_frames, frame_names, first, messages))[rows.frames]
        boxes, masks, kept = fit_to_frame(rows, width, height, where, messages)
        order = np.flatnonzero(kept)[np.argsort(frames[kept], kind="stable")]
        starts = np.flatnonzero(np.diff(frames[order], prepend=-1))
        by_frame = {}
        for some in np.split(order, starts[1:]):
            detections = BoxDetections(
                boxes[some], rows.scores[some], self._labels[some], tuple(masks[row] for row in some.tolist())
            )
            by_frame[int(frames[some[0]])] = detections
        return VideoDetections(self.categories, by_frame)


def locate_detections(
    file: DetectionFile, video: Video, num_frames: int, *, first: int | None = None, messages: Messages | None = None
) -> VideoDetections:
    """Assign the detections of a file to the frames of a video.

    The frame numbers and image names of the file mean the complete video, even if `video` is a part of it.

    Args:
        file: The detections.
        video: A complete video or a part.
        num_frames: Number of frames of `video`.
        first: Number of the first frame in the file; None decides automatically.
        messages: Receives notes about assumptions and about detections that are not in the part.

    Raises:
        VisError: See `DetectionFile.locate`. Or no detection is in the part.
    """
    source = video.source if isinstance(video, PartVideo) else video
    located = file.locate(
        width=video.width,
        height=video.height,
        num_frames=num_frames if source is video else source.count_frames(),
        frame_names=source.frame_names,
        first=first,
        messages=messages,
    )
    return located if video.part is None else _in_part(located, video.part, file.path, messages or NoMessages())


def _in_part(located: VideoDetections, part: VideoPart, path: Path, messages: Messages) -> VideoDetections:
    inside = {part.frames.index(number): found for number, found in located.frames.items() if number in part.frames}
    if not inside:
        raise VisError(f"no detection is in the part of the video: {part}", where=path, hint="Use another part.")
    num_outside = len(located.frames) - len(inside)
    if num_outside:
        messages.note(f"{path}: not used, because they are not in the part: detections of {num_outside} frames")
    return VideoDetections(located.categories, inside)


def read_detection_file(path: Path, *, images: Path | None = None, messages: Messages | None = None) -> DetectionFile:
    """Read the detections of one video. The content decides between the JSON formats.

    Args:
        path: COCO results, a COCO dataset, NAME.json, MOTChallenge text, or a folder of YOLO text files.
        images: A COCO file with `images` and `categories` for COCO and MOTChallenge; data.yaml for YOLO.
        messages: Receives notes about assumptions.

    Raises:
        VisError: The file is missing, damaged or empty, has an unknown format, or contains an invalid value.
    """
    parsed = _read(path, images, messages or NoMessages())
    require_valid(parsed.rows, str(path))
    labels = labels_of(parsed.rows, parsed.categories)
    return DetectionFile(path, parsed.categories, digest_of(parsed), parsed, labels)


def _read(path: Path, images: Path | None, messages: Messages) -> ParsedDetections:
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        if not has_det_file(path):
            return read_yolo(path, _class_names(images), messages)
        path = path / DET_FILE
    require_regular(path)
    suffix = path.suffix.lower()
    if suffix != JSON_SUFFIX and suffix not in TEXT_SUFFIXES:
        raise VisError(f"cannot read {path}: unknown file extension {shown(path.suffix)}", hint=FORMATS)
    if path.stat().st_size == 0:
        raise VisError(f"cannot read {path}: the file is empty", hint="Use a file with at least one detection.")
    companion = _companion(images)
    if suffix in TEXT_SUFFIXES:
        return read_mot(path, None if companion is None else companion.categories, messages)
    require_few_entries(path)
    if _first_character(path) != "{":
        return read_coco_results(path, companion, messages)
    return _read_object(path, companion, messages)


def _read_object(path: Path, companion: Companion | None, messages: Messages) -> ParsedDetections:
    data = read_json_object(path)
    if {"schema", "video"} <= data.keys():
        return read_result_detections(path)
    if "annotations" in data:
        return read_coco_dataset(data, path, companion, messages)
    keys = ", ".join(map(shown, list(data)[:5])) or "no keys"
    hint = "Use a list of COCO results, a COCO dataset with 'annotations', or NAME.json of vis segment."
    raise VisError(f"the object contains {keys}, but no detections", where=path, hint=hint)


def _companion(images: Path | None) -> Companion | None:
    if images is None:
        return None
    if images.suffix.lower() in YAML_SUFFIXES:
        hint = "Use a COCO file with 'images' and 'categories'."
        raise VisError("a YAML file has no ids of categories", where=images, hint=hint)
    if images.suffix.lower() != JSON_SUFFIX and _start(images)[:1] != "{":
        hint = "Use a COCO JSON file, or data.yaml for YOLO text files."
        raise VisError("the file has no names that vis reads", where=images, hint=hint)
    return read_companion(images)


def _class_names(images: Path | None) -> Path | None:
    if images is not None and images.suffix.lower() not in YAML_SUFFIXES and images.name.lower() not in NAME_FILES:
        hint = "For YOLO text files, use data.yaml, or classes.txt with one name per line."
        raise VisError("the file has no class names of YOLO", where=images, hint=hint)
    return images


def _first_character(path: Path) -> str:
    """Return the first character of a JSON file that is not white space."""
    start = _start(path)
    if not start:
        problem = f"cannot read {path}: the file is empty, or begins with {MAX_SPACES:,} spaces"
        raise VisError(problem, hint="Use a file with at least one detection.")
    return start[0]


def _start(path: Path) -> str:
    """Return the start of a JSON file without the white space before it."""
    with open_limited(path, limit=MAX_DETECTION_BYTES) as file, read_errors(path):
        try:
            return open_json_text(file)[0].read(MAX_SPACES).lstrip()
        except UnicodeError as error:
            raise VisError("not a JSON file, or damaged", where=path, hint=RESTORE) from error


def _require_video(parsed: ParsedDetections, where: str, width: int, height: int, num_frames: int) -> None:
    """Reject detections whose file states another size or length of the video."""
    for index, key in enumerate(parsed.rows.keys):
        size = parsed.sizes.get(key, (width, height))
        if size != (width, height):
            row = int((parsed.rows.frames == index).argmax())
            problem = f"the image is {size[0]}x{size[1]}, but the video is {width}x{height}"
            hint = "Use detections in pixels of this video."
            raise VisError(problem, where=parsed.rows.places(row), hint=hint)
    if parsed.num_frames not in (None, num_frames):
        problem = f"the result has {parsed.num_frames} frames, but the video has {num_frames}"
        raise VisError(problem, where=where, hint="Use a result of this video.")


__all__ = ["DetectionFile", "locate_detections", "pair_detections", "read_detection_file"]
