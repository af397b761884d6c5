"""Datasets of `vis export` come back with equal masks, and damaged ones are rejected in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records.exports.factory import (
    HARD_NAMES,
    SIZE,
    disk,
    hard_names,
    iou,
    ring,
    two_instances,
    two_objects,
)
from tests.records.result_factory import make_instance, make_result
from vis_cli.errors import VisError
from vis_cli.records.datasets.formats import recognize_format
from vis_cli.records.datasets.image import require_masks, used_counts
from vis_cli.records.rle import decode_rle

from .factory import WRITERS, read, write_dataset

LEAST_IOU = {"yolo-seg": 0.97}  # with a hole and a separate part, which one polygon connects with a line


@pytest.mark.parametrize("name", WRITERS)
def test_masks_and_categories_are_equal(name: str, tmp_path: Path) -> None:
    path = write_dataset(name, tmp_path / "data", two_objects())

    assert recognize_format(path) == name
    dataset, notes = read(path)

    assert notes == []
    assert [(image.width, image.height) for image in dataset.images] == [SIZE[::-1]] * 4
    for frame, image in enumerate(dataset.images):
        assert image.path.is_file()
        shown = [(i, mask) for i in two_instances() if (mask := i.mask(frame)) is not None and mask.any()]
        names = ["cat" if instance.id == 1 else "giant_panda" for instance, _ in shown]
        assert [item.category for item in image.objects] == names
        ious = [iou(decode_rle(item.rle), mask) for item, (_, mask) in zip(image.objects, shown, strict=True)]  # type: ignore[arg-type]
        assert all(value == 1.0 or value >= (LEAST_IOU.get(name, 1.0) if frame == 0 else 1.0) for value in ious)
    assert used_counts(dataset) == {"giant_panda": (2, 2), "cat": (3, 3)}
    assert set(used_counts(dataset)) <= set(dataset.categories)
    require_masks(dataset, path)


def test_masks_of_cvat_are_equal(tmp_path: Path) -> None:
    path = write_dataset("cvat", tmp_path / "data", two_objects(), as_masks=True)
    dataset, _ = read(path)
    assert [len(image.objects) for image in dataset.images] == [1, 1, 2, 1]
    assert iou(decode_rle(dataset.images[0].objects[0].rle), ring()) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WRITERS)
def test_categories_with_commas_quotes_lines_and_other_scripts(name: str, tmp_path: Path) -> None:
    dataset, _ = read(write_dataset(name, tmp_path / "data", hard_names()))
    found = [item.category for item in dataset.images[0].objects]
    exact = HARD_NAMES[:-1] if name in ("cvat", "yolo-seg") else HARD_NAMES  # XML and YAML have no lone surrogates
    assert found[: len(exact)] == list(exact)
    assert len(found) == len(HARD_NAMES)


@pytest.mark.parametrize("name", WRITERS)
def test_images_without_objects(name: str, tmp_path: Path) -> None:
    dataset, _ = read(write_dataset(name, tmp_path / "data", make_result(size=SIZE, num_frames=2)))
    assert [image.objects for image in dataset.images] == [(), ()]
    assert used_counts(dataset) == {}


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_image(name: str, tmp_path: Path) -> None:
    path = write_dataset(name, tmp_path / "data", two_objects())
    image = sorted(p for p in tmp_path.rglob("*") if p.suffix in (".jpg", ".png"))[2]
    image.unlink()
    with pytest.raises(VisError, match="missing") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    path = write_dataset(name, tmp_path / "data", two_objects())
    texts = {"yolo-seg": "*_000002.txt", "labelme": "*_000002.json", "datumaro": "default.json", "cvat": "a.xml"}
    (file,) = (tmp_path / "data").rglob(texts[name])
    file.write_bytes(file.read_bytes()[:-9] + (b" x" if name == "yolo-seg" else b""))
    with pytest.raises(VisError) as caught:
        read(path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["labelme", "datumaro", "cvat"])
@pytest.mark.parametrize("stored", ["../secret.jpg", "/etc/secret.jpg"])
def test_names_cannot_leave_the_folder(name: str, stored: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if name == "cvat":
        path = folder / "a.xml"
        path.write_text(f'<annotations><image name="{stored}" width="64" height="48"/></annotations>')
    else:
        path = write_dataset(name, folder, make_result([make_instance(1, [disk(9, 9, 3)])], size=SIZE))
        (file,) = folder.rglob("*.json")
        data: dict[str, Any] = json.loads(file.read_text())
        (data if name == "labelme" else data["items"][0]["image"])["imagePath" if name == "labelme" else "path"] = (
            stored
        )
        file.write_text(json.dumps(data))
    with pytest.raises(VisError, match="unsafe name"):
        read(path)
