"""Files of CVAT, and files of `vis export` that come back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.records.exports.factory import SIZE, Messages, disk, iou, two_instances, two_objects, write
from tests.records.result_factory import make_instance, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.cvat import write_cvat
from vis_cli.records.imports.cvat import read_cvat
from vis_cli.records.rle import decode_rle

VIDEO = two_objects().video
HEAD = (
    "<annotations><version>1.1</version><meta><task><original_size><width>64</width><height>48</height>"
    "</original_size></task></meta>"
)


def read(text: str, path: Path) -> tuple[list, Messages]:
    messages = Messages()
    path.write_text(text)
    return list(read_cvat(path, VIDEO, messages)), messages


def square(frame: int, outside: int = 0) -> str:
    return f'<polygon frame="{frame}" keyframe="1" outside="{outside}" points="10,10;20,10;20,20;10,20"/>'


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_comes_back_exactly(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    write(write_cvat, path, two_objects())
    if packed:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(path, "annotations.xml")
        path = tmp_path / "a.zip"
    messages = Messages()
    objects = read_cvat(path, VIDEO, messages)
    assert [(item.id, item.category) for item in objects] == [(1, "cat"), (2, "giant_panda")]
    for item, instance in zip(objects, two_instances(), strict=True):
        shown = {frame: mask for frame in range(4) if (mask := instance.mask(frame)) is not None and mask.any()}
        assert item.masks.keys() == shown.keys()
        assert [iou(decode_rle(item.masks[frame]), mask) for frame, mask in shown.items()] == [1.0] * len(shown)
    assert messages.warnings == []


def test_masks_come_back_as_objects_of_one_frame(tmp_path: Path) -> None:
    write(write_cvat, tmp_path / "a.xml", two_objects(), as_masks=True)
    messages = Messages()
    objects = read_cvat(tmp_path / "a.xml", VIDEO, messages)
    assert [list(item.masks) for item in objects] == [[0], [2], [3], [1], [2]]
    np.testing.assert_array_equal(decode_rle(objects[1].masks[2]), disk(20, 20, 10))
    assert messages.warnings == []


def test_polygons_are_filled_between_their_corners(tmp_path: Path) -> None:
    text = HEAD + f'<track id="7" label="a &amp; b">{square(1)}{square(2, 1)}</track></annotations>'
    (item,), messages = read(text, tmp_path / "a.xml")
    expected = np.zeros(SIZE, bool)
    expected[10:20, 10:20] = True
    assert (item.category, list(item.masks)) == ("a & b", [1])
    np.testing.assert_array_equal(decode_rle(item.masks[1]), expected)
    assert messages.warnings == []


def test_frames_between_key_frames_are_reported(tmp_path: Path) -> None:
    write(write_cvat, tmp_path / "a.xml", two_objects(), choice=Choice(every=2))
    messages = Messages()
    objects = read_cvat(tmp_path / "a.xml", VIDEO, messages)
    assert [list(item.masks) for item in objects] == [[0, 2], [2]]
    assert "3 frames inside of tracks without a shape" in messages.warnings[0]


def test_boxes_are_omitted(tmp_path: Path) -> None:
    box = '<box frame="0" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    objects, messages = read(HEAD + f'<track id="0" label="a">{box}</track></annotations>', tmp_path / "a.xml")
    assert objects == []
    assert messages.warnings == [f"{tmp_path / 'a.xml'}: omitted 1 box: a result consists of masks"]


def test_no_tracks(tmp_path: Path) -> None:
    never = make_instance(1, [None])
    write(write_cvat, tmp_path / "a.xml", make_result([never], size=SIZE))
    assert read_cvat(tmp_path / "a.xml", VIDEO, Messages()) == []


TRACK = '<track id="0" label="a">%s</track></annotations>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not an XML file, or damaged"),
        ("<annotations>", "not an XML file, or damaged"),
        ("<html></html>", "the file contains <html>. Export the task"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "the file declares a document type"),
        (HEAD + '<image id="0"></image></annotations>', "the format is CVAT for images"),
        (HEAD.replace("64", "65") + "</annotations>", "the width of the task is 65, of the video 64"),
        (HEAD + TRACK % square(4), "frame 4 does not exist, the video has 4 frames. Pass the annotated video"),
        (HEAD + TRACK % (square(1) * 2), "track 1, frame 1: the frame has two shapes"),
        (HEAD + TRACK % '<polygon frame="-1"/>', "'frame' is '-1'. Use an integer of at least 0."),
        (HEAD + TRACK % '<polygon frame="0"/>', "an element has no 'points'"),
        (HEAD + TRACK % '<polygon frame="0" points="1,x"/>', "'points' is not a list of numbers"),
        (HEAD + TRACK % '<polygon frame="0" points="1,2;3,4"/>', "at least 3 corners"),
        (HEAD + TRACK % '<polygon frame="0" points="1,2;3,4;nan,1"/>', "Use finite numbers as coordinates"),
        (HEAD + '<track id="0"></track></annotations>', "an element has no 'label'"),
        (
            HEAD + TRACK % '<mask frame="0" rle="1,1" left="0" top="0" width="3" height="1"/>',
            "the runs of the mask do not fill its box",
        ),
        (
            HEAD + TRACK % '<mask frame="0" rle="0,2" left="63" top="0" width="2" height="1"/>',
            "or it is outside of the video",
        ),
        (
            HEAD + TRACK % '<mask frame="0" rle="1,x" left="0" top="0" width="3" height="1"/>',
            "the runs of the mask do not fill its box",
        ),
    ],
)
def test_damaged_files(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(VisError) as caught:
        read(text, tmp_path / "a.xml")
    assert said in str(caught.value)
    assert str(tmp_path / "a.xml") in str(caught.value)


def test_a_zip_with_two_xml_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.xml", HEAD + "</annotations>")
        archive.writestr("b.xml", HEAD + "</annotations>")
    with pytest.raises(VisError, match="the zip contains 2 XML files"):
        read_cvat(tmp_path / "a.zip", VIDEO, Messages())
