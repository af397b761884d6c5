"""Results as a data set, which the reader of data sets takes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_result
from tests.records.split_factory import MASK, SQUARE, write_split
from vis_cli.errors import VisError
from vis_cli.records.coco_video import write_coco_video
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category
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
