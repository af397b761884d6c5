"""`coco-video`: one video of a JSON file in the format of YouTube-VIS annotations, such as a file of `vis export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import Messages, counted
from vis_cli.records.imports.annotation import AnnotatedObject
from vis_cli.records.json_fields import require
from vis_cli.records.types import VideoInfo
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo, read_youtube_vis


def read_coco_video(path: Path, video: VideoInfo, messages: Messages) -> Sequence[AnnotatedObject]:
    """Return the objects of the video with the same name, numbered from 1. Crowds are omitted."""
    split = read_youtube_vis(path)
    entry = _find(split, video)
    names = {category.id: category.name for category in split.categories}
    found = [item for item in split.annotations or () if item.video_id == entry.id]
    objects = [item for item in found if not item.is_crowd]
    if len(objects) < len(found):
        messages.warn(f"{path}: omitted {counted(len(found) - len(objects), 'crowd')}")
    return [
        AnnotatedObject(
            number,
            names[item.category_id],
            {frame: mask for frame, mask in enumerate(item.segmentations) if mask is not None},
        )
        for number, item in enumerate(objects, start=1)
    ]


def _find(split: YouTubeVis, video: VideoInfo) -> YouTubeVisVideo:
    """Return the entry of the video.

    Raises:
        VisError: The file has no annotations, or not exactly one video of this name, or its size or length differ.
    """
    where = str(split.path)
    require(split.annotations is not None, where, "the file has no annotations", hint="Pass a file with annotations.")
    entries = [entry for entry in split.videos if entry.name == video.name]
    if len(entries) != 1:
        problem = f"the file has {counted(len(entries), 'video')} called {printable(video.name)}"
        names = ", ".join(printable(entry.name) for entry in split.videos[:5])
        raise VisError(problem, where=where, hint=f"Its first videos are: {names}. Rename the video or its folder.")
    (entry,) = entries
    has = f"{len(entry.file_names)} frames of {entry.width}x{entry.height}"
    needs = f"{video.num_frames} frames of {video.width}x{video.height}"
    problem = f"{printable(video.name)} has {has} in the file, but the video has {needs}"
    require(has == needs, where, problem, hint="Pass the annotated video with --video.")
    return entry
