"""The videos of a benchmark: their frames, and the masks that are given for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vis_cli.errors import VisError
from vis_cli.records.davis import list_label_pngs
from vis_cli.records.davis_benchmark import DavisBenchmark
from vis_cli.records.davis_layout import Task
from vis_cli.records.given_masks import read_given_masks
from vis_cli.records.inputs import image_files
from vis_cli.records.types import VideoResult
from vis_cli.records.video import open_video
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo, require_distinct_names

if TYPE_CHECKING:
    from vis_cli.engine.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class BenchmarkVideo:
    """One video of a benchmark."""

    name: str
    frames: Path  # folder of images
    masks: Path | None = None  # masks that are given for its first frame


def youtube_vis_videos(split: YouTubeVis, frames: Path) -> list[BenchmarkVideo]:
    """Find the frames of each video of a split.

    Raises:
        VisError: A folder is missing, its images are not the ones that the split lists, or two videos have one name.
    """
    require_distinct_names(split)
    for video in split.videos:
        _check_frames(video, frames / video.name, split.path)
    return [BenchmarkVideo(video.name, frames / video.name) for video in split.videos]


def davis_videos(benchmark: DavisBenchmark, task: Task) -> list[BenchmarkVideo]:
    """Find the frames of each sequence, and in the semi-supervised task the masks of its first frame.

    Raises:
        VisError: There are no frames.
    """
    frames = benchmark.frames
    if frames is None:
        hint = "Put the JPEGImages folder of DAVIS next to it."
        raise VisError(f"cannot find the frames of {benchmark.masks}", hint=hint)
    given = {name: list_label_pngs(benchmark.masks / name)[0] for name in benchmark.sequences}
    return [BenchmarkVideo(name, frames / name, given[name] if task == "semi-supervised" else None) for name in given]


def segment_videos(segmenter: Segmenter, videos: Iterable[BenchmarkVideo]) -> Iterator[VideoResult]:
    """Segment the videos of a benchmark in order.

    Raises:
        VisError: A video or its masks cannot be used.
    """
    for video in videos:
        guidance = None if video.masks is None else read_given_masks(video.masks, video.frames)
        yield segmenter.segment(open_video(video.frames), guidance=guidance)


def _check_frames(video: YouTubeVisVideo, folder: Path, split: Path) -> None:
    listed = [PurePosixPath(name).name for name in video.file_names]
    if not folder.is_dir():
        raise VisError(f"is missing, but {split} lists this video", where=folder, hint="Check the folder of --frames.")
    found = [image.name for image in image_files(folder)]
    if found != listed:
        problem = f"has {len(found)} images, but {split} lists {len(listed)}, {listed[0]} to {listed[-1]}"
        raise VisError(problem, where=folder, hint="Remove all other images from the folder.")
