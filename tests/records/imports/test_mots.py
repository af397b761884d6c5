"""MOTS text files that come back, and damaged ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.records.exports.factory import SIZE, Messages, disk
from tests.records.result_factory import make_instance, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.mots import write_mots
from vis_cli.records.imports.mots import read_mots
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category

CATEGORIES = (Category(1, "car"), Category(2, "person"))
RESULT = make_result(
    [
        make_instance(1, [disk(10, 10, 5), None], category_id=2),
        make_instance(2, [disk(40, 20, 8), disk(41, 20, 8)], category_id=1),
    ],
    size=SIZE,
    num_frames=2,
    categories=CATEGORIES,
)
COUNTS = encode_mask(disk(10, 10, 5))["counts"]
LINE = f"0 1001 1 48 64 {COUNTS}"


@pytest.mark.parametrize("names", [None, ("00003.jpg", "00008.jpg")])
def test_an_export_comes_back_exactly(names: tuple[str, ...] | None, tmp_path: Path) -> None:
    result = dataclasses.replace(RESULT, video=dataclasses.replace(RESULT.video, frame_names=names))
    write_mots([result], None, tmp_path, selection=Selection())
    car, pedestrian = read_mots(tmp_path / "clip.txt", result.video, Messages())
    assert (car.id, car.category, pedestrian.id, pedestrian.category) == (1001, "car", 2001, "pedestrian")
    assert dict(pedestrian.masks) == {0: encode_mask(disk(10, 10, 5))}
    assert dict(car.masks) == {0: encode_mask(disk(40, 20, 8)), 1: encode_mask(disk(41, 20, 8))}


def test_ignored_regions_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"0 10000 10 48 64 {COUNTS}\n\n{LINE}\n")
    messages = Messages()
    assert [item.id for item in read_mots(tmp_path / "a.txt", RESULT.video, messages)] == [1001]
    assert messages.warnings == [f"{tmp_path / 'a.txt'}: omitted 1 ignored region"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 1001 1 48 64", "line 1: the line is '0 1001 1 48 64'. Use lines such as"),
        ("x 1001 1 48 64 y", "line 1: the line is 'x 1001 1 48 64 y'"),
        (f"0 3001 3 48 64 {COUNTS}", "object 3001 has the class 3. Use 1 (car) or 2 (pedestrian)."),
        (f"{LINE}\n1 1001 2 48 64 {COUNTS}", "line 2: object 1001 has the class 2"),
        (f"2 1001 1 48 64 {COUNTS}", "the video has no frame with the number 2"),
        (f"0 1001 1 64 48 {COUNTS}", "the size of the mask is [64, 48], the size of the video is [48, 64]"),
        ("0 1001 1 48 64 x", "the RLE counts of the mask do not fill 64x48 pixels"),
        (f"{LINE}\n{LINE}", "line 2: object 1001 has two masks in this frame"),
    ],
)
def test_damaged_files(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(VisError) as caught:
        read_mots(tmp_path / "a.txt", RESULT.video, Messages())
    assert said in str(caught.value)
