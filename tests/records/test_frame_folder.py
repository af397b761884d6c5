"""Tests of `vis_cli.records.frame_folder`: images of any kind as the frames of a video."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.video_factory import (
    make_entry,
    make_images,
    numbers_in,
    picture,
    with_exif_orientation,
    write_image,
)
from vis_cli.errors import VisError
from vis_cli.records.frame_folder import FrameFolder
from vis_cli.records.image_file import read_image, read_image_size
from vis_cli.records.image_pages import num_pages
from vis_cli.records.media_folder import image_files
from vis_cli.records.video import open_video


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
    assert numbers_in(folder.iter_frames()) == list(range(6))
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
    assert (folder.name, folder.num_frames, folder.warnings) == ("b", 1, [])
    assert numbers_in(folder.iter_frames()) == [1]


def test_further_pictures_in_one_file_are_said(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "stack.tiff"), [picture(number) for number in range(3)])
    folder = FrameFolder(tmp_path / "stack.tiff")
    assert (folder.num_frames, numbers_in(folder.iter_frames())) == (1, [0])
    assert folder.warnings == ["only the first of 3 images in this file is used"]


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
    with pytest.raises(VisError, match=r"no images in this folder\. Pass a folder with JPEG"):
        FrameFolder(tmp_path)


def test_pictures_beside_their_masks_would_count_twice(tmp_path: Path) -> None:
    make_images(tmp_path / "clip", ["00.jpg", "00.png", "01.jpg", "01.png"])
    with pytest.raises(VisError, match=r"clip: 00\.jpg and 00\.png are the same frame\. Keep one file"):
        FrameFolder(tmp_path / "clip")


def test_mixed_sizes_name_the_first_that_differs_and_both_sizes(tmp_path: Path) -> None:
    make_images(tmp_path, ["1.png", "2.png", "4.png"])
    write_image(tmp_path / "3.png", picture(2, (32, 48)))
    with pytest.raises(VisError) as caught:
        list(FrameFolder(tmp_path).iter_frames())
    assert str(caught.value) == (
        f"{tmp_path / '3.png'}: the size is 32x48, the first image 1.png is 64x48. "
        "Use one size for all frames of a video."
    )


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "truncated"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_unreadable_image_is_an_error_that_names_it(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    make_images(tmp_path, [f"1{suffix}", f"2{suffix}", f"3{suffix}"], (256, 192))
    bad = tmp_path / f"2{suffix}"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    folder = FrameFolder(tmp_path)
    with pytest.raises(VisError, match=rf"cannot read .*2\{suffix}: (not a complete image|the file is empty)"):
        list(folder.iter_frames())


def test_image_that_is_gone(tmp_path: Path) -> None:
    folder = FrameFolder(make_images(tmp_path, ["1.png", "2.png"]))
    (tmp_path / "2.png").unlink()
    with pytest.raises(VisError, match=r"cannot read .*2\.png: No such file or directory"):
        list(folder.iter_frames())


def test_image_too_large_for_opencv(tmp_path: Path) -> None:
    path = tmp_path / "1.ppm"
    path.write_bytes(b"P6 100000 100000 255\n" + bytes(100))
    with pytest.raises(VisError, match=r"1\.ppm: the image is larger than 65,535 pixels per side"):
        FrameFolder(path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
@pytest.mark.parametrize("name", ["00001.png", "00001.jfif"])
def test_entry_that_is_named_like_a_frame_is_an_error(tmp_path: Path, kind: str, name: str) -> None:
    make_images(tmp_path, ["00000.png", "00002.png"])
    if kind == "device":
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        make_entry(tmp_path / name, kind)
    with pytest.raises(VisError, match=rf"cannot read .*{name}: "):
        FrameFolder(tmp_path)


@pytest.mark.parametrize("name", ["00001.heic", "00001.CR2", "00001.exr", "00001.jpg.part"])
def test_frame_in_a_format_that_is_not_decoded_is_an_error(tmp_path: Path, name: str) -> None:
    make_images(tmp_path, ["00000.png", "00002.png"])
    (tmp_path / name).touch()
    with pytest.raises(VisError, match=rf"cannot read .*{name}: "):
        FrameFolder(tmp_path)
    with pytest.raises(VisError, match=rf"cannot read .*{name}: "):
        open_video(tmp_path / name)


def test_frames_of_rarer_suffixes_are_used(tmp_path: Path) -> None:
    suffixes = ("jpg", "jfif", "jpe", "jp2", "avif", "dib")
    make_images(
        tmp_path, [f"{number}.{'jpg' if suffix == 'jfif' else suffix}" for number, suffix in enumerate(suffixes)]
    )
    (tmp_path / "1.jpg").rename(tmp_path / "1.jfif")
    folder = FrameFolder(tmp_path)
    assert numbers_in(folder.iter_frames()) == list(range(len(suffixes)))
    assert folder.warnings == []


def test_media_next_to_the_frames_is_named(tmp_path: Path) -> None:
    make_images(tmp_path, ["0.png", "1.png"])
    make_images(tmp_path / "masks", ["0.png"])
    for name in ("preview.mp4", "thumb.gif", "raw.braw", "Thumbs.db", "desktop.ini", ".DS_Store", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "frame_without_suffix").write_bytes((tmp_path / "0.png").read_bytes())
    (warning,) = FrameFolder(tmp_path).warnings
    assert warning.endswith("not used: preview.mp4, thumb.gif, raw.braw, masks, frame_without_suffix")


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "jp2"])
def test_a_frame_with_an_unknown_suffix_is_named(tmp_path: Path, suffix: str) -> None:
    make_images(tmp_path, ["0.png", f"1.{suffix}", "2.png"])
    (tmp_path / f"1.{suffix}").rename(tmp_path / "1.img")
    (warning,) = FrameFolder(tmp_path).warnings
    assert warning.endswith("not used: 1.img")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("0.0 0.066 0.1 0.133 0.25 0.3 1.0 1.25 1.5 10.5", "0.0 0.066 0.1 0.133 0.25 0.3 1.0 1.25 1.5 10.5"),
        ("frame_0.5s frame_0.25s", "frame_0.25s frame_0.5s"),
        ("1.9 1.10 1.8 1.11", "1.8 1.9 1.10 1.11"),
        ("-2 -1 0 1", "-2 -1 0 1"),
        ("1e-05 0.5 0.1", "1e-05 0.1 0.5"),
        ("cam1_0.066 cam1_0.1", "cam1_0.066 cam1_0.1"),
        ("1m0.5s 0m59.5s 1m0.25s", "0m59.5s 1m0.25s 1m0.5s"),
        ("1m0.9s 0m59.10s 0m59.9s 1m0.10s", "0m59.9s 0m59.10s 1m0.9s 1m0.10s"),
        ("2024-1-2_1.5 2024-1-10_1.5 2024-1-2_1.25", "2024-1-2_1.25 2024-1-2_1.5 2024-1-10_1.5"),
        ("1h2m3,5 1h2m3,25 1h10m0,5", "1h2m3,25 1h2m3,5 1h10m0,5"),
        ("title 0.5 0.25", "0.5 0.25 title"),
    ],
)
def test_numbers_in_names_are_read_as_a_person_means_it(tmp_path: Path, names: str, expected: str) -> None:
    make_images(tmp_path, [f"{name}.png" for name in expected.split()])
    assert sorted(names.split()) == sorted(expected.split())
    folder = FrameFolder(tmp_path)
    assert numbers_in(folder.iter_frames()) == list(range(len(expected.split())))
    assert [path.stem for path in image_files(tmp_path)] == expected.split()
    assert ["the names are read as" in warning for warning in folder.warnings] == [True]


@pytest.mark.parametrize(
    ("names", "first"),
    [("1 01 2", "01.png and 1.png have the same number: 01.png"), ("A1 a1", "A1.png and a1.png have the same")],
)
def test_names_with_the_same_number_are_reported(tmp_path: Path, names: str, first: str) -> None:
    make_images(tmp_path, [f"{name}.png" for name in names.split()])
    (warning,) = FrameFolder(tmp_path).warnings
    assert warning.startswith(first)


@pytest.mark.parametrize(
    "names",
    [
        "2024-1-2 2024-1-10 2024-2-1",
        "1m2s 1m10s 2m0s",
        "a_0.05 b_0.10 b_0.15",
        "frame frame2 frame10",
        "frame-1 frame-2 frame-10",
        "v1.2.9 v1.2.10",
        "0.05 0.10 0.15",
        "0 0.5 1 1.5",
        "007 8",
    ],
)
def test_natural_order_without_a_choice_is_not_reported(tmp_path: Path, names: str) -> None:
    make_images(tmp_path, [f"{name}.png" for name in names.split()])
    folder = FrameFolder(tmp_path)
    assert numbers_in(folder.iter_frames()) == list(range(len(names.split())))
    assert folder.warnings == []


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_bits_in_use_become_the_full_range_with_one_scale(tmp_path: Path, bits: int) -> None:
    full = 2**bits - 1
    ramp = np.linspace(0, full, 64).round().astype(np.uint16)[None].repeat(48, 0)
    for number, image in enumerate((ramp // 2, ramp, ramp // 4)):
        write_image(tmp_path / f"{number}.png", image)
    folder = FrameFolder(tmp_path)
    brightest = [round(value * 255 / full) for value in (full // 2, full, full // 4)]
    assert [int(frame.max()) for frame in folder.iter_frames()] == brightest
    np.testing.assert_array_equal(list(folder.iter_frames())[1][0, :, 1], (ramp[0] / full * 255).round())
    assert folder.warnings == [f"the 16-bit images use {bits} bits: 0 to {full} become 0 to 255"]


@pytest.mark.parametrize("num_hot", [1, 4])
def test_hot_pixels_do_not_darken_the_video(tmp_path: Path, num_hot: int) -> None:
    image = np.linspace(0, 4095, 64).round().astype(np.uint16)[None].repeat(48, 0)
    write_image(tmp_path / "0.png", image)
    hot = image.copy()
    hot[0, :num_hot] = 65_535
    write_image(tmp_path / "1.png", hot)
    folder = FrameFolder(tmp_path)
    first, second = folder.iter_frames()
    np.testing.assert_array_equal(first[0, :, 1], (image[0] / 4095 * 255).round())
    np.testing.assert_array_equal(second[1:], first[1:])
    assert second[0, :num_hot].tolist() == [[255] * 3] * num_hot
    assert folder.warnings == [
        "the 16-bit images use 12 bits: 0 to 4095 become 0 to 255; single larger values (hot pixels) become 255"
    ]


def test_a_small_bright_object_is_no_hot_pixel(tmp_path: Path) -> None:
    image = np.full((48, 64), 500, np.uint16)
    image[0, :5] = 65_535
    write_image(tmp_path / "0.png", image)
    folder = FrameFolder(tmp_path)
    assert next(folder.iter_frames())[1, 0].tolist() == [2, 2, 2]
    assert folder.warnings == []


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        (b"P5 4 1 100\n", bytes([0, 50, 100, 101]), [0, 128, 255, 255]),
        (b"P5\n# a comment\n4 1\n#100\n200\n", bytes([0, 50, 100, 200]), [0, 64, 128, 255]),
        (b"P2\n4 1\n10\n", b"0 1 5 10\n", [0, 25, 127, 255]),
        (b"P2\n4 1\n1000\n", b"0 250 500 1000\n", [0, 64, 128, 255]),
        (b"P5\n4 1\n4095\n", b"\0\0\x01\0\x08\0\x0f\xff", [0, 16, 128, 255]),
        (b"P5\n4 1\n255\n", bytes([0, 50, 100, 101]), [0, 50, 100, 101]),
    ],
)
def test_pgm_is_scaled_by_the_value_of_white_in_its_header(
    tmp_path: Path, header: bytes, values: bytes, expected: list[int]
) -> None:
    (tmp_path / "0.pgm").write_bytes(header + values)
    folder = FrameFolder(tmp_path)
    assert next(folder.iter_frames())[0, :, 0].tolist() == expected
    assert folder.warnings == []


def test_all_16_bits_need_no_report_and_8_bit_images_stay(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", picture(3))
    write_image(tmp_path / "1.png", picture(3).astype(np.uint16) * 257)
    folder = FrameFolder(tmp_path)
    for frame in folder.iter_frames():
        np.testing.assert_array_equal(frame, picture(3))
    assert folder.warnings == []


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_other_depths_are_rejected_by_name(tmp_path: Path, dtype: type) -> None:
    assert cv2.imwrite(str(tmp_path / "a.tiff"), picture(3)[..., 0].astype(dtype))
    with pytest.raises(VisError, match=rf"a\.tiff: the pixels are {np.dtype(dtype)}\. Convert"):
        FrameFolder(tmp_path)


def test_files_of_several_pages_are_named(tmp_path: Path) -> None:
    for name in ("0.tiff", "1.tiff"):
        cv2.imwritemulti(str(tmp_path / name), [picture(number) for number in range(4)])
    write_image(tmp_path / "2.tiff", picture(0))
    (warning,) = FrameFolder(tmp_path).warnings
    assert warning.startswith("2 of 3 images have several pages, and only the first page is used: 0.tiff, 1.tiff;")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17) + b"\0\0\0\x08acTL\0\0\0\x05" + bytes(8), 5),
        ("a.webp", b"RIFF....WEBPVP8X\x0a\0\0\0" + bytes(10) + b"ANMF\x02\0\0\0abANMF\x01\0\0\0a\0", 2),
        ("a.tif", b"II*\0\x08\0\0\0\0\0\x0e\0\0\0\x01\0\xfe\0\x04\0\x01\0\0\0\x01\0\0\0" + bytes(4), 1),  # thumbnail
        ("a.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", 1),  # a loop
        ("a.tif", b"MM\0*\0\0\0\x08\0\0\0\0\0\x0e\0\0\0\0\0\0", 2),
        ("a.tif", b"II*\0\xff\xff\xff\xff", 1),
        ("a.jpg", b"\xff\xd8", 1),
    ],
)
def test_pages_are_counted_from_headers(tmp_path: Path, name: str, data: bytes, expected: int) -> None:
    (tmp_path / name).write_bytes(data)
    assert num_pages(tmp_path / name) == expected


@pytest.mark.parametrize("size", [(65_535, 65_535), (4_000_000, 2)])
def test_huge_png_is_rejected_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    write_png(tmp_path / "a.png", size)
    with pytest.raises(
        VisError, match=r"a\.png: the image is larger than 65,535 pixels per side or 134,217,728 pixels"
    ):
        FrameFolder(tmp_path)


@pytest.mark.parametrize("part", [b"IHDR", b"IDAT", b"IEND"])
def test_damaged_png_is_rejected_without_a_message_of_the_library(
    tmp_path: Path, part: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    write_png(tmp_path / "a.png", (4, 2), damaged=part)
    with pytest.raises(VisError, match=rf"a\.png: not a complete image \({part.decode()} is damaged\)"):
        FrameFolder(tmp_path)
    assert capfd.readouterr().err == ""


def write_png(path: Path, size: tuple[int, int], *, damaged: bytes = b"") -> None:
    """Write a grey PNG that claims a size; the chunk `damaged` has a wrong checksum."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes((4 + 1) * 2))),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        checksum = zlib.crc32(kind + body) ^ (kind == damaged)
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        (".jpg", struct.pack(">HH", 48, 64), struct.pack(">HH", 32_768, 32_768)),
        (".bmp", struct.pack("<ii", 64, 48), struct.pack("<ii", 12_000, 12_000)),
        (".ppm", b"64 48", b"70000 8"),
        (".tif", struct.pack("<HHII", 256, 3, 1, 64), struct.pack("<HHII", 256, 4, 1, 3_000_000)),
    ],
)
def test_a_header_that_claims_a_huge_image_is_rejected_before_it_is_decoded(
    tmp_path: Path, suffix: str, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV has its own limit of 2^30 pixels if a program imported it before `vis_cli`."""
    path = tmp_path / f"a{suffix}"
    write_image(path, picture(0))
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    monkeypatch.setattr(cv2, "imdecode", None)
    for read in (read_image, read_image_size):
        with pytest.raises(
            VisError, match=rf"a\{suffix}: the image is larger than 65,535 pixels per side or 134,217,728"
        ):
            read(path)
