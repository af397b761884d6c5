"""Submissions as the evaluation server wants them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.records.result_factory import make_instance, make_result
from tests.records.split_factory import MASK, SQUARE, write_split
from vis_cli.errors import VisError
from vis_cli.records.result_matching import ExportReport
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.records.youtube_vis_submission import write_youtube_vis_submission


@pytest.fixture
def split(tmp_path: Path) -> YouTubeVis:
    return read_youtube_vis(write_split(tmp_path))


def read_submission(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["results.json"]
        entries = json.loads(archive.read("results.json"))
    assert isinstance(entries, list)
    return entries


def submit(results: Iterable[VideoResult], split: YouTubeVis, path: Path, **choice: Any) -> ExportReport:
    return write_youtube_vis_submission(results, split, path, selection=Selection(**choice))


def test_submission_maps_videos_and_categories_by_name(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(5, [MASK, None, SQUARE], category_id=3, score=0.875)
    results = [make_result([instance], num_frames=3), make_result(name="other")]
    report = submit(results, split, tmp_path / "out" / "a.zip")
    assert read_submission(tmp_path / "out" / "a.zip") == [
        {
            "video_id": 7,
            "score": 0.875,
            "category_id": 26,
            "segmentations": [dict(encode_mask(MASK)), None, dict(encode_mask(SQUARE))],
        }
    ]
    assert (report.num_videos, report.num_entries) == (2, 1)
    assert report.videos_without_result == report.unmapped_categories == ()


def test_an_instance_without_a_category_is_omitted_and_named(tmp_path: Path, split: YouTubeVis) -> None:
    instances = [make_instance(1, [MASK] * 3, category_id=None), make_instance(2, [SQUARE] * 3, category_id=3)]
    report = submit([make_result(instances, num_frames=3)], split, tmp_path / "a.zip")
    assert [entry["category_id"] for entry in read_submission(tmp_path / "a.zip")] == [26]
    assert report.unmapped_categories == ("object",)


def categories_and_scores(path: Path) -> list[tuple[int, float]]:
    return [(entry["category_id"], entry["score"]) for entry in read_submission(path)]


def test_one_entry_for_each_category_above_the_threshold(tmp_path: Path, split: YouTubeVis) -> None:
    categories = (Category(1, " PERSON"), Category(2, "giant_panda"), Category(3, "cat"))
    scores = {2: 0.3, 1: 0.6, 3: 0.5}
    instance = make_instance(1, [MASK] * 3, category_id=1, score=0.6, category_scores=scores)
    results, path = [make_result([instance], num_frames=3, categories=categories)], tmp_path / "a.zip"
    report = submit(results, split, path)
    assert categories_and_scores(path) == [(4, 0.6), (26, 0.3)]
    assert report.unmapped_categories == ("cat",)
    assert report.videos_without_result == ("other",)
    report = submit(results, split, path, min_score=0.51)
    assert categories_and_scores(path) == [(4, 0.6)]
    assert report.unmapped_categories == ()
    submit(results, split, path, max_categories=1)
    assert categories_and_scores(path) == [(4, 0.6)]


def test_the_best_category_that_the_split_knows_is_the_one_kept(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(1, [MASK] * 3, category_id=7, score=0.6, category_scores={7: 0.6, 3: 0.2})
    report = submit([make_result([instance], num_frames=3)], split, tmp_path / "a.zip", max_categories=1)
    assert categories_and_scores(tmp_path / "a.zip") == [(26, 0.2)]
    assert report.unmapped_categories == ("cat",)


def test_the_instance_itself_counts_without_category_scores(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(1, [MASK] * 3, category_id=3, score=0.6, category_scores={})
    submit([make_result([instance], num_frames=3)], split, tmp_path / "a.zip")
    assert categories_and_scores(tmp_path / "a.zip") == [(26, 0.6)]


def test_nothing_found_is_an_empty_list(tmp_path: Path, split: YouTubeVis) -> None:
    report = submit([], split, tmp_path / "a.zip")
    assert read_submission(tmp_path / "a.zip") == []
    assert report.videos_without_result == ("clip", "other")


def test_the_same_results_make_the_same_file(tmp_path: Path, split: YouTubeVis) -> None:
    results = [make_result([make_instance(i, [MASK] * 3, category_id=3) for i in (1, 2)], num_frames=3)]
    for name in ("a.zip", "b.zip"):
        submit(results, split, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert len(read_submission(tmp_path / "a.zip")) == 2
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)  # not the time of writing


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (make_result(name="third"), r"third: the video is not in .*val\.json"),
        (
            make_result(name="other", num_frames=2),
            "other: the result has 2 frames of 6x4 pixels, .* lists 1 frames of 6x4 pixels",
        ),
        (
            make_result(name="other", size=(6, 4)),
            "other: the result has 1 frames of 4x6 pixels, .* lists 1 frames of 6x4 pixels",
        ),
        (make_result(num_frames=3), "clip: two results have this video"),
    ],
)
def test_a_result_that_does_not_fit_the_split_leaves_no_file(
    tmp_path: Path, split: YouTubeVis, result: Any, message: str
) -> None:
    with pytest.raises(VisError, match=message):
        submit([make_result(num_frames=3), result], split, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]
