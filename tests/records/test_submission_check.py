"""Damaged YouTube-VIS submissions, of any tool: each damage is found, named, and is all that is found."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.records.result_factory import make_instance, make_result
from tests.records.split_factory import MASK, SQUARE, write_split
from vis_cli.errors import VisError
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.submission_check import iter_youtube_vis_problems
from vis_cli.records.submission_problems import Problem
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.records.youtube_vis_submission import write_youtube_vis_submission

Entries = list[dict[str, Any]]


@pytest.fixture
def split(tmp_path: Path) -> YouTubeVis:
    return read_youtube_vis(write_split(tmp_path))


def good_entries() -> Entries:
    clip = [dict(encode_mask(MASK)), None, dict(encode_mask(SQUARE))]
    return [
        {"video_id": 7, "category_id": 26, "score": 0.5, "segmentations": clip},
        {"video_id": 9, "category_id": 4, "score": 1, "segmentations": [dict(encode_mask(MASK))]},
    ]


def write_zip(path: Path, files: Mapping[str, object]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, json.dumps(data))
    return path


def find(path: Path, split: YouTubeVis) -> list[tuple[str, str]]:
    return [(problem.kind, str(problem)) for problem in iter_youtube_vis_problems(path, split)]


def test_nothing_is_wrong_with_a_good_one(tmp_path: Path, split: YouTubeVis) -> None:
    assert find(write_zip(tmp_path / "s.zip", {"results.json": good_entries()}), split) == []


def test_nothing_is_wrong_with_our_own(tmp_path: Path, split: YouTubeVis) -> None:
    scores = {3: 0.75, 7: 0.25}
    instances = [
        make_instance(i, [m, None, m], category_id=3, category_scores=scores) for i, m in ((1, MASK), (2, SQUARE))
    ]
    results = [make_result(instances, num_frames=3), make_result(name="other")]
    write_youtube_vis_submission(results, split, tmp_path / "s.zip", selection=Selection())
    assert find(tmp_path / "s.zip", split) == []


def edit(index: int, **fields: Any) -> Callable[[Entries], object]:
    return lambda entries: entries[index].update(fields)


def edit_mask(**fields: Any) -> Callable[[Entries], object]:
    return lambda entries: entries[0]["segmentations"][2].update(fields)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda e: e.clear(), "empty list", "results.json: the list is empty"),
        (edit(1, video_id=8), "unknown video", "results.json[1]: 'video_id' is 8. Use the id of a video in"),
        (edit(1, video_id="9"), "unknown video", "results.json[1]: 'video_id' is '9'. Use the id of a video in"),
        (edit(1, video_id=[9]), "unknown video", "results.json[1]: 'video_id' is [9]. Use the id of a video in"),
        (
            edit(0, category_id=5),
            "unknown category",
            "results.json[0]: 'category_id' is 5. Use the id of a category in",
        ),
        (edit(0, category_id=True), "unknown category", "results.json[0]: 'category_id' is True"),
        (edit(0, score=float("nan")), "score", "results.json[0]: 'score' is nan. Use a value"),
        (edit(0, score=float("inf")), "score", "results.json[0]: 'score' is inf. Use a value"),
        (edit(0, score=1.01), "score", "results.json[0]: 'score' is 1.01. Use a value from 0 to 1"),
        (edit(0, score=-0.1), "score", "results.json[0]: 'score' is -0.1. Use a value"),
        (edit(0, score="0.5"), "score", "results.json[0]: 'score' is '0.5'. Use a value"),
        (edit(0, score=True), "score", "results.json[0]: 'score' is True. Use a value"),
        (
            lambda e: e[0]["segmentations"].pop(1),
            "number of segmentations",
            "results.json[0]: 'segmentations' has 2 entries, video 7 has 3 frames",
        ),
        (
            lambda e: e[0]["segmentations"].append(None),
            "number of segmentations",
            "results.json[0]: 'segmentations' has 4 entries, video 7 has 3 frames",
        ),
        (edit(0, segmentations=None), "no masks", "results.json[0]: 'segmentations' is null. Use a list with one mask"),
        (
            edit_mask(size=[6, 4]),
            "mask size",
            "results.json[0].segmentations[2]: the size of the mask is [6, 4], the size of video 7 is "
            "[4, 6]. Swap height and width",
        ),
        (edit_mask(size=[8, 12]), "mask size", "results.json[0].segmentations[2]: the size of the mask is [8, 12]"),
        (
            edit_mask(counts=[5, 2, 2, 2, 13]),
            "type of counts",
            "results.json[0].segmentations[2]: 'counts' is a list. Use a string, the compressed RLE",
        ),
        (
            edit_mask(counts="52"),
            "damaged mask",
            "results.json[0].segmentations[2]: the RLE counts of the mask do not fill 6x4",
        ),
        (edit_mask(counts="\ud800"), "damaged mask", "results.json[0].segmentations[2]: the RLE counts of the mask"),
        (
            lambda e: e[0]["segmentations"].__setitem__(2, [[1, 1, 3, 1, 3, 3]]),
            "mask",
            "results.json[0].segmentations[2]: the mask is a list. Use null, or an object with 'size'",
        ),
        (
            lambda e: e[0]["segmentations"][2].pop("size"),
            "mask",
            "results.json[0].segmentations[2]: the mask is an object. Use null, or an object with 'size'",
        ),
        (
            lambda e: e.append(e[0]),
            "duplicate",
            "results.json[2]: video, category and masks are the same as in entry [0]",
        ),
        (lambda e: e.append({**e[1], "score": 0.1}), "duplicate", "results.json[2]: video, category and masks"),
        (lambda e: e[1].pop("score"), "missing key", "results.json[1]: 'score' is missing"),
        (lambda e: e[1].pop("video_id"), "missing key", "results.json[1]: 'video_id' is missing"),
        (lambda e: e[1].pop("category_id"), "missing key", "results.json[1]: 'category_id' is missing"),
        (lambda e: e[1].pop("segmentations"), "missing key", "results.json[1]: 'segmentations' is missing"),
        (
            lambda e: e.append([]),
            "no object",
            "results.json[2]: the entry is a list. Use an object with video_id, category_id",
        ),
    ],
)
def test_each_damage_is_found(
    tmp_path: Path, split: YouTubeVis, change: Callable[[Entries], object], kind: str, message: str
) -> None:
    entries = good_entries()
    change(entries)
    ((found, line),) = find(write_zip(tmp_path / "s.zip", {"results.json": entries}), split)
    assert found == kind
    assert line.startswith(message)


def test_all_damages_are_found_at_once(tmp_path: Path, split: YouTubeVis) -> None:
    entries = good_entries()
    entries[0].update(category_id=5, score=float("nan"))
    entries[0]["segmentations"][0]["size"] = [6, 4]
    entries[0]["segmentations"][2]["counts"] = [24]
    entries[1]["video_id"] = 99
    kinds = [kind for kind, _ in find(write_zip(tmp_path / "s.zip", {"results.json": entries}), split)]
    assert kinds == ["unknown category", "score", "mask size", "type of counts", "unknown video"]


def test_one_object_in_two_categories_is_no_duplicate(tmp_path: Path, split: YouTubeVis) -> None:
    entries = good_entries()
    entries.append({**entries[0], "category_id": 4})
    assert find(write_zip(tmp_path / "s.zip", {"results.json": entries}), split) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"valid/results.json": []},
            [
                (
                    "file name",
                    "valid/results.json: the name is not results.json. Zip a file of this name, without a folder",
                )
            ],
        ),
        ({"preds.json": []}, [("file name", "preds.json: the name is not results.json. Zip a file of this name")]),
        (
            {"readme.txt": ""},
            [
                ("file name", "s.zip: the zip has no results.json"),
                ("extra file", "readme.txt: an extra file. Zip only results.json"),
            ],
        ),
        ({}, [("file name", "s.zip: the zip has no results.json")]),
        ({"results.json": [], "notes.txt": ""}, [("extra file", "notes.txt: an extra file. Zip only results.json")]),
        ({"results.json": {}}, [("no JSON list", "results.json: the file contains an object")]),
    ],
)
def test_what_the_zip_holds(
    tmp_path: Path, split: YouTubeVis, files: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    found = [(kind, line) for kind, line in find(write_zip(tmp_path / "s.zip", files), split) if kind != "empty list"]
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    for (_, line), (_, message) in zip(found, expected, strict=True):
        assert message in line


def test_the_file_in_a_folder_is_checked_all_the_same(tmp_path: Path, split: YouTubeVis) -> None:
    entries = good_entries()
    entries[0]["score"] = 7
    path = write_zip(tmp_path / "s.zip", {"__MACOSX/._x.json": [], "valid/results.json": entries})
    assert [kind for kind, _ in find(path, split)] == ["file name", "extra file", "score"]


def test_a_file_that_is_there_twice(tmp_path: Path, split: YouTubeVis) -> None:
    path = write_zip(tmp_path / "s.zip", {"results.json": good_entries(), "results.jsoN": good_entries()})
    path.write_bytes(path.read_bytes().replace(b"results.jsoN", b"results.json"))
    assert [kind for kind, _ in find(tmp_path / "s.zip", split)] == ["file name"]


def test_a_file_that_is_not_zipped_yet(tmp_path: Path, split: YouTubeVis) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**good_entries()[0], "score": 2}]))
    assert [kind for kind, _ in find(path, split)] == ["no zip", "score"]
    with pytest.raises(VisError, match=r"cannot read .*absent\.json: No such file"):
        find(tmp_path / "absent.json", split)


def test_what_is_no_json_and_what_is_no_zip(tmp_path: Path, split: YouTubeVis) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("results.json", b"[{]")
    ((kind, line),) = find(tmp_path / "s.zip", split)
    assert kind == "no JSON list"
    assert line.startswith("results.json: not a JSON file")
    (tmp_path / "t.zip").write_bytes(b"[]")
    with pytest.raises(VisError, match=r"cannot read .*t\.zip: not a zip"):
        find(tmp_path / "t.zip", split)


def test_problems_come_one_by_one(tmp_path: Path, split: YouTubeVis) -> None:
    path = write_zip(tmp_path / "s.zip", {"results.json": [0, 0]})
    assert next(iter_youtube_vis_problems(path, split)) == Problem(
        "no object", "results.json[0]", "the entry is 0. Use an object with video_id, category_id, score, segmentations"
    )
