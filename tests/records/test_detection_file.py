"""Detection files: what is common to all formats, NAME.json, and invalid files."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.records.detection_factory import (
    BOX,
    CORNERS,
    HEIGHT,
    NUM_FRAMES,
    WIDTH,
    Heard,
    area,
    boxes_by_frame,
    entry,
    error_of,
    locate,
    mask_of,
    names_by_frame,
    write_json,
    write_text,
)
from vis_cli.errors import VisError
from vis_cli.files import limits
from vis_cli.records import detection_file
from vis_cli.records.detection_file import read_detection_file
from vis_cli.records.detection_formats import coco, mot, text, yolo
from vis_cli.records.detection_formats import rows as rows_module
from vis_cli.records.result_json import write_result
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult

MOT_LINE = "1,-1,9,7,16,12,0.5,-1,-1,-1"


def make_result(path: Path, **video: int) -> Path:
    """Write a result with a dog in frames 1 and 2, an object without category in frame 2, and an empty mask."""
    info = VideoInfo("clip", Path("clip.mp4"), WIDTH, HEIGHT, 24.0, NUM_FRAMES)
    info = dataclasses.replace(info, **video)
    empty = mask_of([0, 0, 0, 0])
    absent = (None,) * (info.num_frames - 3)
    dog = InstanceSequence(1, 7, 0.9, {7: 0.9}, 1, (empty, mask_of(), mask_of(), *absent))
    thing = InstanceSequence(2, None, 0.4, {}, 2, (None, None, mask_of([0, 0, 4, 4]), *absent))
    write_result(VideoResult(info, ModelInfo("lite", "0"), {}, (Category(7, "dog"),), (dog, thing)), path)
    return path


def test_all_formats_give_equal_boxes(tmp_path: Path) -> None:
    coco = write_json(tmp_path / "coco.json", [entry(0), entry(4, bbox=[0, 0, 64, 48])])
    mot = write_text(tmp_path / "det.txt", MOT_LINE, "5,-1,1,1,64,48,0.5,-1,-1,-1")
    write_text(tmp_path / "yolo/clip_1.txt", "0 0.25 0.25 0.25 0.25 0.5")
    write_text(tmp_path / "yolo/clip_5.txt", "0 0.5 0.5 1 1 0.5")
    expected = {0: [CORNERS], 4: [[0, 0, 64, 48]]}
    for path in (coco, mot, tmp_path / "yolo"):
        found = locate(path)
        assert boxes_by_frame(found) == expected
        assert [detections.scores.tolist() for detections in found.frames.values()] == [[0.5], [0.5]]
        assert found.frames[0].masks == (None,)


def test_each_mask_of_a_result_is_a_detection(tmp_path: Path) -> None:
    heard = Heard()
    found = locate(make_result(tmp_path / "clip.json"), heard=heard)
    assert names_by_frame(found) == {1: ["dog"], 2: ["dog", "object"]}
    assert [category.id for category in found.categories] == [7, 8]
    assert found.frames[1].boxes.tolist() == [CORNERS]
    assert found.frames[2].scores.tolist() == [0.9, 0.4]
    assert found.frames[1].masks == (mask_of(),)
    assert not heard.notes  # frame indices need no assumption


def test_a_result_of_another_video_is_rejected(tmp_path: Path) -> None:
    path = make_result(tmp_path / "clip.json")
    assert "the result has 5 frames, but the video has 6" in error_of(path, num_frames=6)
    assert "--detections-from is 1, but a result contains frame indices" in error_of(path, first=1)
    with pytest.raises(VisError, match="the image is 64x48, but the video is 32x48"):
        read_detection_file(path).locate(width=32, height=48, num_frames=NUM_FRAMES, frame_names=None)


def test_a_result_without_instances_has_no_detections(tmp_path: Path) -> None:
    path = make_result(tmp_path / "clip.json")
    write_json(path, {**json.loads(path.read_text()), "instances": []})
    assert "there are no detections" in error_of(path)


def test_rows_of_a_frame_keep_their_order(tmp_path: Path) -> None:
    entries = [entry(3, score=0.1), entry(1, score=0.2), entry(3, score=0.9), entry(1, score=0.4)]
    found = locate(write_json(tmp_path / "clip.json", entries))
    assert {frame: some.scores.tolist() for frame, some in found.frames.items()} == {1: [0.2, 0.4], 3: [0.1, 0.9]}


def test_the_digest_depends_on_the_content_only(tmp_path: Path) -> None:
    first = read_detection_file(write_json(tmp_path / "a.json", [entry()])).digest
    assert read_detection_file(write_json(tmp_path / "b.json", [entry()])).digest == first
    mask = mask_of()
    changes = [
        *(entry(1), entry(score=0.6), entry(category_id=2), entry(bbox=[8, 6, 16, 13]), entry(segmentation=mask)),
        entry(segmentation=mask_of([0, 0, 5, 5])),
    ]
    digests = {read_detection_file(write_json(tmp_path / "b.json", [change])).digest for change in changes}
    assert len(digests | {first}) == len(changes) + 1


def test_boxes_are_clipped_and_boxes_outside_are_left_out(tmp_path: Path) -> None:
    entries = [entry(bbox=[-4, -4, 10, 10]), entry(bbox=[60, 40, 10, 10]), entry(bbox=[64, 0, 9, 9]), entry()]
    heard = Heard()
    found = locate(write_json(tmp_path / "clip.json", entries), heard=heard)
    assert found.frames[0].boxes.tolist() == [[0, 0, 6, 6], [60, 40, 64, 48], CORNERS]
    assert heard.warnings == [
        f"{tmp_path / 'clip.json'}: 1 of 4 boxes are outside of the image, the first one at entry 2; they are left out",
        f"{tmp_path / 'clip.json'}: 2 of 4 boxes extend beyond the image, the first one at entry 0; they are clipped. "
        "Check that 'bbox' is left, top, width, height",
    ]


def test_boxes_beyond_the_image_are_reported_in_each_format(tmp_path: Path) -> None:
    """Corners instead of a size: 40, 30, 60, 40 is read as a width of 60 and a height of 40."""
    dataset = write_json(tmp_path / "data.json", {"annotations": [entry(), entry(bbox=[40, 30, 60, 40])]})
    mot = write_text(tmp_path / "det.txt", MOT_LINE, "1,-1,41,31,60,40,0.5,-1,-1,-1")
    write_text(tmp_path / "yolo/clip_1.txt", "0 0.25 0.25 0.25 0.25 0.5", "0 0.6 0.6 0.9 0.5 0.5")
    for path, place, words in (
        (dataset, "annotations entry 1", "'bbox' is left, top, width, height"),
        (mot, "line 2", "columns 3 to 6 are left, top, width, height"),
        (tmp_path / "yolo", "clip_1.txt: line 2", "values 2 to 5 are center x, center y, width, height"),
    ):
        locate(path, heard=(heard := Heard()))
        (warning,) = heard.warnings
        assert warning.startswith(f"{path}: 1 of 2 boxes extend beyond the image, the first one at ")
        assert warning.endswith(f"{place}; they are clipped. Check that {words}")


def test_rounding_at_the_edge_is_not_reported(tmp_path: Path) -> None:
    heard = Heard()
    entries = [entry(bbox=[-1, -1, 10, 10]), entry(bbox=[0, 0, 65, 49]), entry(bbox=[0, 0, 64.5, 48.25])]
    locate(write_json(tmp_path / "clip.json", entries), heard=heard)
    assert not heard.warnings
    locate(write_json(tmp_path / "clip.json", [entry(bbox=[0, 0, 64, 49.5])]), heard=heard)
    assert len(heard.warnings) == 1


def test_a_file_whose_boxes_are_all_outside_is_rejected(tmp_path: Path) -> None:
    path = write_json(tmp_path / "clip.json", [entry(bbox=[100, 0, 9, 9]), entry(bbox=[-20, 0, 20, 9])])
    assert "no detection is inside of the 64x48 image" in error_of(path)


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([8, 6, 0, 12], "the box is 0 wide and 12 high"),
        ([8, 6, 16, 0], "the box is 16 wide and 0 high"),
        ([24, 6, -16, 12], "the box is -16 wide and 12 high"),
        ([1e308, 6, 1e308, 12], "the box is "),
        ([1e20, 6, 1, 1], "the box is 0 wide and 1 high"),
    ],
)
def test_a_box_without_area_is_rejected(tmp_path: Path, box: list[float], problem: str) -> None:
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(bbox=box)]))
    assert f"entry 1: {problem}" in line


@pytest.mark.parametrize(
    ("score", "problem"),
    [
        (1.01, "the score is 1.01. Use a value from 0 to 1. If the scores are percentages"),
        (-0.1, "the score is -0.1. Use a value from 0 to 1"),
        (101, "the score is 101. Use a value from 0 to 1"),
    ],
)
def test_a_score_out_of_range_is_rejected(tmp_path: Path, score: float, problem: str) -> None:
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(score=score)]))
    assert f"entry 1: {problem}" in line
    assert ("percentages" in line) == (score == 1.01)


def test_scores_of_0_and_1_are_valid(tmp_path: Path) -> None:
    found = locate(write_json(tmp_path / "clip.json", [entry(score=0), entry(score=1)]))
    assert found.frames[0].scores.tolist() == [0, 1]


def test_fractions_in_a_format_of_pixels_are_rejected(tmp_path: Path) -> None:
    path = write_json(tmp_path / "clip.json", [entry(bbox=[0.25, 0.25, 0.5, 0.75])])
    assert "the coordinates are fractions. Multiply them" in error_of(path)
    assert locate(write_json(tmp_path / "clip.json", [entry(bbox=[0, 0, 1, 1])])).frames[0].boxes.tolist() == [
        [0, 0, 1, 1]
    ]


def test_an_empty_mask_is_left_out(tmp_path: Path) -> None:
    heard = Heard()
    entries = [entry(segmentation=mask_of([0, 0, 0, 0])), entry(segmentation=mask_of())]
    found = locate(write_json(tmp_path / "clip.json", entries), heard=heard)
    assert [area(mask) for mask in found.frames[0].masks] == [BOX[2] * BOX[3]]
    assert "1 of 2 masks are empty, the first one at entry 0" in heard.warnings[0]


def test_many_masks_have_their_boxes(tmp_path: Path) -> None:
    corners = [[x, y, x + 3, y + 2] for x in range(20) for y in range(20)]
    entries = [entry(segmentation=mask_of(some), bbox=[0, 0, 0, 0]) for some in corners]
    assert locate(write_json(tmp_path / "clip.json", entries)).frames[0].boxes.tolist() == corners


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("clip.json", b"", "the file is empty"),
        ("clip.txt", b"", "the file is empty"),
        ("clip.txt", b"\n# comment\n\n", "there are no detections"),
        ("clip.json", b"[]", "there are no detections"),
        ("clip.json", b" \n ", "the file is empty, or begins with"),
        ("clip.json", b'[{"image_id": 0, "cat', "not a JSON file, or damaged"),
        ("clip.json", b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe", "not a JSON file, or damaged"),
        ("clip.json", bytes(range(256)), "not a JSON file, or damaged"),
        ("clip.txt", b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe", "the file is binary or UTF-16"),
        ("clip.txt", "1,-1,9,7,16,12,0.5".encode("utf-16"), "the file is binary or UTF-16"),
        ("clip.txt", b"1,-1,9,7,16,12,0.5\xff\n", "the file is not UTF-8"),
        ("clip.pkl", b"x", "unknown file extension '.pkl'"),
        ("clip", b"x", "unknown file extension ''"),
        ("clip.json", b"{}", "the object contains no keys, but no detections"),
        ("clip.json", b'{"boxes": 1}', "the object contains 'boxes', but no detections"),
        ("clip.json", b"3", "not a JSON file, or damaged"),
    ],
)
def test_a_file_without_readable_detections_is_rejected(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert problem in error_of(path)


def test_a_missing_file_and_a_broken_link_are_rejected(tmp_path: Path) -> None:
    assert "No such file" in error_of(tmp_path / "clip.json")
    (tmp_path / "clip.json").symlink_to(tmp_path / "missing")
    with pytest.raises(VisError):
        read_detection_file(tmp_path / "clip.json")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    with pytest.raises(VisError):
        read_detection_file(tmp_path / "loop.txt")


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    write_json(tmp_path / "data.json", [entry()])
    (tmp_path / "clip.json").symlink_to(tmp_path / "data.json")
    assert list(locate(tmp_path / "clip.json").frames) == [0]


@pytest.mark.parametrize("name", ["clip.json", "dataset.json", "clip.txt", "clip"])
def test_too_many_rows_are_rejected(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_DETECTIONS", 3)
    path = tmp_path / name
    for num_rows, is_accepted in ((3, True), (4, False)):
        if name == "clip.json":
            write_json(path, [entry()] * num_rows)
        elif name == "dataset.json":
            write_json(path, {"annotations": [entry()] * num_rows})
        elif name == "clip.txt":
            write_text(path, *[MOT_LINE] * num_rows)
        else:
            write_text(path / "1.txt", *["0 0.5 0.5 0.5 0.5"] * num_rows)
        if is_accepted:
            assert len(locate(path).frames[0].scores) == num_rows
        else:
            assert "more than 3 rows" in error_of(path)


def test_too_many_lines_are_rejected_before_they_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_DETECTIONS", 3)
    assert "more than 3 rows" in error_of(write_text(tmp_path / "clip.txt", *["invalid"] * 4))
    for number in (1, 2):
        write_text(tmp_path / f"clip/{number}.txt", *["invalid"] * 2)
    assert "more than 3 rows" in error_of(tmp_path / "clip")


def test_lines_of_old_macs_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_DETECTIONS", 3)
    (tmp_path / "clip.txt").write_bytes(f"{MOT_LINE}\r".encode() * 4)
    assert "more than 3 rows" in error_of(tmp_path / "clip.txt")


@pytest.mark.parametrize("name", ["clip.json", "clip.txt", "clip"])
def test_an_error_of_the_disk_is_reported(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read of a damaged disk fails, also the first one, which counts lines or entries."""
    path = write_text(tmp_path / name / "1.txt" if name == "clip" else tmp_path / name, "[]")

    class Damaged(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def read1(self, size: int | None = -1) -> bytes:
            return self.read(size)

    for module in (detection_file, coco, text):
        monkeypatch.setattr(module, "open_limited", lambda _path, *, limit: Damaged())
    assert f"cannot read {path}: {os.strerror(errno.EIO)}. Copy the file to another disk" in error_of(tmp_path / name)
    monkeypatch.setattr(detection_file, "require_few_entries", lambda *_: None)
    for module in (mot, yolo):
        monkeypatch.setattr(module, "require_few_lines", lambda *_: None)
    assert "Copy the file to another disk" in error_of(tmp_path / name)
    monkeypatch.setattr(detection_file, "_first_character", lambda _path: "[")
    assert "Copy the file to another disk" in error_of(tmp_path / name)


def test_the_limit_of_rows_fits_real_videos() -> None:
    assert 100 * 30 * 600 < limits.MAX_DETECTIONS < 10_000_000


def test_results_do_not_share_memory(tmp_path: Path) -> None:
    file = read_detection_file(write_json(tmp_path / "clip.json", [entry(bbox=[-4, -4, 10, 10])]))
    options = {"width": WIDTH, "height": HEIGHT, "num_frames": NUM_FRAMES, "frame_names": None}
    first = file.locate(**options).frames[0].boxes  # type: ignore[arg-type]
    first += 1
    assert np.array_equal(file.locate(**options).frames[0].boxes, [[0, 0, 6, 6]])  # type: ignore[arg-type]
