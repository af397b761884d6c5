"""MOTChallenge text as detection files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.detection_factory import (
    CORNERS,
    Heard,
    boxes_by_frame,
    error_of,
    locate,
    names_by_frame,
    write_json,
    write_text,
)

LINE = "1,-1,9,7,16,12,0.5,-1,-1,-1"


def test_frames_and_pixels_are_counted_from_1(tmp_path: Path) -> None:
    heard = Heard()
    found = locate(write_text(tmp_path / "det.txt", LINE, LINE.replace("1", "3", 1)), heard=heard)
    assert boxes_by_frame(found) == {0: [CORNERS], 2: [CORNERS]}
    assert names_by_frame(found)[0] == ["object"]
    assert f"{tmp_path / 'det.txt'}: the format has no classes, so each box has the category 'object'" in heard.notes
    assert "frame numbers start at 1: MOTChallenge files count frames from 1" in heard.notes[-1]


@pytest.mark.parametrize(
    "text",
    [
        "1 -1 9 7 16 12 0.5 -1 -1 -1",
        "1\t-1\t9\t7\t16\t12\t0.5",
        "1, -1, 9, 7, 16, 12, 0.5, -1, -1, -1,",
        "1.0,-1,9.0,7e0,1.6e1,12,.5",
        "  1,-1,9,7,16,12,0.5  ",
        "\ufeff1,-1,9,7,16,12,0.5\r\n\r\n",
        "# frame, id\n\n1,-1,9,7,16,12,0.5\n   \n",
        "frame,id,bb_left,bb_top,bb_width,bb_height,conf\n1,-1,9,7,16,12,0.5",
        "FrameId,Id,X,Y,Width,Height,Confidence,ClassId,Visibility,Unused\n1,-1,9,7,16,12,0.5,-1,-1,-1",
        "1,-1,9,7,16,12,0.5\r1,-1,9,7,16,12,0.5",
        "+1,-1,+9,7,16,12,0.5",
    ],
)
def test_variants_of_the_text_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clip.csv"
    path.write_bytes(text.encode())
    found = locate(path)
    assert boxes_by_frame(found)[0][0] == CORNERS
    assert found.frames[0].scores[0] == 0.5


@pytest.mark.parametrize("lines", [["1,-1,9,7,16,12,-1,-1,-1,-1"] * 2, ["1,-1,9,7,16,12"]])
def test_without_confidences_the_score_is_1(tmp_path: Path, lines: list[str]) -> None:
    heard = Heard()
    found = locate(write_text(tmp_path / "det.txt", *lines), heard=heard)
    assert set(found.frames[0].scores) == {1}
    assert any("has no confidences" in note for note in heard.notes)


def test_a_single_confidence_of_minus_1_is_rejected(tmp_path: Path) -> None:
    line = error_of(write_text(tmp_path / "det.txt", LINE, LINE.replace("0.5", "-1")))
    assert "line 2: the score is -1" in line


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1,-1,9,7,16,12,nan", "value 7 is 'nan'. Use finite numbers"),
        ("1,-1,9,7,inf,12,0.5", "value 5 is 'inf'. Use finite numbers"),
        ("1,-1,9,7,1e999,12,0.5", "value 5 is '1e999'. Use finite numbers"),
        ("1,-1,9,7,1_6,12,0.5", "value 5 is '1_6'. Use numbers"),
        ("1,-1,9,7,\uff11\uff16,12,0.5", "value 5 is"),
        ("1,-1,9,,16,12,0.5", "value 4 is empty"),
        ("1 -1 9 7 16\u00a012 0.5", "a separator is not valid"),
        ("1 -1 9 7 16\x1c12 0.5", "a separator is not valid"),
        ("1,-1,9,7,16,12,\u00a00.5", "a separator is not valid"),
        ("1,-1,9,x,16,12,0.5", "value 4 is 'x'"),
        ("1;-1;9;7;16;12;0.5", "value 1 is '1;-1;9;7;16;12;0.5'"),
        ("1,-1,9 9,7,16,12,0.5", "value 3 is '9 9'"),
        ("1,-1,9,7,16,12", "6 values, the first line has 7"),
        ("1.5,-1,9,7,16,12,0.5", "the frame number is 1.5"),
        ("-3,-1,9,7,16,12,0.5", "the frame number is -3"),
        ("1e300,-1,9,7,16,12,0.5", "the frame number is 1e+300"),
        ("1,-1,9,7,0,12,0.5", "the box is 0 wide and 12 high"),
        ("1,-1,9,7,16,-12,0.5", "the box is 16 wide and -12 high"),
        ("1,-1,9,7,16,12,67.5", "the score is 67.5. Use a value from 0 to 1. If the scores are percentages"),
        ("1,-1,9,7,16,12,-0.5", "the score is -0.5"),
        ("99999999,-1,9,7,16,12,0.5", "frame 99999999 is beyond the end: the video has 5 frames"),
    ],
)
def test_an_invalid_line_is_rejected(tmp_path: Path, line: str, problem: str) -> None:
    path = write_text(tmp_path / "det.txt", "1,-1,9,7,16,12,0.5", "", line)
    assert f"line 3: {problem}" in error_of(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 0.5 0.5 0.1 0.1", "the line has 5 values. Use the columns"),
        (",".join(["1"] * 11), "the line has 11 values"),
        ("frame,x1,y1,x2,y2,conf,id", "column 2 is 'x1' instead of 'id'"),
        ("frame,id,left,top,right,bottom,conf", "column 5 is 'right' instead of 'width'"),
        ("frame,id", "the header has 2 columns"),
        ("hello", "value 1 is 'hello'"),
        ("1" * 2**20, "the line has more than 1,048,576 characters"),
    ],
)
def test_another_layout_is_rejected(tmp_path: Path, text: str, problem: str) -> None:
    assert f"line 1: {problem}" in error_of(write_text(tmp_path / "det.txt", text))


def test_classes_of_ground_truth_need_names(tmp_path: Path) -> None:
    path = write_text(tmp_path / "gt.txt", "1,1,9,7,16,12,1,1,0.8", "2,1,9,7,16,12,1,3,0.8")
    heard = Heard()
    assert names_by_frame(locate(path, heard=heard)) == {0: ["object"], 1: ["object"]}
    assert any("the classes in column 8 have no names" in note for note in heard.notes)
    categories = [{"id": 1, "name": "pedestrian"}, {"id": 3, "name": "car"}]
    names = write_json(tmp_path / "names.json", {"categories": categories})
    assert names_by_frame(locate(path, images=names)) == {0: ["pedestrian"], 1: ["car"]}
    write_json(names, {"categories": categories[:1]})
    assert "line 2: the category 3 is unknown" in error_of(path, images=names)


def test_a_folder_of_motchallenge_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "clip/det/det.txt", LINE)
    assert list(locate(tmp_path / "clip").frames) == [0]
