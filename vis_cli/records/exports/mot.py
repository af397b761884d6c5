"""`mot`: one text file of boxes per video, in the format of MOTChallenge submissions.

A line is `frame,id,left,top,width,height,confidence,-1,-1,-1`. Frames and coordinates are counted from 1. Source:
https://motchallenge.net/instructions. The format has no categories and no masks.
"""

from __future__ import annotations

from collections.abc import Iterable

from vis_cli.records.exports.clip import Clip, Target, write_files
from vis_cli.records.exports.measures import measure

SUFFIX = ".txt"


def write_mot(clips: Iterable[Clip], target: Target) -> int:
    """Write the boxes of all clips, sorted by frame."""
    num_instances = 0
    with write_files(target.path, SUFFIX) as add:
        for clip in clips:
            add(f"{clip.name}{SUFFIX}", "".join(line for _, line in sorted(_lines(clip))).encode("ascii"))
            num_instances += len(clip.instances)
    return num_instances


def _lines(clip: Clip) -> Iterable[tuple[tuple[int, int], str]]:
    """Yield each line with its sort key: the frame, then the position of the instance."""
    for order, instance in enumerate(clip.instances):
        measures = measure(instance.segmentations)
        for position in measures.visible.tolist():
            frame = clip.frames[position]
            x, y, width, height = measures.boxes[position].tolist()
            box = f"{x + 1},{y + 1},{width},{height}"
            yield (frame, order), f"{frame + 1},{instance.id},{box},{instance.score:.6g},-1,-1,-1\n"
