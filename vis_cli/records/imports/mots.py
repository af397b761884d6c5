"""`mots`: one `.txt` file of MOTS with lines `frame id class height width rle`.

Source: https://www.vision.rwth-aachen.de/page/mots. Class 10 marks regions that the benchmark ignores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_JSON_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_text
from vis_cli.messages import Messages, counted
from vis_cli.records.exports.mots import MAX_DIGITS, MOTS_CATEGORIES, frame_numbers
from vis_cli.records.imports.annotation import AnnotatedObject
from vis_cli.records.result_matching import own_frames
from vis_cli.records.rle import Rle
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.types import VideoInfo

IGNORED = 10
HINT = "Use lines such as: 0 1001 1 360 640 RLE."


def read_mots(path: Path, video: VideoInfo, messages: Messages) -> Sequence[AnnotatedObject]:
    """Return the cars and pedestrians. Frames are numbered like the images of a folder, or from 0."""
    frames = {number: frame for frame, number in enumerate(frame_numbers(own_frames(video), video.frame_numbers))}
    names = {category.id: category.name for category in MOTS_CATEGORIES}
    classes: dict[int, int] = {}
    masks: dict[int, dict[int, Rle]] = {}
    num_ignored = 0
    for number, line in enumerate(read_text(path, limit=MAX_JSON_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        (frame_number, id_, class_id, height, width), counts = _parse(line, where)
        if class_id == IGNORED:
            num_ignored += 1
            continue
        if class_id not in names or classes.setdefault(id_, class_id) != class_id:
            raise VisError(f"object {id_} has the class {class_id}", where=where, hint="Use 1 (car) or 2 (pedestrian).")
        if frame_number not in frames:
            problem = f"the video has no frame with the number {frame_number}"
            raise VisError(problem, where=where, hint="Pass the annotated video with --video.")
        data = {"size": [height, width], "counts": counts}
        mask = parse_segmentation(data, video.height, video.width, where)
        if mask is None or masks.setdefault(id_, {}).setdefault(frames[frame_number], mask) is not mask:
            raise VisError(f"object {id_} has two masks in this frame", where=where, hint="Keep one of them.")
    if num_ignored:
        messages.warn(f"{path}: omitted {counted(num_ignored, 'ignored region')}")
    return [AnnotatedObject(id_, names[classes[id_]], masks[id_]) for id_ in sorted(masks)]


def _parse(line: str, where: str) -> tuple[list[int], str]:
    words = line.split()
    if len(words) != 6 or not all(word.isdecimal() and len(word) <= MAX_DIGITS for word in words[:5]):
        raise VisError(f"the line is {printable(line, limit=80)!r}", where=where, hint=HINT)
    return [int(word) for word in words[:5]], words[5]
