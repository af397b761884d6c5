"""Pages as HTML: names stay text, data is complete, and nothing is requested from a network."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path

import pytest

from tests.records.result_factory import make_result
from vis_cli.records.report import pages
from vis_cli.records.report.facts import gather_facts
from vis_cli.records.report.pages import IndexEntry, Media, index_facts, write_index, write_page

from .factory import END, HARD_NAMES, QUOTES, SCRIPT, hard_result, read_page

ROOT = Path(__file__).parents[3]
NO_MEDIA = Media(None, None, None, {})


def test_names_stay_text(tmp_path: Path) -> None:
    facts = gather_facts(hard_result(SCRIPT, num_frames=2))
    write_page(tmp_path / "page.html", facts, Media(None, None, f"No video: {QUOTES}", {}))
    page = read_page(tmp_path / "page.html")
    assert [attributes.get("id") for attributes, _ in page.scripts if "data-first" not in attributes] == ["data", None]
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in page.tags)
    for name in (SCRIPT, END, QUOTES, "{{ 7 * 7 }}"):
        assert name in page.words
    assert "49" not in page.words
    assert [item["category"] for item in page.data["instances"]][:3] == [SCRIPT, END, QUOTES]
    assert [tag for tag, _ in page.tags].count("title") == 1


def test_names_stay_text_on_the_index(tmp_path: Path) -> None:
    facts = gather_facts(hard_result(END, num_frames=2))
    entries = [
        IndexEntry("a.json", "<a>&.html", index_facts(facts, None), problem=QUOTES),
        IndexEntry(SCRIPT, problem=QUOTES),
    ]
    write_index(tmp_path / "index.html", entries)
    page = read_page(tmp_path / "index.html")
    assert [attributes for attributes, _ in page.scripts] == [{}]
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in page.tags)
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ["%3Ca%3E%26.html"]
    assert END in page.words
    assert SCRIPT in page.words
    assert page.words.count(QUOTES) == 3  # as the category of an instance, and twice as a problem


def test_formulas_in_csv_are_harmless(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", gather_facts(hard_result(num_frames=2)), NO_MEDIA)
    lines = [item["csv"] for item in read_page(tmp_path / "page.html").data["instances"]]
    assert lines[HARD_NAMES.index("=1+1")].startswith("clip,4,'=1+1,")
    assert '"a,b"' in lines[HARD_NAMES.index("a,b")]


def test_only_the_script_of_the_page_can_run(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", gather_facts(hard_result(num_frames=2)), NO_MEDIA)
    page = read_page(tmp_path / "page.html")
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    scripts = [text for attributes, text in page.scripts if not attributes]
    digest = base64.b64encode(hashlib.sha256("".join(scripts).encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    links = [v for tag, a in page.tags for k, v in a.items() if k in ("src", "href") and v and tag != "a"]
    assert all(link.startswith("data:") for link in links)
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "page.html").read_text(encoding="utf-8"))


def test_the_script_contains_no_end_of_a_script() -> None:
    for name in {*pages.PAGE_SCRIPTS, *pages.INDEX_SCRIPTS, "style.css"}:
        assert not re.search(r"</(script|style)|<!--|<script", pages._source(name), re.IGNORECASE), name


@pytest.mark.parametrize("num_frames", [0, 1])
def test_no_instances(tmp_path: Path, num_frames: int) -> None:
    write_page(tmp_path / "page.html", gather_facts(make_result(num_frames=num_frames)), NO_MEDIA)
    page = read_page(tmp_path / "page.html")
    assert "The result has no instances." in page.words
    assert page.data["instances"] == []


def test_an_index_without_pages(tmp_path: Path) -> None:
    write_index(tmp_path / "index.html", [IndexEntry("a.json", problem="a.json: the file is empty.")])
    assert "0 videos" in read_page(tmp_path / "index.html").words


def test_a_wheel_contains_the_templates(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    project = tmp_path / "project"
    for folder in ("vis_cli/records/report", "models"):
        (project / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "vis_cli/records/report", project / "vis_cli/records/report", dirs_exist_ok=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "vis_cli/__init__.py"):
        shutil.copy(ROOT / name, project / name)
    (built,) = wheel.WheelBuilder(str(project)).build(directory=str(tmp_path / "dist"))
    shutil.unpack_archive(built, tmp_path / "unpacked", "zip")
    names = {path.name for path in (tmp_path / "unpacked/vis_cli/records/report/templates").iterdir()}
    assert names == {path.name for path in (ROOT / "vis_cli/records/report/templates").iterdir()}
    assert names >= {"page.html", "index.html", "base.html", "macros.html", "style.css", *pages.PAGE_SCRIPTS}
