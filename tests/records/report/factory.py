"""Results with difficult masks and names next to their video, and a reader of pages; used by the tests of reports."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.records.result_factory import make_instance, make_result
from tests.records.video_factory import make_video
from vis_cli.records.result_json import write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category, InstanceSequence, VideoResult

SIZE = (48, 64)  # height, width
SCRIPT = "<script>alert(1)</script>"
END = "</script><!--<script>"
QUOTES = "\"'><img src=x onerror=alert(1)>"
HARD_NAMES = (SCRIPT, END, QUOTES, "=1+1", "a,b", "two\nlines", "кошка 猫", "{{ 7 * 7 }}", "\x01\ud800\u202e")
UNEVEN_MS = (0, 40, 60, 200, 210, 300, 420, 430, 500, 600, 640, 700, 900, 910, 1000, 1100, 1300, 1310, 1400, 1500)


@dataclass
class Page(HTMLParser):
    """Tags, attributes and scripts of a page."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._script: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text.append(data)
        else:
            self.scripts.append((self._script, data))

    @property
    def data(self) -> Any:
        """Return the JSON for the script."""
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == "data")

    @property
    def words(self) -> str:
        """Return the text of the page with single spaces."""
        return " ".join(" ".join(self.text).split())


def read_page(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def hard_masks(num_frames: int, seed: int) -> list[NDArray[np.bool_] | None]:
    """Return masks with many short runs, full and empty masks, single pixels, and gaps."""
    rng = np.random.default_rng(seed)
    corner = np.zeros(SIZE, np.bool_)
    corner[0, 0] = True
    kinds = [
        lambda: rng.random(SIZE) < 0.5,
        lambda: np.ones(SIZE, np.bool_),
        lambda: corner,
        lambda: np.zeros(SIZE, np.bool_),
        lambda: rng.random(SIZE) < 0.02,
        lambda: None,
        lambda: np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])) % 7 < 3,
    ]
    return [kinds[(frame + seed) % len(kinds)]() for frame in range(num_frames)]


def named_instances(num_frames: int = 1) -> tuple[tuple[Category, ...], list[InstanceSequence]]:
    """Return one category per difficult name, and one instance of each with a difficult mask."""
    categories = tuple(Category(number, name) for number, name in enumerate(HARD_NAMES, start=1))
    instances = [
        make_instance(item.id, hard_masks(num_frames, item.id), category_id=item.id, score=0.95 - item.id / 20)
        for item in categories
    ]
    return categories, instances


def save_with_video(folder: Path, result: VideoResult, name: str = "clip", **video: Any) -> Path:
    """Write a result, and its video next to it. Return the path of the result."""
    height, width = result.video.height, result.video.width
    path = make_video(folder, f"{name}.mp4", num_frames=result.video.num_frames, size=(width, height), **video)
    info = dataclasses.replace(result.video, path=path, source=identify_source(path))
    write_result(dataclasses.replace(result, video=info), folder / f"{name}.json")
    return folder / f"{name}.json"


def hard_result(name: str = "clip", num_frames: int = 20) -> VideoResult:
    categories, instances = named_instances(num_frames)
    return make_result(instances, name=name, size=SIZE, num_frames=num_frames, categories=categories)
