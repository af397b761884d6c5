"""Methods of `VideoResult`: frames, masks, boxes, files, tables and detections."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.records.exports.factory import two_objects, write
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.tables import write_csv
from vis_cli.records.part import PartRequest, VideoPart
from vis_cli.records.types import VideoInfo, VideoResult

EMPTY = ["......", "......", "......", "......"]


def small_result(**changes: object) -> VideoResult:
    """Return an object with a gap, and an object without a category from frame 1 on, with an empty mask at the end."""
    box, square = (
        make_mask(["......", "###...", "###...", "......"]),
        make_mask(["......", "..##..", "..##..", "......"]),
    )
    corner, nothing = make_mask(["......", "......", "......", ".....#"]), make_mask(EMPTY)
    instances = [
        make_instance(1, [box, None, square, square], score=0.75),
        make_instance(4, [None, corner, corner, nothing], score=0.5, category_id=None),
    ]
    result = make_result(instances, num_frames=4)
    return dataclasses.replace(result, video=dataclasses.replace(result.video, fps=2.0, **changes))  # type: ignore[arg-type]


def test_areas_and_boxes_are_zero_without_the_object() -> None:
    first, second = small_result().instances
    assert first.areas.tolist() == [6, 0, 4, 4]
    assert first.boxes.tolist() == [[0, 1, 3, 3], [0, 0, 0, 0], [2, 1, 4, 3], [2, 1, 4, 3]]
    assert second.areas.tolist() == [0, 1, 1, 0]
    assert second.boxes.tolist() == [[0, 0, 0, 0], [5, 3, 6, 4], [5, 3, 6, 4], [0, 0, 0, 0]]
    absent = make_instance(1, [None, None])
    assert absent.areas.tolist() == [0, 0]
    assert absent.boxes.tolist() == [[0, 0, 0, 0]] * 2
    assert absent.boxes.dtype == first.boxes.dtype == first.areas.dtype == np.int64


def test_frames_list_the_visible_instances() -> None:
    frames = list(small_result().frames())
    assert [(frame.index, frame.number, frame.time) for frame in frames] == [
        *((0, 0, 0.0), (1, 1, 0.5), (2, 2, 1.0), (3, 3, 1.5))
    ]
    assert [[instance.id for instance in frame.instances] for frame in frames] == [[1], [4], [1, 4], [1]]


def test_frames_of_a_part_have_the_numbers_and_times_of_the_complete_video() -> None:
    part = VideoPart(10, 17, PartRequest(every=2), ends_with_video=False)
    frames = list(small_result(part=part).frames())
    assert [(frame.index, frame.number, frame.time) for frame in frames[:2]] == [(0, 10, 5.0), (1, 12, 6.0)]
    timed = list(small_result(part=part, timestamps=(5.25, 6.0, 7.5, 8.0)).frames())
    assert [frame.time for frame in timed] == [5.25, 6.0, 7.5, 8.0]


def test_without_a_frame_rate_the_time_is_unknown() -> None:
    video = VideoInfo("clip", Path("clip"), 6, 4, 0.0, 2)
    assert [video.time(0), video.time(1)] == [None, None]


def test_masks_have_one_row_per_instance() -> None:
    result = small_result()
    masks = result.masks(2)
    assert (masks.shape, masks.dtype) == ((2, 4, 6), np.bool_)
    np.testing.assert_array_equal(masks[1], result.instances[1].mask(2))
    assert result.masks(1).sum(axis=(1, 2)).tolist() == [0, 1]
    np.testing.assert_array_equal(result.masks(-2), masks)
    assert make_result(num_frames=1).masks(0).shape == (0, 4, 6)


@pytest.mark.parametrize("frame", [4, -5])
def test_a_frame_that_does_not_exist(frame: int) -> None:
    for result in (small_result(), make_result(num_frames=4)):
        with pytest.raises(IndexError, match=f"frame {frame} of 4"):
            result.masks(frame)


def test_load_reads_what_save_writes(tmp_path: Path) -> None:
    result = small_result()
    result.save(tmp_path / "clip.json")
    assert VideoResult.load(str(tmp_path / "clip.json")) == result
    with pytest.raises(VisError, match="missing"):
        VideoResult.load(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("method", "package", "remedy"),
    [
        (lambda: small_result().to_pandas(), "pandas", r"pip install 'vis-cli\[pandas\]'"),
        (lambda: small_result().detections(0), "supervision", "pip install supervision"),
    ],
    ids=["pandas", "supervision"],
)
def test_a_missing_package_is_one_clear_error(
    method: object, package: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(VisError, match=f"the package {package} is missing. Install it with `{remedy}`"):
        method()  # type: ignore[operator]


def test_the_table_is_the_one_of_the_csv_export(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    write(write_csv, tmp_path / "t.csv", two_objects())
    expected = pandas.read_csv(tmp_path / "t.csv").astype({"visible": "bool", **dict.fromkeys(("x", "y"), "float64")})
    pandas.testing.assert_frame_equal(two_objects().to_pandas(), expected)


def test_the_table_of_no_instances_has_the_same_columns_and_types() -> None:
    pytest.importorskip("pandas")
    table, empty = small_result().to_pandas(), make_result(num_frames=2).to_pandas()
    assert len(table) == 8
    assert len(empty) == 0
    numbers = [name for name in table.columns if name not in ("video", "category")]
    assert (table.dtypes[numbers] == empty.dtypes[numbers]).all()
    assert list(table.columns) == list(empty.columns)
    assert table["category"].isna().tolist() == [False] * 4 + [True] * 4


def test_detections_are_the_visible_instances() -> None:
    supervision = pytest.importorskip("supervision")
    result = small_result()
    found = result.detections(2)
    assert isinstance(found, supervision.Detections)
    assert found.xyxy.tolist() == [[2, 1, 4, 3], [5, 3, 6, 4]]
    np.testing.assert_array_equal(found.mask, result.masks(2))
    assert found.confidence.tolist() == [0.75, 0.5]
    assert found.class_id.tolist() == [7, -1]
    assert found.tracker_id.tolist() == [1, 4]
    assert found.data["class_name"].tolist() == ["cat", "object"]
    assert found.area.tolist() == [4, 1]
    assert result.detections(3).tracker_id.tolist() == [1]  # an empty mask is not visible
    with pytest.raises(IndexError):
        result.detections(4)


def test_detections_of_a_frame_without_instances() -> None:
    pytest.importorskip("supervision")
    for result in (make_result(num_frames=1), make_result([make_instance(1, [None])], num_frames=1)):
        found = result.detections(0)
        assert len(found) == 0
        assert (found.xyxy.shape, found.mask.shape) == ((0, 4), (0, 4, 6))
        assert len(found.data["class_name"]) == 0
