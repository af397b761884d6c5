"""YOLO text files as detections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.detection_factory import (
    CORNERS,
    Heard,
    area,
    boxes_by_frame,
    error_of,
    locate,
    names_by_frame,
    write_json,
    write_text,
)

BOX = "0.25 0.25 0.25 0.25"
POLYGON = "0.125 0.125 0.375 0.125 0.375 0.375 0.125 0.375"  # the corners of the same rectangle


def test_boxes_and_polygons_with_and_without_confidence_are_read(tmp_path: Path) -> None:
    for line, score in ((f"0 {BOX}", 1), (f"0 {BOX} 0.5", 0.5), (f"0 {POLYGON}", 1), (f"0 {POLYGON} 0.5", 0.5)):
        write_text(tmp_path / "1.txt", line)
        found = locate(tmp_path)
        assert boxes_by_frame(found) == {0: [CORNERS]}
        assert found.frames[0].scores.tolist() == [score]
        mask = found.frames[0].masks[0]
        assert (mask is None) if BOX in line else (area(mask) == 16 * 12)


def test_files_of_ultralytics_count_from_1(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_text(tmp_path / f"run/labels/my_clip_2_{number}.txt", f"0 {BOX}")
    heard = Heard()
    assert list(locate(tmp_path / "run", num_frames=12, heard=heard).frames) == [0, 1, 9]
    assert "frame numbers start at 1: Ultralytics counts the frames of a video from 1" in heard.notes[-1]


def test_files_can_have_the_names_of_the_images(tmp_path: Path) -> None:
    write_text(tmp_path / "walk.txt", f"0 {BOX}")
    assert list(locate(tmp_path, frame_names=("run.jpg", "walk.png"), num_frames=2).frames) == [1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [cat, dog]"),
        ("data.yaml", "path: .\nnc: 2\nnames:\n  0: cat\n  1: dog\n"),
        ("data.yaml", "names: {1: dog, 0: cat, 5: 'no'}"),
        ("dataset.yml", "\ufeffnames:\r\n- cat\r\n- dog\r\n"),
        ("classes.txt", "cat\ndog\n\n"),
        ("obj.names", "cat\ndog"),
    ],
)
@pytest.mark.parametrize("place", [".", ".."])
def test_class_names_are_found(tmp_path: Path, name: str, text: str, place: str) -> None:
    folder = tmp_path / "clip"
    write_text(folder / "1.txt", f"1 {BOX}", f"0 {BOX}")
    (folder / place / name).write_text(text)
    heard = Heard()
    assert names_by_frame(locate(folder, heard=heard)) == {0: ["dog", "cat"]}
    assert any(f"class names from {folder if place == '.' else tmp_path}" in note for note in heard.notes)


def test_names_can_be_given(tmp_path: Path) -> None:
    write_text(tmp_path / "clip/1.txt", f"1 {BOX}")
    names = write_text(tmp_path / "other.yaml", "names: [on, 1.0]")
    assert names_by_frame(locate(tmp_path / "clip", images=names)) == {0: ["1.0"]}
    json_file = write_json(tmp_path / "clip.json", {"categories": []})
    assert "For YOLO text files, use data.yaml, or classes.txt with one name per line" in error_of(
        tmp_path / "clip", images=json_file
    )


def test_coco_names_are_assumed_without_names(tmp_path: Path) -> None:
    write_text(tmp_path / "1.txt", f"79 {BOX}", f"0 {BOX}")
    heard = Heard()
    assert names_by_frame(locate(tmp_path, heard=heard)) == {0: ["toothbrush", "person"]}
    assert any("The classes 0 = person, 79 = toothbrush are read as COCO's" in note for note in heard.notes)
    write_text(tmp_path / "1.txt", f"16 {BOX}")
    locate(tmp_path, heard=heard)
    assert any("The class 16 = dog is read as COCO's" in note for note in heard.notes)
    write_text(tmp_path / "1.txt", f"0 {BOX}", f"80 {BOX}")
    assert "1.txt: line 2: the class 80 has no name. Add data.yaml" in error_of(tmp_path)


def test_an_unknown_class_is_rejected(tmp_path: Path) -> None:
    write_text(tmp_path / "data.yaml", "names: [cat]")
    write_text(tmp_path / "1.txt", f"0 {BOX}", f"1 {BOX}")
    assert "1.txt: line 2: the category 1 is unknown. Use a known id: 0" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: 3", "'names' is '3'"),
        ("nc: 2", "'names' is missing"),
        ("names: {a: cat}", "the class 'a' of 'names' is not a number"),
        ("names: {-1: cat}", "the class '-1' of 'names' is not a number"),
        ("names: {1: cat, 01: dog}", "the class 1 occurs twice"),
        ("names: [[cat]]", "the name of class 0 is ['cat']"),
        ("names: []", "no class names"),
        ("names: ['']", "of category 0 is empty or not printable"),
        ("names: [cat", "not a YAML file, or damaged"),
        ("[" * 5000, "not a YAML file"),
        ("", "'names' is missing"),
        ("names: *x", "not a YAML file, or damaged"),
        ("\x00", "not a YAML file, or damaged"),
        ("names: [cat]\nkpt_shape: [17, 3]", "the labels have keypoints"),
        ("names: !!python/object/apply:os.system [ls]\n", "is unknown. Use a known id: 0"),
    ],
)
def test_a_damaged_file_of_names_is_rejected(tmp_path: Path, text: str, problem: str) -> None:
    write_text(tmp_path / "1.txt", f"1 {BOX}")
    (tmp_path / "data.yaml").write_text(text)
    assert problem in error_of(tmp_path)


def test_aliases_do_not_grow(tmp_path: Path) -> None:
    """Nine levels of aliases would be a billion strings."""
    write_text(tmp_path / "1.txt", f"0 {BOX}")
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "data.yaml").write_text("\n".join(["l0: &l0 [x, x]", *levels, "names: *l9"]))
    assert "the name of class 0 is" in error_of(tmp_path)


def test_track_ids_are_not_used(tmp_path: Path) -> None:
    heard = Heard()
    write_text(tmp_path / "1.txt", f"0 {BOX} 0.5 1")
    write_text(tmp_path / "2.txt", f"0 {BOX} 0.75 3")
    found = locate(tmp_path, heard=heard)
    assert boxes_by_frame(found) == {0: [CORNERS], 1: [CORNERS]}
    assert found.frames[1].scores.tolist() == [0.75]
    assert any("read as a track id" in note for note in heard.notes)
    write_text(tmp_path / "2.txt", f"0 {BOX} 0.75 1")
    assert boxes_by_frame(locate(tmp_path)) == {0: [CORNERS], 1: [CORNERS]}


@pytest.mark.parametrize("score", ["85.000", "100.0", "9e1"])
def test_percentages_are_not_track_ids(tmp_path: Path, score: str) -> None:
    write_text(tmp_path / "1.txt", f"0 {BOX} {score}")
    assert "the score is" in error_of(tmp_path)
    assert "Use a value from 0 to 1. If the scores are percentages, divide them by 100" in error_of(tmp_path)
    write_text(tmp_path / "1.txt", f"0 {BOX} {score} 3")
    assert "If the scores are percentages" in error_of(tmp_path)


def test_a_triangle_is_not_a_track(tmp_path: Path) -> None:
    write_text(tmp_path / "1.txt", "0 0 0 1 0 0.5 1", "0 0 0 1 0 0.5 0.5")
    assert all(mask is not None for mask in locate(tmp_path).frames[0].masks)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.5 0.5 0.1", "the line has 4 values"),
        ("0", "the line has 1 value."),
        ("1.5 0.5 0.5 0.1 0.1", "the class is 1.5"),
        ("-1 0.5 0.5 0.1 0.1", "the class is -1"),
        ("1e9 0.5 0.5 0.1 0.1", "the class is 1e+09"),
        ("0 320 240 64 48", "the coordinate 320 is not a fraction of the image. Divide pixels"),
        ("0 -30 0.5 0.5 0.5", "the coordinate -30 is not a fraction"),
        ("0 0.1 0.1 0.2 0.2 300 0.3", "the coordinate 300 is not a fraction"),
        ("0 0.5 0.5 0 0.1", "the box is 0 wide"),
        ("0 0.5 0.5 0.1 -0.1", "the box is 0.1 wide and -0.1 high"),
        ("0 0.5 0.5 nan 0.1", "value 4 is 'nan'"),
        ("0 0.5 0.5 0.1 0.1 0.9", "the line has 5 values, without a confidence, but other lines have a confidence"),
        ("person 0.5 0.5 0.1 0.1", "value 1 is 'person'"),
        ("0 0,5 0,5 0,1 0,1", "value 1 is '0 0'"),
    ],
)
def test_an_invalid_line_is_rejected(tmp_path: Path, line: str, problem: str) -> None:
    write_text(tmp_path / "1.txt", f"0 {BOX}")
    write_text(tmp_path / "2.txt", "", line)
    text = error_of(tmp_path)
    assert problem in text
    assert ("1.txt: line 1" if "without" in problem else "2.txt: line 2") in text


@pytest.mark.parametrize("line", ["1,-1,189,70,16,12,0.5,-1,-1,-1", "1 1 189 70 16 12 0.5"])
def test_a_folder_with_motchallenge_text_is_rejected(tmp_path: Path, line: str) -> None:
    write_text(tmp_path / "1.txt", line)
    assert "YOLO text has fractions from 0 to 1. For MOTChallenge text, pass the file." in error_of(tmp_path)


def test_a_score_above_1_is_rejected(tmp_path: Path) -> None:
    write_text(tmp_path / "1.txt", f"0 {BOX} 0.5", f"0 {BOX} 90")
    assert "1.txt: line 2: the score is 90. Use a value from 0 to 1. If the scores are percentages" in error_of(
        tmp_path
    )


def test_empty_files_are_frames_without_detections(tmp_path: Path) -> None:
    write_text(tmp_path / "1.txt")
    write_text(tmp_path / "2.txt", f"0 {BOX}")
    assert list(locate(tmp_path).frames) == [1]
    write_text(tmp_path / "2.txt")
    assert "there are no detections" in error_of(tmp_path)


def test_a_folder_without_text_files_is_rejected(tmp_path: Path) -> None:
    write_text(tmp_path / "classes.txt", "cat")
    write_text(tmp_path / ".hidden.txt", "0")
    assert "no text files in this folder" in error_of(tmp_path)


def test_a_folder_with_the_name_of_a_text_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "1.txt").mkdir()
    with pytest.raises(Exception, match="the path is a folder"):
        locate(tmp_path)


def test_a_file_that_is_not_of_a_frame_is_rejected(tmp_path: Path) -> None:
    write_text(tmp_path / "README.txt", f"0 {BOX}")
    assert "README.txt: line 1: the name 'README' is not a frame number" in error_of(tmp_path)


def test_a_polygon_without_area_is_left_out(tmp_path: Path) -> None:
    heard = Heard()
    write_text(tmp_path / "1.txt", f"0 {POLYGON}", "0 0.5 0.5 0.5 0.5 0.5 0.5")
    assert len(locate(tmp_path, heard=heard).frames[0].masks) == 1
    assert "1 of 2 masks are empty" in heard.warnings[0]
