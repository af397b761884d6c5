"""The page of one result: reads the result and its video, compares it with annotations, and writes the page.

Used by `report`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vis_cli.commands.outputs import protect_files
from vis_cli.commands.source_lookup import find_source
from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MIB
from vis_cli.files.names import printable
from vis_cli.messages import Messages
from vis_cli.records.report.comparison import Comparison
from vis_cli.records.report.facts import ReportFacts, gather_facts
from vis_cli.records.report.pages import Media, write_page
from vis_cli.records.report.preview import Preview, write_preview
from vis_cli.records.report.thumbnails import silhouettes
from vis_cli.records.result_json import read_result
from vis_cli.records.result_matching import ResultMatcher, youtube_vis_sequences
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.video import open_segmented
from vis_cli.records.youtube_vis import YouTubeVis

MAX_EMBEDDED_BYTES = 48 * MIB  # of a video in the page; a larger video is a file next to the page
VIDEO_SUFFIX = "_preview.mp4"
WITHOUT = "the page shows the masks without the video"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Options that all pages of a report share."""

    min_score: float = 0.0
    video: Path | None = None
    with_video: bool = True
    split: YouTubeVis | None = None
    inputs: tuple[Path, ...] = ()  # files that no output replaces
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A page and its content."""

    facts: ReportFacts
    comparison: Comparison | None
    poster: str | None
    problem: str | None  # why the page has no video


def write_report_page(
    path: Path, page: Path, options: PageOptions, messages: Messages, progress: Progress
) -> WrittenPage:
    """Write the page of one result.

    Args:
        path: The result.
        page: The page to write. A large video is written next to it.
        options: Options of all pages.
        messages: Receives a warning if the video is missing or damaged.
        progress: Receives the stage, the number of frames that are done, and the number of all frames.

    Raises:
        VisError: The result is damaged, or its video is not in the annotations, or a file cannot be written.
    """
    result = read_result(path)
    comparison = None if options.split is None else _compare(result, options.split)
    facts = gather_facts(result, options.min_score)
    with tempfile.TemporaryDirectory(prefix="vis-report-") as folder:
        media, poster = _media(facts, path, page, options, Path(folder) / "preview.mp4", messages, progress)
        write_page(page, facts, media, comparison)
    return WrittenPage(facts, comparison, poster, media.problem)


def video_path(page: Path) -> Path:
    """Return the path of a large video, which is next to its page."""
    return page.with_name(f"{page.stem}{VIDEO_SUFFIX}")


def _compare(result: VideoResult, split: YouTubeVis) -> Comparison:
    from vis_cli.metrics.report_comparison import compare  # here, because scipy is slow to import

    ResultMatcher(youtube_vis_sequences(split), Selection()).match(result)  # checks the size and the number of frames
    ids = {video.id for video in split.videos if video.name == result.video.name}
    if split.annotations is None:
        raise VisError("the file has no annotations", where=split.path, hint="Pass a split with ground truth.")
    annotations = [annotation for annotation in split.annotations if annotation.video_id in ids]
    return compare(result, annotations, split.categories, split.path.name)


def _media(
    facts: ReportFacts,
    path: Path,
    page: Path,
    options: PageOptions,
    temporary: Path,
    messages: Messages,
    progress: Progress,
) -> tuple[Media, str | None]:
    """Return video and images of a page, and its poster. Without a readable video, the images show masks only."""
    if not options.with_video:
        return Media(None, None, None, silhouettes(facts)), None
    try:
        preview = _preview(facts, path, page, options, temporary, messages, progress)
    except VisError as error:
        if options.video is not None:
            raise
        messages.warn(f"{error} Until then, {WITHOUT}." if error.hint else f"{error}: {WITHOUT}")
        return Media(None, None, _problem(error), silhouettes(facts)), None
    large = preview.path.stat().st_size > MAX_EMBEDDED_BYTES
    if large:
        _store(preview.path, video_path(page), options, messages)
    return Media(preview, video_path(page).name if large else None, None, preview.images), preview.poster


def _preview(
    facts: ReportFacts,
    path: Path,
    page: Path,
    options: PageOptions,
    temporary: Path,
    messages: Messages,
    progress: Progress,
) -> Preview:
    source = find_source(facts.result, path, options.video)
    protect_files(page, [source])
    protect_files(video_path(page), [source])
    video = open_segmented(source, facts.result.video)
    preview = write_preview(facts, video, temporary, progress)
    for warning in video.warnings:
        messages.warn(f"{source}: {warning}")
    return preview


def _problem(error: VisError) -> str:
    """Return the message on the page, which explains why the video is missing."""
    hint = "Run vis report again with --video FILE." if isinstance(error, UsageError) else error.hint
    return f"No video: {printable(error.problem, limit=1000)}. {hint}".strip()


def _store(temporary: Path, path: Path, options: PageOptions, messages: Messages) -> None:
    """Store a video that is too large for the page."""
    protect_files(path, options.inputs)
    if path.exists() and not options.overwrite:
        raise UsageError(f"cannot write {path}: it exists", hint="Use --overwrite to replace it.")
    with atomic_path(path) as final:
        shutil.copyfile(temporary, final)
    size = temporary.stat().st_size / 1e6
    messages.note(f"{path}: the video has {size:.0f} MB, so it is not in the page. Keep both files in one folder.")
