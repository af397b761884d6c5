"""Ground truth in every spelling, its contradictions named, and submissions as the evaluation server wants them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis, write_youtube_vis_submission

MASK = make_mask(["......", "..##..", "...#..", "......"])
SQUARE = make_mask(["......", ".##...", ".##...", "......"])


def split_data() -> dict[str, Any]:
    """Return a split of two videos of 6x4 pixels and one object."""
    return {
        "info": {"description": "made for tests"},
        "videos": [
            {"id": 7, "width": 6, "height": 4, "length": 3, "file_names": [f"clip/{i:05d}.jpg" for i in (0, 5, 10)]},
            {"id": 9, "width": 6, "height": 4, "length": 1, "file_names": ["val/other/00000.jpg"]},
        ],
        "categories": [
            {"id": 26, "name": "Giant Panda", "supercategory": "object"},
            {"id": 4, "name": "person", "supercategory": "object"},
        ],
        "annotations": [
            {
                "id": 1,
                "video_id": 7,
                "category_id": 4,
                "iscrowd": 1,
                "width": 6,
                "height": 4,
                "length": 3,
                "segmentations": [
                    {"size": [4, 6], "counts": [9, 1, 3, 2, 9]},
                    None,
                    [[1, 1, 3, 1, 3, 3, 1, 3]],
                ],
                "areas": [3, None, 4.5],
                "bboxes": [[2, 1, 2, 2], None, [1, 1, 2, 2]],
            }
        ],
    }


def write_split(tmp_path: Path, change: Callable[[dict[str, Any]], object] = lambda data: None) -> Path:
    data = split_data()
    change(data)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def split(tmp_path: Path) -> YouTubeVis:
    return read_youtube_vis(write_split(tmp_path))


def read_submission(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["results.json"]
        entries = json.loads(archive.read("results.json"))
    assert isinstance(entries, list)
    return entries


def test_ground_truth_is_read(split: YouTubeVis) -> None:
    clip, other = split.videos
    assert (clip.id, clip.name, clip.width, clip.height) == (7, "clip", 6, 4)
    assert clip.file_names == ("clip/00000.jpg", "clip/00005.jpg", "clip/00010.jpg")
    assert other.name == "other"
    assert split.categories == (Category(26, "Giant Panda"), Category(4, "person"))
    assert split.annotations is not None
    (annotation,) = split.annotations
    assert (annotation.id, annotation.video_id, annotation.category_id, annotation.is_crowd) == (1, 7, 4, True)
    assert annotation.segmentations == (encode_mask(MASK), None, encode_mask(SQUARE))
    assert annotation.areas == (3.0, None, 4.5)


def test_optional_keys_may_be_absent(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["videos"][0]["length"]
        for key in ("iscrowd", "width", "height", "length", "areas", "bboxes"):
            del data["annotations"][0][key]

    annotations = read_youtube_vis(write_split(tmp_path, change)).annotations
    assert annotations is not None
    assert annotations[0].areas == (3.0, None, 4.0)
    assert not annotations[0].is_crowd


@pytest.mark.parametrize("change", [lambda d: d.pop("annotations"), lambda d: d.update(annotations=None)])
def test_a_released_split_has_no_annotations(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    split = read_youtube_vis(write_split(tmp_path, change))
    assert split.annotations is None
    assert len(split.videos) == 2


def test_a_split_without_objects_is_not_one_without_annotations(tmp_path: Path) -> None:
    assert read_youtube_vis(write_split(tmp_path, lambda d: d.update(annotations=[]))).annotations == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("videos"), "'videos' is missing"),
        (lambda d: d.pop("categories"), "'categories' is missing"),
        (lambda d: d["videos"][1].pop("id"), r"videos\[1\]: 'id' is missing"),
        (lambda d: d["videos"][1].update(id=7), "videos: 7 is used 2 times"),
        (lambda d: d["videos"][1].update(file_names=["clip/0.jpg"]), "videos: 'clip' is used 2 times"),
        (lambda d: d["videos"][0].update(length=4), r"videos\[0\]: 'length' is not that of 'file_names', 3"),
        (lambda d: d["videos"][0].update(file_names=[]), r"videos\[0\]: 'file_names' must be a list of texts"),
        (lambda d: d["videos"][1].update(file_names=[3]), r"videos\[1\]: 'file_names' must be a list of texts"),
        (lambda d: d["videos"][1].update(file_names=["0.jpg"]), r"videos\[1\]: '0\.jpg' lies in no folder"),
        (lambda d: d["videos"][1].update(width=0), r"videos\[1\]: its size is 0x4"),
        (lambda d: d["videos"][1].update(height=-1), r"videos\[1\]: its size is 6x-1"),
        (lambda d: d["categories"][1].update(id=26), "categories: 26 is used 2 times"),
        (lambda d: d["annotations"].append(d["annotations"][0]), "annotations: 1 is used 2 times"),
        (lambda d: d["annotations"][0].update(video_id=8), r"annotations\[0\]: 'video_id' is 8, which is not among"),
        (lambda d: d["annotations"][0].update(category_id=5), r"annotations\[0\]: 'category_id' is 5, which is not"),
        (lambda d: d["annotations"][0].pop("segmentations"), r"annotations\[0\]: 'segmentations' is missing"),
        (lambda d: d["annotations"][0]["segmentations"].pop(), "'segmentations' has 2 entries, but video 7 has 3"),
        (lambda d: d["annotations"][0]["areas"].pop(), "'areas' has 2 entries, but video 7 has 3 frames"),
        (lambda d: d["annotations"][0]["bboxes"].pop(), "'bboxes' has 2 entries, but video 7 has 3 frames"),
        (lambda d: d["annotations"][0].update(areas=["3", None, 4]), r"annotations\[0\]: 'areas' must be numbers"),
        (lambda d: d["annotations"][0].update(width=4), r"annotations\[0\]: 'width' is 4, but 6 in video 7"),
        (lambda d: d["annotations"][0].update(height=6), r"annotations\[0\]: 'height' is 6, but 4 in video 7"),
        (lambda d: d["annotations"][0].update(length=2), r"annotations\[0\]: 'length' is 2, but 3 in video 7"),
        (
            lambda d: d["annotations"][0]["segmentations"][0].update(size=[6, 4]),
            r"annotations\[0\]\.segmentations\[0\]: the mask's size is \[6, 4\]",
        ),
    ],
)
def test_contradictions_are_named_by_file_and_entry(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(VisError, match=rf"val\.json: ([^ ]*: )?{message}|val\.json: .*{message}"):
        read_youtube_vis(write_split(tmp_path, change))


def test_submission_maps_videos_and_categories_by_name(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(5, [MASK, None, SQUARE], category_id=3, score=0.875)
    results = [make_result([instance], num_frames=3), make_result(name="other")]
    report = write_youtube_vis_submission(results, split, tmp_path / "out" / "a.zip")
    assert read_submission(tmp_path / "out" / "a.zip") == [
        {
            "video_id": 7,
            "score": 0.875,
            "category_id": 26,
            "segmentations": [dict(encode_mask(MASK)), None, dict(encode_mask(SQUARE))],
        }
    ]
    assert (report.num_videos, report.num_annotations) == (2, 1)
    assert report.videos_without_result == report.unmapped_categories == ()


def categories_and_scores(path: Path) -> list[tuple[int, float]]:
    return [(entry["category_id"], entry["score"]) for entry in read_submission(path)]


def test_one_entry_for_each_category_above_the_threshold(tmp_path: Path, split: YouTubeVis) -> None:
    categories = (Category(1, " PERSON"), Category(2, "giant_panda"), Category(3, "cat"))
    scores = {2: 0.3, 1: 0.6, 3: 0.5}
    instance = make_instance(1, [MASK] * 3, category_id=1, score=0.6, category_scores=scores)
    results, path = [make_result([instance], num_frames=3, categories=categories)], tmp_path / "a.zip"
    report = write_youtube_vis_submission(results, split, path)
    assert categories_and_scores(path) == [(4, 0.6), (26, 0.3)]
    assert report.unmapped_categories == ("cat",)
    assert report.videos_without_result == ("other",)
    report = write_youtube_vis_submission(results, split, path, score_threshold=0.5)
    assert categories_and_scores(path) == [(4, 0.6)]
    assert report.unmapped_categories == ()  # 0.5 is not above the threshold
    write_youtube_vis_submission(results, split, path, max_categories=1)
    assert categories_and_scores(path) == [(4, 0.6)]


def test_the_best_category_that_the_split_knows_is_the_one_kept(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(1, [MASK] * 3, category_id=7, score=0.6, category_scores={7: 0.6, 3: 0.2})
    report = write_youtube_vis_submission(
        [make_result([instance], num_frames=3)], split, tmp_path / "a.zip", max_categories=1
    )
    assert categories_and_scores(tmp_path / "a.zip") == [(26, 0.2)]
    assert report.unmapped_categories == ("cat",)


def test_the_instance_itself_counts_without_category_scores(tmp_path: Path, split: YouTubeVis) -> None:
    instance = make_instance(1, [MASK] * 3, category_id=3, score=0.6, category_scores={})
    write_youtube_vis_submission([make_result([instance], num_frames=3)], split, tmp_path / "a.zip")
    assert categories_and_scores(tmp_path / "a.zip") == [(26, 0.6)]


def test_nothing_found_is_an_empty_list(tmp_path: Path, split: YouTubeVis) -> None:
    report = write_youtube_vis_submission([], split, tmp_path / "a.zip")
    assert read_submission(tmp_path / "a.zip") == []
    assert report.videos_without_result == ("clip", "other")


def test_the_same_results_make_the_same_file(tmp_path: Path, split: YouTubeVis) -> None:
    results = [make_result([make_instance(i, [MASK] * 3, category_id=3) for i in (1, 2)], num_frames=3)]
    for name in ("a.zip", "b.zip"):
        write_youtube_vis_submission(results, split, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert len(read_submission(tmp_path / "a.zip")) == 2
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)  # not the time of writing


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (make_result(name="third"), r"third: is no video of .*val\.json"),
        (make_result(name="other", num_frames=2), "other: the result is 6x4, 2 frames, but .* lists 6x4, 1 frames"),
        (make_result(name="other", size=(6, 4)), "other: the result is 4x6, 1 frames, but .* lists 6x4, 1 frames"),
        (make_result(num_frames=3), "clip: has two results"),
    ],
)
def test_a_result_that_does_not_fit_the_split_leaves_no_file(
    tmp_path: Path, split: YouTubeVis, result: Any, message: str
) -> None:
    with pytest.raises(VisError, match=message):
        write_youtube_vis_submission([make_result(num_frames=3), result], split, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]
