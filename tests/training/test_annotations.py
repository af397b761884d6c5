"""Tests of reading annotation files and pictures: one clear line for everything that is damaged."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.records.davis_factory import write_davis
from vis_cli.errors import VisError
from vis_cli.records.youtube_vis import read_youtube_vis, require_distinct_names
from vis_cli.training.annotations import (
    read_annotated_images,
    read_boxes,
    read_davis_clips,
    read_training_image,
    read_video_clips,
)

from .boxes import RED, Box, Stored, write_boxes, write_stills, write_video

CAT = Box("cat", (20, 20, 60, 60), RED)


def test_stills_are_read_with_their_source_and_objects(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT], []], source="cats")

    first, second = read_annotated_images(stored.annotations, stored.images)

    assert (first.path, first.width, first.height, first.source) == (tmp_path / "1.png", 128, 96, "cats")
    assert [(item.category, item.area, item.box) for item in first.objects] == [("cat", 1600, (20, 20, 40, 40))]
    assert second.objects == ()


def test_a_picture_is_read_as_rgb(tmp_path: Path) -> None:
    write_stills(tmp_path, [[CAT]])

    assert read_training_image(tmp_path / "1.png", 128, 96)[40, 40].tolist() == list(RED)


def change_annotation(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["annotations"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_annotation(segmentation=None), r"stills.json: annotations\[0\]: no mask. Add a .segmentation."),
        (change_annotation(segmentation=[]), r"annotations\[0\]: no mask"),
        (change_annotation(segmentation=7), r"annotations\[0\]: the mask is 7\. Use null, polygons"),
        (change_annotation(segmentation={"size": [5, 5], "counts": "0"}), r"annotations\[0\]: the size of the mask"),
        (change_annotation(category_id=99), r"annotations\[0\]: category_id 99 is not among"),
        (change_annotation(image_id=99), r"annotations\[0\]: image_id 99 is not among"),
        (change_annotation(iscrowd="0"), r"annotations\[0\]: 'iscrowd' is '0'\. Use 0 or 1"),
        (change_annotation(segmentation=[[1, 2, 3]]), r"annotations\[0\]: a polygon is .*\. Use a list"),
        (
            change_annotation(segmentation={"size": [96, 128], "counts": [5, 5]}),
            r"annotations\[0\]: the RLE counts of the mask do not fill 128x96 pixels",
        ),
        (
            change_annotation(segmentation={"size": [128, 96], "counts": [128 * 96]}),
            r"annotations\[0\]: the size of the mask is \[128, 96\], the size of the video is \[96, 128\]",
        ),
        (lambda data: data["images"][0].update(height=0), r"images\[0\]: the size is 128x0\. Use a positive"),
        (lambda data: data["images"].clear(), "'images' is empty. Add at least one image"),
        (lambda data: data["images"].append(data["images"][0]), r"images: .*1 is used"),
        (lambda data: data.pop("images"), "'images' is missing"),
        (lambda data: data["images"][0].pop("width"), r"images\[0\]: 'width' is missing"),
        (lambda data: data["images"][0].update(file_name="no.png"), r"images\[0\]: .*no.png is missing"),
    ],
)
def test_damaged_annotations_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    stored = write_stills(tmp_path, [[CAT]]).edit(change)

    with pytest.raises(VisError, match=message):
        read_annotated_images(stored.annotations, stored.images)


def test_an_annotation_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*absent\.json: No such file"):
        read_annotated_images(tmp_path / "absent.json", tmp_path)
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(VisError, match=r"text\.json: not a JSON"):
        read_annotated_images(tmp_path / "text.json", tmp_path)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[20, 20, 60, 20, 60, 60, 20, 60]],
        [[20, 20, 60, 20, 60, 40, 20, 40], [20, 40, 60, 40, 60, 60, 20, 60]],
        {"size": [96, 128], "counts": [20 * 96 + 20, *[40, 56] * 39, 40, 20 + 16 + 67 * 96 + 96]},
    ],
)
def test_polygons_and_lists_of_counts_are_read(tmp_path: Path, segmentation: object) -> None:
    stored = write_stills(tmp_path, [[CAT]]).edit(change_annotation(segmentation=segmentation))

    ((item,),) = (still.objects for still in read_annotated_images(stored.annotations, stored.images))

    assert (item.area, item.box) == (1600, (20, 20, 40, 40))


def test_ids_may_have_gaps_and_a_crowd_need_not_be_marked(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["images"][1]["id"] = 900
        data["categories"][0]["id"] = 77
        data["annotations"][0].update(image_id=900, category_id=77)
        del data["annotations"][0]["iscrowd"]

    stored = write_stills(tmp_path, [[CAT], []]).edit(change)

    first, second = read_annotated_images(stored.annotations, stored.images)

    assert first.objects == ()
    assert [(item.category, item.is_crowd) for item in second.objects] == [("cat", False)]


def test_a_png_whose_chunk_is_longer_than_the_file_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((96, 128, 3), np.uint8))
    data = bytearray((tmp_path / "1.png").read_bytes())
    place = data.index(b"IDAT")
    data[place - 4 : place] = b"\xff\xff\xff\xff"
    (tmp_path / "1.png").write_bytes(data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VisError, match=r"1\.png: not a complete image"):
        read_training_image(tmp_path / "1.png", 128, 96)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < peak + 2**19  # KiB


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    _, data = cv2.imencode(f".{suffix}", noise)
    path.write_bytes(data.tobytes())
    assert read_training_image(path, 128, 96).shape == (96, 128, 3)
    path.write_bytes(data.tobytes()[: len(data) // 2])

    with pytest.raises(VisError, match=rf"cut\.{suffix}: not a complete image"):
        read_training_image(path, 128, 96)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"no picture", "not a complete image"), (None, "No such file")],
)
def test_a_picture_that_is_none_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "1.png").write_bytes(content)

    with pytest.raises(VisError, match=rf"1\.png: {message}"):
        read_training_image(tmp_path / "1.png", 128, 96)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((50, 60, 3), np.uint8))

    with pytest.raises(VisError, match="the image has 60x50 pixels, but 128x96 in its annotations"):
        read_training_image(tmp_path / "1.png", 128, 96)


def stored_images(stored: Stored) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = json.loads(stored.annotations.read_text())["images"]
    return images


def test_boxes_are_read_with_and_without_masks(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        teacher = {"image_id": 1, "category_id": 10, "bbox": [100, -4.5, 60, 20.5], "score": 0.7}
        data["annotations"].append(teacher)

    stored = write_stills(tmp_path, [[CAT], []]).edit(change)

    first, second = read_boxes(stored.annotations, stored.images)

    known, found = first.objects
    assert (known.rle is not None, known.box, known.score) == (True, (20, 20, 40, 40), 1.0)
    assert (found.rle, found.box, found.score, found.area) == (None, (100, 0, 28, 16), 0.7, 448)  # cut at the edges
    assert second.objects == ()


def test_a_second_file_adds_boxes_by_image_id_and_category_name(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT], []])
    more = write_boxes(
        tmp_path / "more.json",
        [(2, "zebra", (1, 2, 30, 40), 0.4), (1, "cat", (0, 0, 9, 9), None)],
        stored_images(stored),
    )

    first, second = read_boxes(stored.annotations, stored.images, more=more)

    assert [(item.category, item.score) for item in first.objects] == [("cat", 1.0), ("cat", 1.0)]
    assert [(item.category, item.box, item.score) for item in second.objects] == [("zebra", (1, 2, 30, 40), 0.4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_annotation(bbox=[1, 2, 3]), r"annotations\[0\]: 'bbox' must be a list of 4 numbers"),
        (change_annotation(bbox=[1, 2, "3", 4]), r"annotations\[0\]: 'bbox' must be a list of 4 numbers"),
        (change_annotation(bbox=None), r"annotations\[0\]: 'bbox' is .*\. Use a list"),
        (change_annotation(bbox=[200, 0, 10, 10]), r"annotations\[0\]: the box .* is empty or outside of the image"),
        (change_annotation(bbox=[10, 10, 0, 5]), r"annotations\[0\]: the box .* is empty"),
        (change_annotation(bbox=[10, 10, -5, 5]), r"annotations\[0\]: the box .* is empty"),
        (change_annotation(score=1.5), r"annotations\[0\]: 'score' is 1.5"),
        (change_annotation(score="high"), r"annotations\[0\]: 'score' is .*\. Use a number"),
        (lambda data: data["annotations"][0].pop("bbox"), r"annotations\[0\]: 'bbox' is missing"),
        (change_annotation(category_id=99), r"annotations\[0\]: category_id 99 is not among"),
        (lambda data: data["images"][0].update(id=9), r"more.json: images\[0\]: image 9 is not among the images of"),
        (
            lambda data: data["images"][0].update(file_name="b.png"),
            r"images\[0\]: image 1 is 'b.png', but in .* '1.png'",
        ),
        (lambda data: data["images"][0].update(width=64), r"images\[0\]: image 1 has the size 64x96, but 128x96 in"),
        (lambda data: data.pop("images"), "'images' is missing"),
    ],
)
def test_a_damaged_second_file_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    stored = write_stills(tmp_path, [[CAT]])
    more = write_boxes(tmp_path / "more.json", [(1, "cat", (0, 0, 9, 9), 0.9)], stored_images(stored))
    Stored(more, tmp_path).edit(change)

    with pytest.raises(VisError, match=message):
        read_boxes(stored.annotations, stored.images, more=more)


def test_a_second_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT]])
    with pytest.raises(VisError, match=r"absent\.json"):
        read_boxes(stored.annotations, stored.images, more=tmp_path / "absent.json")


def test_a_video_file_without_masks_is_refused(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT]]).edit(lambda data: data.pop("annotations"))
    with pytest.raises(VisError, match=r"cannot train on .*video\.json: no annotations"):
        read_video_clips(stored.annotations, stored.images)


def test_a_missing_frame_is_refused(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT]])
    (tmp_path / "clip" / "00001.png").unlink()
    with pytest.raises(VisError, match=r"video 1: .*00001\.png is missing"):
        read_video_clips(stored.annotations, stored.images)


CVAT = {"iscrowd": 1, "attributes": {"occluded": False}}


@pytest.mark.parametrize(
    ("fields", "crowds", "expected"),
    [
        (CVAT, "auto", (False, "masks with iscrowd 1 and CVAT's attributes are read as objects")),
        (CVAT, "ignore", (True, None)),
        ({"iscrowd": 1}, "objects", (False, None)),
        ({"iscrowd": 1}, "auto", (True, "1 of 2 annotations have iscrowd 1 and are regions to ignore")),
        ({"iscrowd": 1}, "ignore", (True, None)),
        ({}, "auto", (False, None)),
    ],
)
def test_a_crowd_of_coco_and_a_brush_mask_of_cvat_are_told_apart(
    fields: dict[str, Any], crowds: str, expected: tuple[bool, str | None], tmp_path: Path
) -> None:
    stored = write_stills(tmp_path, [[CAT, CAT]]).edit(change_annotation(**fields))
    notes: list[str] = []
    (still,) = read_annotated_images(stored.annotations, stored.images, crowds=crowds, note=notes.append)
    is_crowd, note = expected
    assert [item.is_crowd for item in still.objects] == [is_crowd, False]
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


def test_crowds_alone_are_rejected_with_the_setting_that_reads_them(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT]]).edit(change_annotation(iscrowd=1))
    with pytest.raises(VisError, match=r'all 1 annotations have iscrowd 1.*crowds = "objects"'):
        read_annotated_images(stored.annotations, stored.images)


@pytest.mark.parametrize("name", ["images\\1.png", "images/1.png"])
def test_names_that_repeat_the_folder_of_images(tmp_path: Path, name: str) -> None:
    stored = write_stills(tmp_path, [[CAT]]).edit(lambda data: data["images"][0].update(file_name=name))
    (tmp_path / "images").mkdir()
    image = (tmp_path / "1.png").rename(tmp_path / "images" / "1.png")
    assert read_annotated_images(stored.annotations, tmp_path)[0].path == image
    with pytest.raises(VisError) as caught:
        read_annotated_images(stored.annotations, tmp_path / "images")
    problem = f"{tmp_path / 'images/images/1.png'} is missing: the names of the file already start with 'images'"
    remedy = f"Set images to the folder {tmp_path}."
    assert str(caught.value) == f"{stored.annotations}: images[0]: {problem}. {remedy}"


@pytest.mark.parametrize("name", ["1.png", "./1.png"])
def test_one_file_with_two_image_ids_is_rejected(tmp_path: Path, name: str) -> None:
    stored = write_stills(tmp_path, [[CAT], []]).edit(lambda data: data["images"][1].update(file_name=name))
    with pytest.raises(VisError, match=r"images\[1\]: image 2 and image 1 are the same file 1\.png\. Merge them into"):
        read_annotated_images(stored.annotations, stored.images)


def test_a_windows_path_is_read_and_an_unsafe_one_is_rejected(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT]])
    (tmp_path / "images").mkdir()
    (tmp_path / "1.png").rename(tmp_path / "images" / "1.png")
    stored.edit(lambda data: data["images"][0].update(file_name="images\\1.png"))
    assert read_annotated_images(stored.annotations, stored.images)[0].path == tmp_path / "images" / "1.png"
    stored.edit(lambda data: data["images"][0].update(file_name="..\\1.png"))
    with pytest.raises(VisError, match="the path leaves its folder"):
        read_annotated_images(stored.annotations, stored.images)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("is_stored_size", [True, False])
def test_a_rotation_of_exif_follows_the_size_of_the_annotations(
    orientation: int, is_stored_size: bool, tmp_path: Path
) -> None:
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:20, :30] = RED  # the upper left quarter
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = np.rot90(stored, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    expected = stored if is_stored_size and orientation in (6, 8) else turned
    height, width = expected.shape[:2]
    notes: list[str] = []
    found = read_training_image(tmp_path / "a.jpg", width, height, note=notes.append)
    assert ["so its EXIF rotation is not applied" in note for note in notes] == [True] * (expected is stored)
    assert np.abs(found.astype(int) - expected)[::7, ::7].mean() < 12
    with pytest.raises(VisError, match="but 61x40 in its annotations"):
        read_training_image(tmp_path / "a.jpg", 61, 40)


def test_a_picture_that_is_not_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(VisError, match="is a device"):
        read_training_image(tmp_path / "zero.png", 8, 8)
    (tmp_path / "huge.png").touch()
    os.truncate(tmp_path / "huge.png", 4 * 2**30)
    with pytest.raises(VisError, match="the limit is 512 MiB"):
        read_training_image(tmp_path / "huge.png", 8, 8)


def test_two_videos_in_folders_of_one_name_are_two_videos(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT]])
    for name in ("a", "b"):
        shutil.copytree(tmp_path / "clip", tmp_path / name / "frames")

    def change(data: dict[str, Any]) -> None:
        (video,), (item,) = data["videos"], data["annotations"]
        names = [Path(file).name for file in video["file_names"]]
        data["videos"] = [
            {**video, "id": number, "file_names": [f"{folder}/frames/{name}" for name in names]}
            for number, folder in enumerate("ab", 1)
        ]
        data["annotations"] = [{**item, "id": number, "video_id": number} for number in (1, 2)]

    stored.edit(change)
    first, second = read_video_clips(stored.annotations, stored.images)
    assert [path.parts[-3:-1] for path in (first.frames[0], second.frames[0])] == [("a", "frames"), ("b", "frames")]
    split = read_youtube_vis(stored.annotations)
    with pytest.raises(VisError, match="videos 1 and 2 have folders of the same name, 'a/frames' and 'b/frames'"):
        require_distinct_names(split)


def test_16_bits_become_8(tmp_path: Path) -> None:
    levels = np.arange(0, 2**16, 257, np.uint16)[None, :, None].repeat(3, 2)
    cv2.imwrite(str(tmp_path / "a.png"), levels)
    np.testing.assert_array_equal(read_training_image(tmp_path / "a.png", 256, 1)[0, :, 1], np.arange(256))


def test_damaged_images_are_read_without_a_message_of_a_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    data = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd3"  # a marker that libjpeg reports
    (tmp_path / "a.jpg").write_bytes(data)
    cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
    assert "Corrupt JPEG data" in capfd.readouterr().err
    assert read_training_image(tmp_path / "a.jpg", 128, 96).shape == (96, 128, 3)
    assert capfd.readouterr().err == ""


def test_masks_of_a_lossy_format_are_rejected_and_capitals_are_found(tmp_path: Path) -> None:
    root = write_davis(tmp_path, sequences={"dog": ("00000",)})
    mask = tmp_path / "Annotations_unsupervised/480p/dog/00000.png"
    mask.rename(mask.with_suffix(".PNG"))
    (clip,) = read_davis_clips(root)
    assert len(clip.objects) == 1
    circle = cv2.circle(np.zeros((96, 128), np.uint8), (64, 48), 30, 255, -1)
    lossy = cv2.imdecode(cv2.imencode(".jpg", circle, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
    Image.fromarray(lossy).save(mask.with_suffix(".PNG"))
    Image.fromarray(lossy).save(tmp_path / "JPEGImages/480p/dog/00000.jpg")
    with pytest.raises(VisError, match=r"00000\.PNG: the mask has \d+ grey values only at edges, so it .* was a JPEG"):
        read_davis_clips(root)
