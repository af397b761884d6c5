"""MOTS text files: the lines of cars and pedestrians, which never overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.records.davis_factory import write_davis
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.mots import write_mots
from vis_cli.records.result_matching import read_split
from vis_cli.records.rle import Rle, decode_rle, encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category

CATEGORIES = (Category(1, "person"), Category(2, "car"), Category(3, "dog"))
LEFT = make_mask(["####..", "####..", "......", "......"])
RIGHT = make_mask(["..####", "......", "......", "......"])
INNER = make_mask(["..##..", "......", "......", "......"])


def counts(mask: np.ndarray) -> str:
    return encode_mask(mask)["counts"]


def test_lines_ids_and_classes(tmp_path: Path) -> None:
    instances = [
        make_instance(1, [LEFT, None], category_id=2, score=0.5),
        make_instance(2, [None, RIGHT], category_id=1, score=0.4),
        make_instance(3, [None, LEFT], category_id=2, score=0.6),
        make_instance(4, [RIGHT, RIGHT], category_id=3, score=0.9),
    ]
    result = make_result(instances, num_frames=2, categories=CATEGORIES)
    report = write_mots([result], None, tmp_path, selection=Selection())
    assert (tmp_path / "clip.txt").read_text().splitlines() == [
        f"0 1002 1 4 6 {counts(LEFT)}",
        f"1 1001 1 4 6 {counts(LEFT)}",
        f"1 2001 2 4 6 {counts(RIGHT & ~LEFT)}",
    ]
    assert (report.num_videos, report.num_entries) == (1, 3)
    assert report.synonyms == (("person", "pedestrian"),)
    assert report.unmapped_categories == ("dog",)


def test_masks_of_a_frame_never_overlap_and_covered_ones_are_absent(tmp_path: Path) -> None:
    instances = [
        make_instance(1, [INNER], category_id=1, score=0.2),
        make_instance(2, [RIGHT], category_id=2, score=0.7),
        make_instance(3, [LEFT], category_id=1, score=0.6),
    ]
    write_mots([make_result(instances, categories=CATEGORIES)], None, tmp_path, selection=Selection())
    lines = [line.split(" ") for line in (tmp_path / "clip.txt").read_text().splitlines()]
    assert [line[1] for line in lines] == ["1001", "2001"]
    masks = [decode_rle(Rle(size=[4, 6], counts=line[5])) for line in lines]
    np.testing.assert_array_equal(masks[0], RIGHT)
    np.testing.assert_array_equal(masks[1], LEFT & ~RIGHT)


def test_frames_are_numbered_as_the_split_names_them(tmp_path: Path) -> None:
    split = read_split(write_davis(tmp_path))
    instance = make_instance(1, [LEFT, RIGHT], category_id=2)
    result = make_result([instance], name="dog", num_frames=2, categories=CATEGORIES)
    report = write_mots([result], split, tmp_path / "out", selection=Selection())
    assert [line.split()[0] for line in (tmp_path / "out/dog.txt").read_text().splitlines()] == ["0", "5"]
    assert (tmp_path / "out/cat.txt").read_text() == ""
    assert report.videos_without_result == ("cat",)


def test_frames_without_a_number_are_counted_from_zero(tmp_path: Path) -> None:
    split = read_split(write_davis(tmp_path, sequences={"dog": ("one", "two")}))
    instance = make_instance(1, [None, RIGHT], category_id=2)
    result = make_result([instance], name="dog", num_frames=2, categories=CATEGORIES)
    write_mots([result], split, tmp_path / "out", selection=Selection())
    assert (tmp_path / "out/dog.txt").read_text().startswith("1 1001 1 ")


def test_nothing_found_is_an_empty_file(tmp_path: Path) -> None:
    write_mots([make_result()], None, tmp_path, selection=Selection())
    assert (tmp_path / "clip.txt").read_bytes() == b""


def test_more_objects_than_ids_are_refused(tmp_path: Path) -> None:
    result = make_result([make_instance(i, [None], category_id=2) for i in range(1000)], categories=CATEGORIES)
    with pytest.raises(VisError, match=r"clip: more than 999 objects of a class. Use --top 999"):
        write_mots([result], None, tmp_path / "out", selection=Selection())
    write_mots([result], None, tmp_path / "out", selection=Selection(top=999))


def test_an_object_without_a_category_is_omitted_and_named(tmp_path: Path) -> None:
    instances = [make_instance(1, [LEFT], category_id=None), make_instance(2, [RIGHT], category_id=1)]
    report = write_mots([make_result(instances, categories=CATEGORIES)], None, tmp_path, selection=Selection())
    (line,) = (tmp_path / "clip.txt").read_text().splitlines()
    assert line.split()[1:3] == ["2001", "2"]
    assert report.unmapped_categories == ("object",)
