"""Results as a data set, which the reader of data sets takes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_result
from tests.records.split_factory import MASK, SQUARE, write_split
from vis_cli.errors import VisError
from vis_cli.records.exports.coco_video import write_coco_video
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category, VideoResult
from vis_cli.records.youtube_vis import read_youtube_vis


def test_the_reader_takes_it_back(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    instances = [make_instance(5, [MASK, None, SQUARE], score=0.875), make_instance(6, [None] * 3)]
    first = make_result(instances, num_frames=3)
    second = make_result([make_instance(5, [MASK], category_id=3)], name="other")
    report = write_coco_video([first, second, make_result(name="nothing")], None, path, selection=Selection())
    data_set = read_youtube_vis(path)
    assert [(video.id, video.name, len(video.file_names)) for video in data_set.videos] == [
        (1, "clip", 3),
        (2, "other", 1),
        (3, "nothing", 1),
    ]
    assert data_set.categories == (Category(3, "giant_panda"), Category(7, "cat"))
    assert data_set.annotations is not None
    assert [(a.id, a.video_id, a.category_id) for a in data_set.annotations] == [(1, 1, 7), (2, 1, 7), (3, 2, 3)]
    assert data_set.annotations[0].segmentations == (encode_mask(MASK), None, encode_mask(SQUARE))
    assert data_set.annotations[0].areas == (3.0, None, 4.0)
    assert (report.num_videos, report.num_entries) == (3, 3)


def test_what_other_tools_read_is_there(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    write_coco_video([make_result([make_instance(1, [MASK], score=0.5)])], None, path, selection=Selection())
    (annotation,) = json.loads(path.read_text())["annotations"]
    assert annotation == {
        "id": 1,
        "video_id": 1,
        "category_id": 7,
        "score": 0.5,
        "iscrowd": 0,
        "width": 6,
        "height": 4,
        "length": 1,
        "segmentations": [encode_mask(MASK)],
        "areas": [3],
        "bboxes": [[2, 1, 2, 2]],
    }


def test_the_ids_of_a_split(tmp_path: Path) -> None:
    path, split = tmp_path / "found.json", read_youtube_vis(write_split(tmp_path))
    categories = (Category(1, "cat"), Category(2, "panda"))
    instances = [make_instance(1, [MASK], category_id=1), make_instance(2, [MASK], category_id=2)]
    result = make_result(instances, name="other", categories=categories)
    report = write_coco_video([result], split, path, selection=Selection())
    data_set = read_youtube_vis(path)
    assert [(video.id, video.file_names) for video in data_set.videos] == [(9, ("val/other/00000.jpg",))]
    assert set(data_set.categories) == set(split.categories)
    assert data_set.annotations is not None
    assert [(a.video_id, a.category_id) for a in data_set.annotations] == [(9, 26)]
    assert report.synonyms == (("panda", "Giant Panda"),)
    assert report.unmapped_categories == ("cat",)
    assert report.videos_without_result == ("clip",)


def test_no_results_at_all(tmp_path: Path) -> None:
    write_coco_video([], None, tmp_path / "found.json", selection=Selection())
    assert read_youtube_vis(tmp_path / "found.json").annotations == ()


def test_one_id_for_two_names_is_refused(tmp_path: Path) -> None:
    results = [make_result(), make_result(name="other", categories=(Category(7, "dog"),))]
    with pytest.raises(VisError, match=r"other: category 7 is 'dog' here, but 'cat' in a previous result. Use --split"):
        write_coco_video(results, None, tmp_path / "found.json", selection=Selection())
    assert list(tmp_path.iterdir()) == []


def write_and_read(tmp_path: Path, *results: VideoResult) -> tuple[list[Category], list[int]]:
    """Export results without a split. Return the categories, and the category of each annotation."""
    write_coco_video(results, None, tmp_path / "found.json", selection=Selection())
    data_set = read_youtube_vis(tmp_path / "found.json")
    return list(data_set.categories), [annotation.category_id for annotation in data_set.annotations or ()]


def given(*names: str | None, video: str) -> VideoResult:
    """Return a result of given masks, with categories numbered by their first use. None: an object without a name."""
    used = list(dict.fromkeys(name for name in names if name is not None))
    ids = [None if name is None else used.index(name) + 1 for name in names]
    instances = [make_instance(i, [MASK], category_id=id_, score=1.0) for i, id_ in enumerate(ids, 1)]
    categories = tuple(Category(i, name) for i, name in enumerate(used, 1))
    return make_result(instances, name=video, categories=categories, given_masks="12")


def detected(video: str, *categories: Category) -> VideoResult:
    instances = [make_instance(i, [MASK], category_id=item.id) for i, item in enumerate(categories, 1)]
    return make_result(instances, name=video, categories=categories)


def test_instances_without_a_category_get_the_category_object(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, given(None, None, video="a")) == ([Category(1, "object")], [1, 1])
    several = given("dog", None, video="a"), given(None, "dog", video="b")
    assert write_and_read(tmp_path, *several) == ([Category(1, "dog"), Category(2, "object")], [1, 2, 2, 1])


def test_instances_of_a_program_without_a_category_next_to_detected_ones(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [MASK], category_id=None)], name="b", categories=())
    expected = [Category(1, "cat"), Category(2, "object")]
    assert write_and_read(tmp_path, detected("a", Category(1, "cat")), result) == (expected, [1, 2])
    assert write_and_read(tmp_path, result, detected("c", Category(1, "cat"))) == (
        [Category(1, "object"), Category(2, "cat")],
        [1, 2],
    )


def test_names_of_given_objects_that_use_the_same_ids(tmp_path: Path) -> None:
    results = given("dog", "rider", video="a"), given("rider", "cat", video="b"), given("cat", "dog", video="c")
    expected = [Category(1, "dog"), Category(2, "rider"), Category(3, "cat")]
    assert write_and_read(tmp_path, *results) == (expected, [1, 2, 2, 3, 3, 1])


def test_names_of_given_objects_next_to_categories_of_a_dataset(tmp_path: Path) -> None:
    dataset = Category(1, "person"), Category(2, "cat"), Category(3, "dog")
    named = given("dog", "rider", video="b")
    categories, found = write_and_read(tmp_path, detected("a", *dataset), named)
    assert (categories, found) == ([*dataset, Category(4, "rider")], [1, 2, 3, 3, 4])
    results = named, detected("c", *dataset), detected("d", *dataset)  # the ids of the dataset come too late
    categories, found = write_and_read(tmp_path, *results)
    assert categories == [Category(1, "dog"), Category(2, "rider"), Category(4, "person"), Category(5, "cat")]
    assert found == [1, 2, 4, 5, 1, 4, 5, 1]


def test_instances_without_a_category_in_a_split(tmp_path: Path) -> None:
    path, split = tmp_path / "found.json", read_youtube_vis(write_split(tmp_path))
    report = write_coco_video([given(None, "panda", video="other")], split, path, selection=Selection())
    data_set = read_youtube_vis(path)
    assert set(data_set.categories) == set(split.categories)
    assert [annotation.category_id for annotation in data_set.annotations or ()] == [26]
    assert report.unmapped_categories == ("object",)
