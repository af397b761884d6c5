"""Boxes and points: their text form, their checks, and the objects that they select."""

from __future__ import annotations

import math

import pytest

from vis_cli.errors import VisError
from vis_cli.records.prompts import (
    BoxPrompt,
    PointPrompt,
    group_prompts,
    parse_box,
    parse_point,
    require_frames,
    require_inside,
)


@pytest.mark.parametrize("text", ["30:100,50,220,180", "0:0,0.5,1,2#254", "0:-1,+2,3,4.25"])
def test_a_box_and_its_text(text: str) -> None:
    box = parse_box(text)
    assert str(box) == f"--box {text.replace('+', '')}"
    assert parse_box(f" {text} ") == box


def test_values_of_a_box() -> None:
    assert parse_box("30:100, 50.5,220,180#2") == BoxPrompt(30, (100.0, 50.5, 220.0, 180.0), 2)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("3:10,20", PointPrompt(3, (10.0, 20.0))),
        ("-3:10,20", PointPrompt(3, (10.0, 20.0), positive=False)),
        ("-0:1.5,2#7", PointPrompt(0, (1.5, 2.0), 7, positive=False)),
    ],
)
def test_a_point_and_its_text(text: str, point: PointPrompt) -> None:
    assert parse_point(text) == point
    assert str(point) == f"--point {text}"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "30",
            "30:",
            ":1,2,3,4",
            "30:1,2,3",
            "30:1,2,3,4,5",
            "a:1,2,3,4",
            "30:1,2,3,x",
            "1.5:1,2,3,4",
            "30;1,2,3,4",
        ),
        *(
            "30:1,2,3,nan",
            "30:1,2,3,inf",
            "30:1,2,3,1_0",
            "30:1,2,3,4#",
            "30:1,2,3,4#a",
            "-30:1,2,3,4",
            "30:1,2,3,4#1#2",
        ),
        *("9999999999:1,2,3,4", "30:1,2,3,4\n5", "٣:1,2,3,4", "30:1,2,3,1e3", "30:1,,3,4"),
    ],
)
def test_a_malformed_box(text: str) -> None:
    with pytest.raises(VisError, match=r"--box: '.*' is not FRAME:x1,y1,x2,y2. Use a frame index and pixels") as caught:
        parse_box(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "3:1", "3:1,2,3", "--3:1,2", "3:nan,1", "3:1,2;4,5"])
def test_a_malformed_point(text: str) -> None:
    with pytest.raises(
        VisError, match=r"--point: '.*' is not FRAME:x,y. Use a frame index and pixels, such as 30:120,90"
    ):
        parse_point(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3:5,2,5,9", r"--box 3:5,2,5,9: the box is empty. Use x1 < x2 and y1 < y2"),
        ("3:5,2,4,9", "the box is empty"),
        ("3:1,9,4,9", "the box is empty"),
        ("3:1,2,4,9#0", "the id is 0. Use an id from 1 to 65535"),
        ("3:1,2,4,9#65536", "the id is 65536"),
    ],
)
def test_a_box_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(VisError, match=message):
        parse_box(text)


def test_values_from_python() -> None:
    with pytest.raises(VisError, match="a coordinate is not a finite number"):
        BoxPrompt(0, (0.0, 0.0, math.nan, 2.0))
    with pytest.raises(VisError, match="a coordinate is not a finite number"):
        PointPrompt(0, (math.inf, 2.0))
    with pytest.raises(VisError, match=r"the frame is -1. Use a frame index of at least 0"):
        PointPrompt(-1, (1.0, 2.0))


def test_boxes_and_points_without_id_are_new_objects() -> None:
    box, point, again = parse_box("4:1,1,5,5"), parse_point("0:3,3"), parse_point("4:9,9#2")
    groups = group_prompts([box, point, again])
    assert list(groups) == [0, 4]
    assert [(item.id, item.box, len(item.points)) for item in groups[0]] == [(3, None, 1)]
    assert [(item.id, item.box is None, len(item.points)) for item in groups[4]] == [(1, False, 0), (2, True, 1)]


def test_points_with_one_id_are_one_object() -> None:
    (item,) = group_prompts([parse_point("0:3,3#5"), parse_point("0:4,4#5")])[0]
    assert (item.id, [point.point for point in item.points]) == (5, [(3.0, 3.0), (4.0, 4.0)])


def test_negative_points_belong_to_one_object_or_to_all_of_their_frame() -> None:
    texts = ("0:1,1#1", "0:2,2#2", "-0:3,3", "-0:4,4#2", "5:1,1#1")
    groups = group_prompts([parse_point(text) for text in texts])
    found = {item.id: [point.point for point in item.negative] for item in groups[0]}
    assert found == {1: [(3.0, 3.0)], 2: [(3.0, 3.0), (4.0, 4.0)]}
    assert groups[5][0].negative == ()


@pytest.mark.parametrize(
    ("boxes", "points", "message"),
    [
        (["0:1,1,2,2#1", "0:1,1,3,3#1"], [], r"--box 0:1,1,3,3#1: the object has another box in this frame"),
        (["0:1,1,2,2#1"], ["0:1,1#1"], "the object also has a point in this frame. Use the box, or the points"),
        ([], ["-0:1,1"], r"--point -0:1,1: no object has a box or a positive point in this frame"),
        (["0:1,1,2,2"], ["-3:1,1"], "no object has a box or a positive point in this frame"),
        (["0:1,1,2,2#1"], ["-0:1,1#2"], "object 2 has no box and no positive point in this frame"),
    ],
)
def test_prompts_that_contradict_each_other(boxes: list[str], points: list[str], message: str) -> None:
    with pytest.raises(VisError, match=message):
        group_prompts([*map(parse_box, boxes), *map(parse_point, points)])


def test_no_prompt() -> None:
    assert group_prompts([]) == {}


@pytest.mark.parametrize("text", ["0:-1,0,5,5", "0:0,-0.5,5,5", "0:0,0,64.5,5", "0:0,0,5,49", "0:70,50,80,60"])
def test_a_box_outside_of_the_image(text: str) -> None:
    require_inside([parse_box("0:0,0,64,48"), parse_point("0:63.5,47.5")], width=64, height=48)
    with pytest.raises(VisError, match=r"the box is not inside of the image. Use x from 0 to 64 and y from 0 to 48"):
        require_inside([parse_box(text)], width=64, height=48)


@pytest.mark.parametrize("text", ["0:64,0", "0:0,48", "0:-1,5"])
def test_a_point_outside_of_the_image(text: str) -> None:
    with pytest.raises(VisError, match=r"the point is not inside of the image"):
        require_inside([parse_point(text)], width=64, height=48)


def test_frames_of_a_part() -> None:
    require_frames([parse_point("12:1,1")], range(10, 20, 2))
    with pytest.raises(VisError, match=r"Use a frame from 10 to 18, every 2 frames."):
        require_frames([parse_point("13:1,1")], range(10, 20, 2))


def test_a_frame_outside_of_the_video() -> None:
    require_frames([parse_point("7:1,1")], range(8))
    with pytest.raises(VisError, match=r"--box 8:1,1,2,2: the video has no such frame. Use a frame from 0 to 7."):
        require_frames([parse_point("7:1,1"), parse_box("8:1,1,2,2")], range(8))
