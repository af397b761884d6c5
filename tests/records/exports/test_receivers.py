"""Exports read by their receivers: Datumaro, supervision, pandas and pyarrow. `make test-exports` runs these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.coco import write_coco
from vis_cli.records.exports.cvat import write_cvat
from vis_cli.records.exports.datumaro import write_datumaro
from vis_cli.records.exports.mot import write_mot
from vis_cli.records.exports.tables import write_csv, write_parquet
from vis_cli.records.exports.yolo_seg import write_yolo_seg
from vis_cli.records.rle import decode_rle

from .factory import HARD_NAMES, SIZE, disk, hard_names, iou, ring, two_instances, two_objects, write

pytestmark = pytest.mark.exports
NAMES = [*HARD_NAMES[:-1], "\x01?"]


def masks_of(item: Any) -> list[np.ndarray]:
    return [annotation.image.astype(bool) for annotation in item.annotations if annotation.type.name == "mask"]


def test_pandas_reads_the_tables(tmp_path: Path) -> None:
    import pandas

    write(write_csv, tmp_path / "t.csv", two_objects(), hard_names_of("other"))
    frames, instances = pandas.read_csv(tmp_path / "t.csv"), pandas.read_csv(tmp_path / "t_instances.csv")
    assert list(frames.columns[:4]) == ["video", "frame", "time", "instance"]
    assert str(frames["frame"].dtype) == str(frames["visible"].dtype) == "int64"
    assert frames["area"].isna().sum() == 3
    assert list(instances["category"][2:]) == [f"'{name}" if name.startswith("=") else name for name in NAMES]


def test_pyarrow_reads_the_same_tables(tmp_path: Path) -> None:
    import pandas

    result = hard_names_of("other")
    write(write_csv, tmp_path / "t.csv", two_objects(), result)
    write(write_parquet, tmp_path / "t.parquet", two_objects(), result)
    for name in ("t", "t_instances"):
        table, text = pandas.read_parquet(tmp_path / f"{name}.parquet"), pandas.read_csv(tmp_path / f"{name}.csv")
        assert list(table.columns) == list(text.columns)
        numbers = [column for column in text.columns if column not in ("video", "category")]
        np.testing.assert_allclose(table[numbers].astype(float), text[numbers].astype(float))
    assert list(table["category"][2:]) == NAMES
    assert str(table["confident"].dtype) == "bool"


def hard_names_of(name: str) -> Any:
    import dataclasses

    result = hard_names()
    return dataclasses.replace(result, video=dataclasses.replace(result.video, name=name))


def test_datumaro_reads_its_format(tmp_path: Path) -> None:
    from datumaro.components.dataset import Dataset

    write(write_datumaro, tmp_path / "out", two_objects(), images=True)
    data = Dataset.import_from(str(tmp_path / "out"), "datumaro")
    items = sorted(data, key=lambda item: item.id)
    assert [item.id for item in items] == [f"clip_00000{frame}" for frame in range(4)]
    assert [len(item.annotations) for item in items] == [1, 1, 2, 1]
    np.testing.assert_array_equal(masks_of(items[0])[0], ring())
    expected = [decode_rle(item.segmentations[2]) for item in two_instances()]
    assert [iou(a, b) for a, b in zip(masks_of(items[2]), expected, strict=True)] == [1.0, 1.0]
    assert [annotation.attributes["track_id"] for annotation in items[2].annotations] == [1, 4]
    names = data.categories()[next(iter(data.categories()))]
    assert [names[annotation.label].name for annotation in items[2].annotations] == ["cat", "giant_panda"]
    assert items[1].media.data.shape == (*SIZE, 3)


def test_datumaro_reads_coco(tmp_path: Path) -> None:
    from datumaro.components.dataset import Dataset

    write(write_coco, tmp_path / "coco", two_objects(), choice=Choice(every=2), images=True)
    data = Dataset.import_from(str(tmp_path / "coco"), "coco_instances")
    items = sorted(data, key=lambda item: item.id)
    assert [item.id for item in items] == ["clip_000000", "clip_000002"]
    np.testing.assert_array_equal(masks_of(items[0])[0], ring())
    assert items[1].media.data.shape == (*SIZE, 3)


def test_datumaro_reads_cvat(tmp_path: Path) -> None:
    from datumaro.plugins.data_formats.cvat.base import CvatBase

    write(write_cvat, tmp_path / "annotations.xml", two_objects())
    items = sorted(CvatBase(str(tmp_path / "annotations.xml")), key=lambda item: item.id)
    shown = [[a for a in item.annotations if not a.attributes["outside"]] for item in items]
    assert [[a.attributes["track_id"] for a in found] for found in shown] == [[0], [1], [0, 1], [0]]
    assert all(a.attributes["keyframe"] for found in shown for a in found)


def test_datumaro_reads_mot(tmp_path: Path) -> None:
    from datumaro.plugins.data_formats.mot import MotSeqBase

    write(write_mot, tmp_path / "gt" / "gt.txt", two_objects())
    boxes = [annotation for item in MotSeqBase(str(tmp_path / "gt" / "gt.txt")) for annotation in item.annotations]
    assert sorted(box.attributes["track_id"] for box in boxes) == [1, 1, 1, 4, 4]
    assert [46, 26, 11, 11] in [box.get_bbox() for box in boxes]  # Datumaro does not subtract 1


def test_supervision_reads_coco_and_yolo(tmp_path: Path) -> None:
    import supervision

    write(write_coco, tmp_path / "coco", two_objects(), images=True)
    coco = supervision.DetectionDataset.from_coco(
        str(tmp_path / "coco/images"), str(tmp_path / "coco/annotations/instances_default.json"), force_masks=True
    )
    found = {Path(name).stem: detections for name, _, detections in coco}
    np.testing.assert_array_equal(found["clip_000000"].mask[0], ring())
    assert len(found["clip_000002"]) == 2

    write(write_yolo_seg, tmp_path / "yolo", two_objects(), images=True)
    yolo = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "yolo/images/train"),
        str(tmp_path / "yolo/labels/train"),
        str(tmp_path / "yolo/data.yaml"),
        force_masks=True,
    )
    assert yolo.classes == ["giant_panda", "cat"]
    found = {Path(name).stem: detections for name, _, detections in yolo}
    assert iou(found["clip_000002"].mask[0], disk(20, 20, 10)) > 0.9
    assert sorted(found["clip_000002"].class_id.tolist()) == [0, 1]


def test_yaml_reads_hard_names(tmp_path: Path) -> None:
    import yaml

    write(write_yolo_seg, tmp_path, hard_names())
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert list(data["names"].values()) == [*HARD_NAMES[:-1], "\x01\ufffd"]
    assert data["train"] == data["val"] == "images/train"
