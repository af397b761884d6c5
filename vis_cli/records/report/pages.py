"""Writer of report pages: Jinja2 templates, in which all text from files is escaped.

A page has one script. A content security policy with the hash of this script prevents every other script and every
request to a network. Used by `commands.report`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_cli.files.atomic import atomic_path
from vis_cli.files.names import printable
from vis_cli.records.report.comparison import Comparison
from vis_cli.records.report.facts import PROFILE_DIGITS, InstanceFacts, ReportFacts, frame_times
from vis_cli.records.report.mask_text import PART_FRAMES, iter_mask_parts
from vis_cli.records.report.preview import Preview

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = "templates"
# Scripts of a page, in the order in which they are joined. Later scripts use earlier ones.
PAGE_SCRIPTS = ("dom.js", "rle.js", "painter.js", "player.js", "timeline.js", "table.js", "comparison.js", "page.js")
INDEX_SCRIPTS = ("dom.js", "index.js")
BASE64_BYTES = 3 * 2**18  # read at once; a multiple of 3, so that the parts of the text can be joined
TIME_DIGITS = 6
MAX_CATEGORIES = 6  # of a video that the index page lists


@dataclass(frozen=True, slots=True)
class Media:
    """Video and images of a page.

    Attributes:
        preview: The written video, None if there is none.
        file_name: Name of the video next to the page. None: the page contains the video.
        problem: Why there is no video, and how to get it.
        images: Thumbnail of each instance as a data URL, by id.
    """

    preview: Preview | None
    file_name: str | None
    problem: str | None
    images: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Facts about one result on the index page, without its masks."""

    name: str
    width: int
    height: int
    num_frames: int
    seconds: float | None
    num_confident: int
    num_unlikely: int
    categories: tuple[tuple[str, int], ...]  # of the confident instances, with their numbers, the most frequent first
    num_more_categories: int
    mean_region: float | None  # mean J


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One result on the index page.

    Attributes:
        source: Path of the result.
        page: File name of its page. None: the result failed.
        facts: Facts about a result with a page.
        poster: One frame with masks as a data URL.
        problem: Why the result failed, or why its page has no video.
    """

    source: str
    page: str | None = None
    facts: IndexFacts | None = None
    poster: str | None = None
    problem: str | None = None

    @property
    def num_confident(self) -> int:
        """Return the number of confident instances."""
        return 0 if self.facts is None else self.facts.num_confident

    @property
    def num_frames(self) -> int:
        """Return the number of frames."""
        return 0 if self.facts is None else self.facts.num_frames


def index_facts(facts: ReportFacts, comparison: Comparison | None) -> IndexFacts:
    """Return the facts of a result that the index page shows."""
    video, counts = facts.result.video, Counter(item.category for item in facts.instances if item.instance.confident)
    return IndexFacts(
        name=video.name,
        width=video.width,
        height=video.height,
        num_frames=video.num_frames,
        seconds=facts.seconds,
        num_confident=len(facts.instances) - facts.num_unlikely,
        num_unlikely=facts.num_unlikely,
        categories=tuple(counts.most_common(MAX_CATEGORIES)),
        num_more_categories=max(0, len(counts) - MAX_CATEGORIES),
        mean_region=None if comparison is None else comparison.mean,
    )


def write_page(path: Path, facts: ReportFacts, media: Media, comparison: Comparison | None = None) -> None:
    """Write the page of one result.

    Raises:
        VisError: The file cannot be written.
    """
    objects = () if comparison is None else comparison.objects
    sequences = [item.instance.segmentations for item in facts.instances] + [item.segmentations for item in objects]
    _write(
        path,
        "page.html",
        PAGE_SCRIPTS,
        facts=facts,
        media=media,
        comparison=comparison,
        data=_page_data(facts, media, comparison, path.stem),
        indices={item.instance.id: index for index, item in enumerate(facts.instances)},
        mask_parts=iter_mask_parts(sequences, facts.result.video.num_frames),
        video_parts=_iter_base64(media),
    )


def write_index(path: Path, entries: Sequence[IndexEntry]) -> None:
    """Write the index of several pages, with the results that failed.

    Raises:
        VisError: The file cannot be written.
    """
    done, failed = ([entry for entry in entries if (entry.page is None) is fails] for fails in (False, True))
    has_comparison = any(entry.facts is not None and entry.facts.mean_region is not None for entry in done)
    _write(path, "index.html", INDEX_SCRIPTS, done=done, failed=failed, has_comparison=has_comparison)


def _write(path: Path, template: str, scripts: Sequence[str], **context: Any) -> None:
    from markupsafe import Markup  # here and below, because `vis --help` needs no templates

    script = "".join(_source(name) for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    stream = (
        _environment()
        .get_template(template)
        .stream(
            script=Markup(script),
            script_hash=digest,
            style=Markup(_source("style.css")),
            **context,
        )
    )
    stream.enable_buffering(100)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        stream.dump(file, encoding="utf-8", errors="replace")  # UTF-8 cannot store lone surrogates


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("vis_cli.records.report", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": printable,
        "count": _count,
        "score": _score,
        "duration": _duration,
        "inert": Markup,  # counts and base64, which contain no character of HTML
    }
    return environment


@cache
def _source(name: str) -> str:
    """Return a style sheet or script. It is part of the package, so it is not escaped."""
    return resources.files("vis_cli.records.report").joinpath(TEMPLATES, name).read_text(encoding="utf-8")


def _page_data(facts: ReportFacts, media: Media, comparison: Comparison | None, stem: str) -> dict[str, Any]:
    """Return the JSON for the script of the page."""
    video, times = facts.result.video, frame_times(facts)
    return {
        "fileStem": stem,
        "aspect": video.width / video.height if media.preview is None else media.preview.aspect,
        "numFrames": video.num_frames,
        "times": None if times is None else _rounded(times),
        "partFrames": PART_FRAMES,
        "shots": [first for first, _ in facts.result.shots],
        "profileDigits": PROFILE_DIGITS,
        "media": None if media.preview is None else {"file": media.file_name, "times": _rounded(media.preview.times)},
        "instances": [_instance_data(item, comparison) for item in facts.instances],
        "csvHeader": facts.csv_header,
        "comparison": None if comparison is None else _comparison_data(comparison),
    }


def _instance_data(item: InstanceFacts, comparison: Comparison | None) -> dict[str, Any]:
    instance = item.instance
    return {
        "id": instance.id,
        "category": printable(item.category),
        "score": instance.score,
        "confident": instance.confident,
        "color": item.color,
        "keyFrame": instance.key_frame,
        "first": item.first,
        "last": item.last,
        "visible": item.num_visible,
        "gaps": item.gaps,
        "meanArea": item.mean_area,
        "profile": item.profile,
        "scores": [(printable(name), score) for name, score in item.scores],
        "kind": None if comparison is None else comparison.kinds.get(instance.id),
        "csv": item.csv,
    }


def _comparison_data(comparison: Comparison) -> dict[str, Any]:
    return {
        "objects": [
            {
                "id": item.id,
                "category": printable(item.category),
                "instance": item.instance_id,
                "region": [None if value is None else round(value, 3) for value in item.region],
                "mean": item.mean,
            }
            for item in comparison.objects
        ]
    }


def _iter_base64(media: Media) -> Iterator[str]:
    if media.preview is not None and media.file_name is None:
        with media.preview.path.open("rb") as file:
            while part := file.read(BASE64_BYTES):
                yield base64.b64encode(part).decode("ascii")


def _rounded(times: Sequence[float]) -> list[float]:
    return [round(time, TIME_DIGITS) for time in times]


def _count(number: int) -> str:
    """Return an integer with commas between thousands."""
    return f"{number:,}"


def _score(value: float) -> str:
    return f"{value:.2f}"


def _duration(seconds: float) -> str:
    """Return a duration such as '2.5 s', '3:20' or '1:02:03'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
