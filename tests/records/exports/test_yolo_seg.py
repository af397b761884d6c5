"""Text files for Ultralytics, read by its documented rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.yolo_seg import write_yolo_seg

from .factory import SIZE, disk, fill, hard_names, iou, ring, two_objects, write


def polygons(path: Path) -> list[tuple[int, list[float]]]:
    """Read the lines of a file: the class, and the corners in pixels."""
    found = []
    for line in path.read_text().splitlines():
        label, *numbers = line.split()
        assert len(numbers) >= 6
        assert all(0 <= float(number) <= 1 for number in numbers)
        corners = np.array(numbers, dtype=np.float64).reshape(-1, 2) * SIZE[::-1]
        found.append((int(label), corners.ravel().tolist()))
    return found


def test_a_dataset_of_every_second_frame(tmp_path: Path) -> None:
    write(write_yolo_seg, tmp_path / "out", two_objects(), choice=Choice(every=2), images=True)
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == [
        "data.yaml",
        *(f"images/train/clip_00000{frame}.jpg" for frame in (0, 2)),
        *(f"labels/train/clip_00000{frame}.txt" for frame in (0, 2)),
    ]
    assert (tmp_path / "out/data.yaml").read_text() == (
        "train: images/train  # relative to the folder of this file\n"
        "val: images/train  # replace by images that are not used for training\n"
        'names:\n  0: "giant_panda"\n  1: "cat"\n'
    )
    assert [label for label, _ in polygons(tmp_path / "out/labels/train/clip_000002.txt")] == [1, 0]


def test_the_polygons_give_the_masks_again(tmp_path: Path) -> None:
    write(write_yolo_seg, tmp_path, two_objects())
    read = [[fill([points]) for _, points in polygons(path)] for path in sorted(tmp_path.rglob("*.txt"))]
    assert [len(masks) for masks in read] == [1, 1, 2, 1]
    assert iou(read[1][0], disk(50, 30, 5)) == 1.0
    assert iou(read[2][0], disk(20, 20, 10)) == 1.0
    hole_and_part = read[0][0]
    assert not (ring() & ~hole_and_part).any()
    assert iou(hole_and_part, ring()) > 0.97  # the line to the separate pixel is the loss


def test_an_image_without_objects_has_an_empty_file(tmp_path: Path) -> None:
    write(write_yolo_seg, tmp_path, make_result(size=SIZE))
    assert (tmp_path / "labels/train/clip_000000.txt").read_bytes() == b""


def test_an_object_without_a_category(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [disk(9, 9, 3)], category_id=None)], size=SIZE)
    write(write_yolo_seg, tmp_path, result)
    assert polygons(tmp_path / "labels/train/clip_000000.txt")[0][0] == 2
    assert '  2: "object"\n' in (tmp_path / "data.yaml").read_text()


def test_names_are_quoted_on_one_line(tmp_path: Path) -> None:
    write(write_yolo_seg, tmp_path, hard_names())
    lines = (tmp_path / "data.yaml").read_text().splitlines()
    assert lines[3:] == [
        '  0: "a,b"',
        '  1: "say \\"x\\""',
        '  2: "two\\nlines"',
        '  3: "=1+1"',
        '  4: "\\u043a\\u043e\\u0448\\u043a\\u0430"',
        '  5: "\\u732b <&>"',
        '  6: "\\u0001\\ufffd"',
    ]
