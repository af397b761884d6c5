"""Tests of `vis_cli.records.frame_folder`: images of any kind as the frames of a video."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.video_factory import (
    make_images,
    numbers_in,
    picture,
    with_exif_orientation,
    write_image,
)
from vis_cli.errors import VisError
from vis_cli.records.frame_folder import FrameFolder


def only_frame(path: Path) -> NDArray[np.uint8]:
    (image,) = FrameFolder(path).iter_frames()
    return image


@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".bmp", ".webp", ".tiff", ".ppm"])
def test_common_formats_in_natural_order(tmp_path: Path, suffix: str) -> None:
    names = [f"{stem}{suffix}" for stem in ("img2", "img10", "Img11", "img101")]
    make_images(tmp_path / "clip", names)
    (tmp_path / "clip" / "notes.txt").write_text("no image")
    (tmp_path / "clip" / "._img1.jpg").write_text("what macOS leaves behind")
    folder = FrameFolder(tmp_path / "clip")
    assert numbers_in(folder.iter_frames()) == [0, 1, 2, 3]
    assert folder.num_frames == folder.count_frames() == 4
    assert (folder.name, folder.width, folder.height, folder.has_audio) == ("clip", 64, 48, False)


def test_parts_and_times(tmp_path: Path) -> None:
    folder = FrameFolder(make_images(tmp_path, [f"{i}.png" for i in range(6)]), fps=30_000 / 1001)
    assert numbers_in(folder.iter_frames(2, 4)) == [2, 3]
    assert numbers_in(folder.iter_frames(4)) == [4, 5]
    assert list(folder.iter_frames(6, 9)) == []
    assert folder.frame_pts(2) * folder.time_base == Fraction(2 * 1001, 30_000)


def test_24_frames_a_second_unless_told(tmp_path: Path) -> None:
    folder = FrameFolder(make_images(tmp_path, ["a.png"]))
    assert (folder.fps, folder.time_base) == (24.0, Fraction(1, 24))


def test_name_of_the_current_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_images(tmp_path / "bear", ["a.png"]))
    assert FrameFolder(Path()).name == "bear"


def test_one_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    make_images(tmp_path, ["a.png", "b.png"])
    folder = FrameFolder(tmp_path / "b.png")
    assert (folder.name, folder.num_frames, folder.losses) == ("b", 1, [])
    assert numbers_in(folder.iter_frames()) == [1]


def test_further_pictures_in_one_file_are_said(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "stack.tiff"), [picture(number) for number in range(3)])
    folder = FrameFolder(tmp_path / "stack.tiff")
    assert (folder.num_frames, numbers_in(folder.iter_frames())) == (1, [0])
    assert folder.losses == ["3 pictures are in this file, of which the first is used"]


@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        (".png", lambda rgb: rgb.astype(np.uint16) * 257),
        (".tiff", lambda rgb: rgb.astype(np.uint16) * 257),
        (".png", lambda rgb: np.dstack([rgb, rgb[..., :1] // 2])),
        (".png", lambda rgb: np.dstack([rgb, rgb[..., :1] // 2]).astype(np.uint16) * 257),
    ],
    ids=["16-bit png", "16-bit tiff", "alpha", "16-bit alpha"],
)
def test_depth_and_alpha_come_out_as_8_bit_rgb(
    tmp_path: Path, suffix: str, change: Callable[[NDArray[np.uint8]], NDArray[np.uint16]]
) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, change(picture(3)))
    image = only_frame(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, picture(3))


@pytest.mark.parametrize("scale", [1, 257])
def test_grey_comes_out_as_rgb(tmp_path: Path, scale: int) -> None:
    grey = picture(3)[..., 0]
    write_image(tmp_path / "a.png", grey.astype(np.uint8 if scale == 1 else np.uint16) * scale)
    np.testing.assert_array_equal(only_frame(tmp_path / "a.png"), np.dstack([grey] * 3))


def test_palette_comes_out_as_its_colours(tmp_path: Path) -> None:
    header = b"BM" + (54 + 8 + 8).to_bytes(4, "little") + bytes(4) + (62).to_bytes(4, "little")
    info = b"".join(n.to_bytes(size, "little") for n, size in ((40, 4), (2, 4), (1, 4), (1, 2), (8, 2), (0, 4)))
    info += bytes(12) + (2).to_bytes(4, "little") + bytes(4)
    palette_bgr0 = bytes([1, 2, 3, 0, 40, 50, 60, 0])
    (tmp_path / "a.bmp").write_bytes(header + info + palette_bgr0 + bytes([1, 0, 0, 0]))
    np.testing.assert_array_equal(only_frame(tmp_path / "a.bmp"), [[[60, 50, 40], [3, 2, 1]]])


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", picture(0))
    plain = only_frame(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(with_exif_orientation((tmp_path / "a.jpg").read_bytes(), 6))
    folder = FrameFolder(tmp_path / "a.jpg")
    assert (folder.width, folder.height) == (48, 64)
    np.testing.assert_array_equal(next(folder.iter_frames()), np.rot90(plain, -1))


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(VisError, match=r"no images \(jpg, png, bmp, webp, tiff, ppm\) in this folder"):
        FrameFolder(tmp_path)


def test_pictures_beside_their_masks_would_count_twice(tmp_path: Path) -> None:
    make_images(tmp_path / "clip", ["00.jpg", "00.png", "01.jpg", "01.png"])
    with pytest.raises(VisError, match=r"clip: both 00\.jpg and 00\.png would be a frame; leave one of each in it"):
        FrameFolder(tmp_path / "clip")


def test_mixed_sizes_name_the_first_that_differs_and_both_sizes(tmp_path: Path) -> None:
    make_images(tmp_path, ["1.png", "2.png", "4.png"])
    write_image(tmp_path / "3.png", picture(2, (32, 48)))
    with pytest.raises(VisError) as caught:
        list(FrameFolder(tmp_path).iter_frames())
    assert str(caught.value) == (
        f"{tmp_path / '3.png'}: 32x48, but the folder's first image 1.png is 64x48; "
        "frames of one video must be of one size"
    )


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "truncated"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_unreadable_image_is_an_error_that_names_it(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    make_images(tmp_path, [f"1{suffix}", f"2{suffix}", f"3{suffix}"], (256, 192))
    bad = tmp_path / f"2{suffix}"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    folder = FrameFolder(tmp_path)
    with pytest.raises(VisError, match=rf"2\{suffix}: cannot be read as an image; is the file whole"):
        list(folder.iter_frames())


def test_image_that_is_gone(tmp_path: Path) -> None:
    folder = FrameFolder(make_images(tmp_path, ["1.png", "2.png"]))
    (tmp_path / "2.png").unlink()
    with pytest.raises(VisError, match=r"2\.png: cannot be read \(No such file or directory\)"):
        list(folder.iter_frames())


def test_image_too_large_for_opencv(tmp_path: Path) -> None:
    path = tmp_path / "1.ppm"
    path.write_bytes(b"P6 100000 100000 255\n" + bytes(100))
    with pytest.raises(VisError, match=r"1\.ppm: cannot be read as an image"):
        FrameFolder(path)
