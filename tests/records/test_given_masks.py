"""Given masks: which frame each is for."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.records.davis import write_label_png
from vis_cli.records.given_masks import read_given_masks, require_objects


def make_masks(folder: Path, *names: str) -> Path:
    """Write a label map a name, whose only value is its position from 1."""
    for value, name in enumerate(names, start=1):
        write_label_png(np.full((4, 6), value, np.uint8), folder / name)
    return folder


def make_frames(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((4, 6, 3), np.uint8))
    return folder


def frames_and_values(masks: Path, video: Path) -> dict[int, int]:
    return {frame: int(labels[0, 0]) for frame, labels in read_given_masks(masks, video).items()}


def test_one_png_is_for_the_first_frame(tmp_path: Path) -> None:
    folder = make_masks(tmp_path, "00017.png")
    assert frames_and_values(folder / "00017.png", tmp_path / "clip.mp4") == {0: 1}


def test_pngs_are_numbered_by_frame(tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", "00000.png", "7.png", "00012.png")
    assert frames_and_values(folder, tmp_path / "clip.mp4") == {0: 1, 7: 2, 12: 3}


def test_pngs_are_named_as_the_images(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "00005.jpg", "00010.jpg", "00100.jpg")
    folder = make_masks(tmp_path / "masks", "00005.png", "00100.png")
    assert frames_and_values(folder, video) == {0: 1, 2: 2}


def test_frame_numbers_serve_a_folder_of_other_names_too(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "shot_a.jpg", "shot_b.jpg")
    assert frames_and_values(make_masks(tmp_path / "masks", "1.png"), video) == {1: 1}


def test_masks_without_an_object_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_label_png(np.array([[0, 3]], np.uint8), tmp_path / "0.png")
    write_label_png(np.array([[0, 0]], np.uint8), tmp_path / "1.png")
    write_label_png(np.array([[0, 255]], np.uint8), tmp_path / "2.png")
    assert list(read_given_masks(tmp_path, tmp_path / "clip.mp4", messages=Reporter(quiet=True))) == [0, 1, 2]
    assert f"warning: {tmp_path}: no object is given in 1.png, 2.png\n" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["0.png"], ["0.png", "1.png"]])
def test_masks_that_give_no_object_at_all_are_rejected(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_label_png(np.zeros((4, 6), np.uint8), tmp_path / "masks" / name)
    for masks in (tmp_path / "masks", tmp_path / "masks" / "0.png"):
        guidance = read_given_masks(masks, tmp_path / "clip.mp4")
        with pytest.raises(VisError) as caught:
            require_objects(guidance, masks)
        remedy = "Mark each object with an id from 1 to 254."
        assert str(caught.value) == f"no object is given in {masks}: all pixels are background. {remedy}"


def test_void_is_background_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_label_png(np.array([[0, 3, 255]], np.uint8), tmp_path / "0.png")
    assert read_given_masks(tmp_path / "0.png", tmp_path, messages=Reporter())[0].tolist() == [[0, 3, 0]]
    assert "255 means void" in capsys.readouterr().err


@pytest.mark.parametrize("palette", [False, True])
def test_black_and_white_masks_are_one_object(
    tmp_path: Path, palette: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.array([[0, 255, 255]], np.uint8)
    if palette:
        write_label_png(labels, tmp_path / "0.png")
    else:
        cv2.imwrite(str(tmp_path / "0.png"), labels)
    assert read_given_masks(tmp_path / "0.png", tmp_path, messages=Reporter())[0].tolist() == [[0, 1, 1]]
    assert "255 is the only value, so it is object 1" in capsys.readouterr().err


def test_a_mask_of_one_bit_is_one_object(tmp_path: Path) -> None:
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "0.png")
    assert read_given_masks(tmp_path / "0.png", tmp_path)[0].tolist() == [[0, 1]]


def smooth_circle(value: int) -> np.ndarray:
    large = cv2.circle(np.zeros((240, 320), np.uint8), (160, 120), 90, value, -1)
    return cv2.resize(large, (80, 60), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("value", [255, 128, 4])
def test_an_antialiased_mask_is_rejected_with_its_cause(tmp_path: Path, value: int) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), smooth_circle(value))
    with pytest.raises(VisError, match=r"0\.png: the mask has \d+ grey values only at edges, so it is antialiased"):
        read_given_masks(tmp_path / "0.png", tmp_path)


def test_a_mask_that_was_a_jpeg_is_rejected(tmp_path: Path) -> None:
    _, encoded = cv2.imencode(".jpg", (smooth_circle(255) > 127) * np.uint8(255), [cv2.IMWRITE_JPEG_QUALITY, 50])
    cv2.imwrite(str(tmp_path / "0.png"), cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))
    with pytest.raises(VisError, match=r"0\.png: .* was a JPEG"):
        read_given_masks(tmp_path / "0.png", tmp_path)


def test_label_maps_are_not_taken_for_antialiasing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(100):
        labels = np.zeros((48, 64), np.uint8)
        for value in rng.permutation(254)[: rng.integers(1, 30)] + 1:
            y, x, height, width = (int(side) for side in rng.integers(1, 40, 4))
            labels[y : y + height // 2, x : x + width] = value
        cv2.imwrite(str(tmp_path / "0.png"), labels)
        np.testing.assert_array_equal(read_given_masks(tmp_path / "0.png", tmp_path)[0], labels, str(number))


def test_the_values_of_a_palette_are_trusted(tmp_path: Path) -> None:
    write_label_png(smooth_circle(200), tmp_path / "0.png")
    assert len(np.unique(read_given_masks(tmp_path / "0.png", tmp_path)[0])) > 10


def test_masks_of_nothing_are_masks(tmp_path: Path) -> None:
    write_label_png(np.zeros((1, 3), np.uint8), tmp_path / "0.png")
    assert read_given_masks(tmp_path / "0.png", tmp_path)[0].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["first.png"], "first.png: the name is not a frame number"),
        (["5.png", "005.png"], "5.png is also for frame 5"),
        (["9" * 200 + ".png"], "the name is not a frame number"),
        ([], "no PNG files"),
    ],
)
def test_masks_of_unclear_frames(names: list[str], said: str, tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", *names)
    folder.mkdir(exist_ok=True)
    with pytest.raises(VisError, match=said):
        read_given_masks(folder, tmp_path / "clip.mp4")


def test_a_mask_of_no_image(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "a.jpg", "b.jpg")
    folder = make_masks(tmp_path / "masks", "a.png", "c.png")
    with pytest.raises(VisError, match=r"c.png: .*video has no image of this name"):
        read_given_masks(folder, video)


def test_hidden_files_are_no_masks_and_capitals_are(tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", "0.png", "1.png")
    (folder / "1.png").rename(folder / "1.PNG")
    for name in ("._0.png", "._00000.png", ".DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7\0\2")
    assert frames_and_values(folder, tmp_path / "clip.mp4") == {0: 1, 1: 2}


def test_masks_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", *(f"{number}.png" for number in range(12)))
    video = make_frames(tmp_path / "video", *(f"{number}.jpg" for number in range(12)))
    assert frames_and_values(folder, video) == {number: number + 1 for number in range(12)}


def test_numbers_of_masks_are_those_of_the_images(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "00005.jpg", "00010.jpg", "00015.jpg")
    assert frames_and_values(make_masks(tmp_path / "masks", "5.png", "15.png"), video) == {0: 1, 2: 2}
    with pytest.raises(VisError, match=r"0\.png: .*video has no image with the number 0\. If 0 is"):
        read_given_masks(make_masks(tmp_path / "other", "0.png"), video)
    one_based = make_frames(tmp_path / "one", "1.jpg", "2.jpg")
    assert frames_and_values(make_masks(tmp_path / "third", "00001.png"), one_based) == {0: 1}


def test_one_png_with_the_name_of_an_image_is_for_that_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = make_frames(tmp_path / "video", "2.jpg", "10.jpg", "9.jpg")
    folder = make_masks(tmp_path / "masks", "10.png", "2.png", "first.png")
    assert frames_and_values(folder / "2.png", video) == {0: 2}
    assert frames_and_values(folder / "first.png", video) == {0: 3}
    assert list(read_given_masks(folder / "10.png", video, messages=Reporter())) == [2]
    assert "used for frame 2, because the image" in capsys.readouterr().err


def test_numbers_that_begin_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, clip = make_masks(tmp_path / "masks", "00001.png", "00003.png"), tmp_path / "clip.mp4"
    assert list(read_given_masks(folder, clip, messages=Reporter())) == [1, 3]
    assert "--masks-from 1" in capsys.readouterr().err
    assert list(read_given_masks(folder, clip, first=1, messages=Reporter())) == [0, 2]
    assert list(read_given_masks(folder / "00003.png", clip, first=1)) == [2]
    assert capsys.readouterr().err == ""
    with pytest.raises(VisError, match=r"00001\.png: the number is below --masks-from 2"):
        read_given_masks(folder, clip, first=2)


def test_the_first_number_holds_for_images_too(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "00000.jpg", "00001.jpg")
    assert list(read_given_masks(make_masks(tmp_path / "masks", "00001.png"), video, first=1)) == [0]


@pytest.mark.parametrize("name", ["pipe", "zero", "pipe.png"])
def test_what_is_not_a_regular_file(tmp_path: Path, name: str) -> None:
    if name == "zero":
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(VisError, match="cannot read"):
        read_given_masks(tmp_path / name, tmp_path / "clip.mp4")


def test_a_pipe_in_a_folder(tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", "0.png")
    os.mkfifo(folder / "1.png")
    with pytest.raises(VisError, match=r"cannot read .*1\.png: the path is a pipe"):
        read_given_masks(folder, tmp_path / "clip.mp4")
