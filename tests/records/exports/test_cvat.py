"""CVAT for video 1.1, read by the rules of CVAT's own importer: key frames of tracks, and single masks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.cvat import write_cvat
from vis_cli.records.types import Category

from .factory import HARD_NAMES, SIZE, disk, hard_names, iou, ring, two_objects, write


def tree(path: Path) -> ET.Element:
    root = ET.parse(path).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert root.findtext("meta/task/mode") == "interpolation"
    return root


def fill(shape: ET.Element) -> NDArray[np.bool_]:
    """Fill a polygon, as CVAT does when it exports masks."""
    points = [float(number) for pair in shape.attrib["points"].split(";") for number in pair.split(",")]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([points], *SIZE))).astype(bool)


def test_a_track_has_key_frames_and_its_gaps_are_outside(tmp_path: Path) -> None:
    messages = write(write_cvat, tmp_path / "a.xml", two_objects())
    root = tree(tmp_path / "a.xml")
    tracks = root.findall("track")
    assert [(track.get("id"), track.get("label")) for track in tracks] == [("0", "cat"), ("1", "giant_panda")]
    states = [[(s.get("frame"), s.get("outside"), s.get("keyframe")) for s in track] for track in tracks]
    assert states == [
        [("0", "0", "1"), ("1", "1", "1"), ("2", "0", "1"), ("3", "0", "1")],
        [("1", "0", "1"), ("2", "0", "1"), ("3", "1", "1")],
    ]
    assert iou(fill(tracks[0][2]), disk(20, 20, 10)) == iou(fill(tracks[1][0]), disk(50, 30, 5)) == 1.0
    assert iou(fill(tracks[0][0]), ring()) == 1.0  # with its hole, and with the separate pixel
    assert messages.notes == ["IoU of 5 polygons with their masks: mean 1.000, lowest 1.000"]
    assert root.findtext("meta/task/size") == "4"
    assert [label.text for label in root.iter("name")][1:] == ["giant_panda", "cat"]
    assert [int(root.findtext(f"meta/task/original_size/{side}") or 0) for side in ("height", "width")] == list(SIZE)


def test_the_iou_is_that_of_simplified_polygons(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [disk(30, 24, 20)])], size=SIZE)
    messages = write(write_cvat, tmp_path / "a.xml", result, tolerance=3.0)
    filled = fill(tree(tmp_path / "a.xml").findall("track")[0][0])
    expected = iou(filled, disk(30, 24, 20))
    assert expected < 0.95
    assert messages.notes == [f"IoU of 1 polygons with their masks: mean {expected:.3f}, lowest {expected:.3f}"]


def test_every_second_frame_is_a_key_frame(tmp_path: Path) -> None:
    write(write_cvat, tmp_path / "a.xml", two_objects(), choice=Choice(every=2))
    frames = [[shape.get("frame") for shape in track] for track in tree(tmp_path / "a.xml").findall("track")]
    assert frames == [["0", "2"], ["2"]]


def decode(shape: ET.Element) -> NDArray[np.bool_]:
    """Decode a mask: runs in the rows of its box, background first."""
    left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    assert sum(runs) == width * height
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = inside
    return mask


def test_masks_are_exact_and_have_no_tracks(tmp_path: Path) -> None:
    messages = write(write_cvat, tmp_path / "a.xml", two_objects(), as_masks=True)
    tracks = tree(tmp_path / "a.xml").findall("track")
    shapes = [track[0] for track in tracks]
    assert all(shape.tag == "mask" for shape in shapes)
    assert [shape.get("frame") for shape in shapes] == ["0", "2", "3", "1", "2"]
    for shape, mask in zip(shapes, [ring(), disk(20, 20, 10), disk(21, 20, 10), disk(50, 30, 5)], strict=False):
        np.testing.assert_array_equal(decode(shape), mask)
    ends = [[(shape.get("frame"), shape.get("outside")) for shape in track[1:]] for track in tracks]
    assert ends == [[("1", "1")], [("3", "1")], [], [("2", "1")], [("3", "1")]]
    assert messages.notes == []


def test_full_frames_begin_with_an_empty_run(tmp_path: Path) -> None:
    write(
        write_cvat, tmp_path / "a.xml", make_result([make_instance(1, [np.ones(SIZE, bool)])], size=SIZE), as_masks=True
    )
    assert tree(tmp_path / "a.xml").findall("track")[0][0].attrib["rle"] == f"0, {SIZE[0] * SIZE[1]}"


def test_names_are_escaped(tmp_path: Path) -> None:
    write(write_cvat, tmp_path / "a.xml", hard_names())
    root = tree(tmp_path / "a.xml")
    expected = [*HARD_NAMES[:-1], "\ufffd\ufffd"]
    assert [track.get("label") for track in root.findall("track")] == expected
    assert [label.findtext("name") for label in root.iter("label")] == expected


def test_a_carriage_return_is_the_same_in_the_label_and_in_its_track(tmp_path: Path) -> None:
    name = "a\rb\r\nc"
    result = make_result(
        [make_instance(1, [disk(20, 20, 5)], category_id=1)], size=SIZE, categories=(Category(1, name),), name="x\ry"
    )
    write(write_cvat, tmp_path / "a.xml", result)
    root = tree(tmp_path / "a.xml")
    assert [label.findtext("name") for label in root.iter("label")] == [name]
    assert [track.get("label") for track in root.findall("track")] == [name]
    assert root.findtext("meta/task/name") == "x\ry"


@pytest.mark.parametrize("as_masks", [False, True])
def test_no_instances(as_masks: bool, tmp_path: Path) -> None:
    never = make_instance(1, [None], category_id=None)
    write(write_cvat, tmp_path / "out", make_result([never]), make_result(name="b", num_frames=0), as_masks=as_masks)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.xml", "clip.xml"]
    assert tree(tmp_path / "out/clip.xml").findall("track") == []
    assert "object" in [label.findtext("name") for label in tree(tmp_path / "out/clip.xml").iter("label")]
