"""COCO results and COCO datasets as detection files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.detection_factory import (
    CORNERS,
    HEIGHT,
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

CATEGORIES = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]


def image(id_: object, file_name: str, **fields: object) -> dict[str, object]:
    return {"id": id_, "file_name": file_name, **fields}


def test_coco_names_are_assumed_for_ids_of_coco(tmp_path: Path) -> None:
    heard = Heard()
    found = locate(write_json(tmp_path / "clip.json", [entry(category_id=90), entry(category_id=1)]), heard=heard)
    assert names_by_frame(found) == {0: ["toothbrush", "person"]}
    assert len(found.categories) == 80
    assert "The ids 1 = person, 90 = toothbrush are ids of COCO, so COCO's names are used" in heard.notes[0]
    locate(write_json(tmp_path / "clip.json", [entry(category_id=16)]), heard=(one := Heard()))
    assert "The id 16 = bird is an id of COCO, so COCO's names are used" in one.notes[0]
    ids = range(1, 12)
    locate(write_json(tmp_path / "clip.json", [entry(category_id=number) for number in ids]), heard=(many := Heard()))
    assert "10 = traffic light, … (11 in total) are ids of COCO" in many.notes[0]


def test_other_ids_need_names(tmp_path: Path) -> None:
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(category_id=12)]))
    assert "entry 1: the category 12 has no name. Pass a COCO file with 'categories' as --detection-names" in line
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(category_id=0)]))
    assert "entry 1: the category 0 has no name. Are the ids class numbers from 0? Use the ids of COCO, or" in line
    assert line.endswith("as --detection-names.")


def test_the_companion_names_images_and_categories(tmp_path: Path) -> None:
    images = [image(70, "frames/00010.jpg", width=WIDTH, height=HEIGHT), image(71, "frames\\00012.PNG")]
    companion = write_json(tmp_path / "images.json", {"images": images, "categories": CATEGORIES})
    path = write_json(tmp_path / "clip.json", [entry(71), entry(70, category_id=0)])
    names = ("00010.jpg", "00011.jpg", "00012.jpg")
    found = locate(path, images=companion, frame_names=names, num_frames=3)
    assert names_by_frame(found) == {0: ["cat"], 2: ["dog"]}
    assert [category.id for category in found.categories] == [0, 1]


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ([image(0, "a.jpg"), image(0, "b.jpg")], "the image id 0 is used twice"),
        ([image(1, "1.jpg")], "there is no image with the id 0"),
        ([image(0, "x/1.jpg"), image(2, "y/1.jpg")], "the images 0 and 2 have the same name '1'"),
        ([image(0, ""), image(2, "b.jpg")], "the image name is ''"),
        ([{"id": 0}], "'file_name' is missing"),
        ([image(0, "1.jpg", width=128, height=96), image(2, "2.jpg")], "the image is 128x96, but the video is 64x48"),
        ([image(0, "1.jpg", width=0, height=96), image(2, "2.jpg")], "the size is 0x96"),
    ],
)
def test_an_invalid_companion_is_rejected(tmp_path: Path, images: list[object], problem: str) -> None:
    companion = write_json(tmp_path / "clip.json.images.json", {"images": images})
    path = write_json(tmp_path / "clip.json", [entry(0), entry(2)])
    assert problem in error_of(path, images=companion)


def test_an_unknown_category_is_rejected(tmp_path: Path) -> None:
    companion = write_json(tmp_path / "names.json", {"categories": CATEGORIES})
    path = write_json(tmp_path / "clip.json", [entry(), entry(category_id=2)])
    assert "entry 1: the category 2 is unknown. Use a known id: 0, 1" in error_of(path, images=companion)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\u202e"])
def test_a_category_needs_a_printable_name(tmp_path: Path, name: str) -> None:
    companion = write_json(tmp_path / "names.json", {"categories": [{"id": 1, "name": name}]})
    path = write_json(tmp_path / "clip.json", [entry()])
    assert "of category 1 is empty or not printable" in error_of(path, images=companion)


@pytest.mark.parametrize("content", [{}, {"info": 1}])
def test_a_companion_without_content_is_rejected(tmp_path: Path, content: object) -> None:
    companion = write_json(tmp_path / "clip.json.names.json", content)
    assert "neither images nor categories" in error_of(write_json(tmp_path / "clip.json", [entry()]), images=companion)
    yaml = tmp_path / "clip.json.yaml"
    assert "a YAML file has no ids of categories" in error_of(tmp_path / "clip.json", images=yaml)


@pytest.mark.parametrize("name", ["clip.json.txt", "clip.json.toml"])
def test_a_list_of_names_is_not_a_companion(tmp_path: Path, name: str) -> None:
    path = write_json(tmp_path / "clip.json", [entry()])
    names = write_text(tmp_path / name, "cat", "dog")
    assert "Use a COCO JSON file, or data.yaml for YOLO text files" in error_of(path, images=names)
    write_json(names, {"categories": CATEGORIES})
    assert names_by_frame(locate(path, images=names)) == {0: ["dog"]}


def test_a_dataset_is_read(tmp_path: Path) -> None:
    annotations = [
        entry(70, category_id=0),
        {"image_id": 71, "category_id": 1, "bbox": [0, 0, 4, 4]},
        entry(71, iscrowd=1),
    ]
    data = {"images": [image(70, "1.jpg"), image(71, "2.jpg")], "annotations": annotations, "categories": CATEGORIES}
    heard = Heard()
    found = locate(write_json(tmp_path / "clip.json", data), num_frames=2, heard=heard)
    assert names_by_frame(found) == {0: ["cat"], 1: ["dog"]}
    assert found.frames[1].scores.tolist() == [1]
    assert any("1 annotation of crowds left out" in note for note in heard.notes)
    assert any("1 annotation without a score, so the score is 1" in note for note in heard.notes)


def test_a_companion_replaces_the_names_in_a_dataset(tmp_path: Path) -> None:
    data = {"annotations": [entry(5)], "images": [image(5, "5.jpg")], "categories": CATEGORIES}
    companion = {"images": [image(5, "2.jpg")], "categories": [{"id": 1, "name": "fox"}]}
    path, images = write_json(tmp_path / "clip.json", data), write_json(tmp_path / "images.json", companion)
    assert names_by_frame(locate(path, images=images, first=0)) == {2: ["fox"]}


def test_masks_can_be_rle_and_polygons(tmp_path: Path) -> None:
    x1, y1, x2, y2 = CORNERS
    runs = [y1 + x1 * HEIGHT, *([y2 - y1, HEIGHT - y2 + y1] * (x2 - x1 - 1)), y2 - y1]
    runs.append(WIDTH * HEIGHT - sum(runs))
    masks = [
        mask_of(),
        {"size": [HEIGHT, WIDTH], "counts": runs},
        [[x1, y1, x2, y1, x2, y2, x1, y2]],
    ]
    found = locate(write_json(tmp_path / "clip.json", [entry(segmentation=mask, bbox=[]) for mask in masks]))
    assert [area(mask) for mask in found.frames[0].masks] == [16 * 12] * 3
    assert found.frames[0].boxes.tolist() == [CORNERS] * 3


@pytest.mark.parametrize("mask", [None, []])
def test_without_a_mask_the_box_counts(tmp_path: Path, mask: object) -> None:
    found = locate(write_json(tmp_path / "clip.json", [entry(segmentation=mask)]))
    assert found.frames[0].masks == (None,)
    assert boxes_by_frame(found) == {0: [CORNERS]}


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (mask_of(size=(24, 64)), "the size of the mask is [24, 64], the size of the video is [48, 64]"),
        ({"size": [HEIGHT, WIDTH], "counts": [1, 2]}, "do not fill 64x48 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": "\u00e9"}, "do not fill 64x48 pixels"),
        ([[0, 0, 1, 1]], "a polygon is [0, 0, 1, 1]"),
        ([[0, 0, 1, 1, 2, "a"]], "a polygon is"),
        ([3], "a polygon is 3"),
        ({"counts": 1}, "the mask is {'counts': 1}"),
        ("abc", "the mask is 'abc'"),
        (0, "the mask is 0"),
    ],
)
def test_an_invalid_mask_is_rejected(tmp_path: Path, mask: object, problem: str) -> None:
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(segmentation=mask)]))
    assert "entry 1" in line
    assert problem in line


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"score": "0.5"}, "'score' is a string"),
        ({"score": True}, "'score' is True"),
        ({"score": None}, "'score' is null"),
        ({"bbox": [1, 2, 3]}, "'bbox' is [1, 2, 3]"),
        ({"bbox": [1, 2, 3, None]}, "'bbox' is [1, 2, 3, None]"),
        ({"bbox": [1, 2, 3, 10**30]}, "'bbox' is [1, 2, 3, 1000"),
        ({"bbox": {"x": 1}}, "'bbox' is {'x': 1}"),
        ({"bbox": None}, "'bbox' is None"),
        ({"category_id": "dog"}, "'category_id' is a string"),
        ({"category_id": 10**30}, "'category_id' is 1000"),
        ({"image_id": -1}, "'image_id' is -1"),
        ({"image_id": 1.5}, "'image_id' is 1.5"),
        ({"image_id": 10**30}, "'image_id' is"),
        ({"image_id": None}, "'image_id' is null"),
        ({"image_id": True}, "'image_id' is True"),
        ({"image_id": ""}, "'image_id' is ''"),
        ({"image_id": [1]}, "'image_id' is a list"),
        ({"image_id": "/"}, "the image name is '/'"),
    ],
)
def test_an_invalid_field_is_rejected(tmp_path: Path, fields: dict[str, object], problem: str) -> None:
    line = error_of(write_json(tmp_path / "clip.json", [entry(), entry(**fields)]))
    assert "entry 1" in line
    assert problem in line


@pytest.mark.parametrize("field", ["image_id", "category_id", "bbox", "score"])
def test_a_missing_field_is_rejected(tmp_path: Path, field: str) -> None:
    damaged = {key: value for key, value in entry().items() if key != field}
    line = error_of(write_json(tmp_path / "clip.json", [entry(), damaged]))
    assert "entry 1" in line
    assert f"'{field}' is missing" in line


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
@pytest.mark.parametrize("text", ['"score": {}, "bbox": [8, 6, 16, 12]', '"score": 0.5, "bbox": [8, 6, {}, 12]'])
def test_numbers_that_are_not_finite_are_rejected(tmp_path: Path, text: str, number: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(f'[{{"image_id": 0, "category_id": 1, {text.format(number)}}}]')
    error_of(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"image_id": 0, "score": 0.5, "score": 0.9, "category_id": 1, "bbox": [8, 6, 16, 12]}]', "'score' twice"),
        ("[[1, 2]]", "the entry is a list"),
        ("[null]", "the entry is null"),
        ('[{"video_id": 1, "category_id": 1, "score": 1, "segmentations": []}]', "a result of YouTube-VIS"),
        ("[" * 100_000, "nested too deeply"),
        ("[] x", "text after the end"),
        ('[{"image_id": 0, "category_id": 1, "bbox": [8, 6, 16, 12], "score": 1},]', "not a JSON file, or damaged"),
    ],
)
def test_a_damaged_list_is_rejected(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(text)
    assert problem in error_of(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_of_json_are_read(tmp_path: Path, encoding: str) -> None:
    path = write_json(tmp_path / "clip.json", [entry(2)])
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode(encoding))
    assert list(locate(path).frames) == [2]


def test_a_frame_number_can_be_a_float(tmp_path: Path) -> None:
    assert list(locate(write_json(tmp_path / "clip.json", [entry(2.0)])).frames) == [2]


def test_a_dataset_with_an_invalid_annotation_is_rejected(tmp_path: Path) -> None:
    path = write_json(tmp_path / "clip.json", {"annotations": [entry(), 3]})
    assert "annotations[1]: the entry is 3" in error_of(path)
    path = write_json(tmp_path / "clip.json", {"annotations": []})
    assert "there are no detections" in error_of(path)
