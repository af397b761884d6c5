"""PNGs of labels: every depth, and headers and chunks that are damaged, hostile or huge."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from vis_cli.errors import VisError
from vis_cli.records.davis import encode_label_png, read_label_png
from vis_cli.records.label_png import SIGNATURE, decode_labels, read_label_header

LABELS = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def make_png(
    width: int, height: int, depth: int, rows: bytes, *, colour: int = 0, extra: bytes = b"", after: bytes = b""
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return SIGNATURE + head + extra + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def decode(data: bytes) -> list[list[int]]:
    labels: list[list[int]] = decode_labels(data, "x.png")[0].tolist()
    return labels


def test_one_bit_is_label_1() -> None:
    assert decode(make_png(3, 2, 1, b"\0\x60\0\x20")) == LABELS.tolist()
    with io.BytesIO() as stream:
        Image.fromarray(LABELS.astype(np.bool_)).save(stream, format="PNG")
        assert decode(stream.getvalue()) == LABELS.tolist()


def test_sixteen_bits_are_labels_up_to_255() -> None:
    assert decode(make_png(2, 1, 16, b"\0" + struct.pack(">HH", 3, 255))) == [[3, 255]]
    with pytest.raises(VisError, match=r"cannot read x\.png: the highest label is 1001 \(16 bits\), the limit is 255"):
        decode(make_png(2, 1, 16, b"\0" + struct.pack(">HH", 3, 1001)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_any_depth_holds_the_values(bits: int) -> None:
    image = Image.fromarray(LABELS)
    image.putpalette([0, 0, 0, 255, 255, 255])
    with io.BytesIO() as stream:
        image.save(stream, format="PNG", bits=bits)
        labels, header = decode_labels(stream.getvalue(), "x.png")
    assert labels.tolist() == LABELS.tolist()
    assert header.is_palette


@pytest.mark.parametrize(("colour", "channels", "name"), [(2, 3, "RGB"), (4, 2, "grey with alpha"), (6, 4, "RGB with")])
def test_colours_are_named(colour: int, channels: int, name: str) -> None:
    with pytest.raises(VisError, match=rf"cannot read x\.png: the PNG has colours \({name}"):
        decode(make_png(1, 1, 8, b"\0" * (1 + channels), colour=colour))


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (65_536, 1), (60_000, 60_000), (2**32 - 1, 1)])
def test_a_huge_header_is_rejected_before_anything_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "x.png").write_bytes(make_png(*size, 1, b"\0"))
    for read in (read_label_png, read_label_header):
        with pytest.raises(VisError, match=r"x\.png: the size is .*, the limit is 65,535 per side"):
            read(tmp_path / "x.png")


def bomb() -> bytes:
    return zlib.compress(b" " * 20_000_000)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\0" + bomb()),
        chunk(b"iTXt", b"a\0\1\0\0\0" + bomb()),
        chunk(b"iCCP", b"a\0\0" + bomb()),
        chunk(b"tEXt", b"a"),
        *(
            chunk(name, b"")
            for name in (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"pHYs", b"gAMA", b"sRGB", b"eXIf", b"acTL")
        ),
        *(chunk(name, b"\xff") for name in (b"zTXt", b"iTXt", b"iCCP", b"pHYs", b"cHRM", b"tIME", b"fcTL", b"fdAT")),
        b"\0\0\0\4tEXtabcd\0\0\0\0",  # a wrong checksum
    ],
    ids=lambda extra: extra[4:8].decode() + str(len(extra)),
)
def test_chunks_that_hold_no_pixels_change_nothing(extra: bytes) -> None:
    rows = b"\0\x60\0\x20"
    assert decode(make_png(3, 2, 1, rows, extra=extra)) == LABELS.tolist()
    assert decode(make_png(3, 2, 1, rows, after=extra)) == LABELS.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"GIF89a" + data,
        lambda data: data[:20],
        lambda data: data[:-12],  # without IEND
        lambda data: data[:-20],
        lambda data: SIGNATURE + chunk(b"IEND", b""),
        lambda data: data.replace(b"IHDR", b"IHDr"),
        lambda data: data.replace(b"IDAT", b"IDAt"),
        lambda data: data[:33] + b"\xff\xff\xff\xff" + data[37:],  # a chunk of 4 GB
        lambda data: data[:33] + chunk(b"IDAT", b"no stream") + chunk(b"IEND", b""),
        lambda data: data[:33] + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""),
        lambda data: data[:33] + chunk(b"IEND", b""),
    ],
)
def test_damage_is_one_line(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(damage(encode_label_png(LABELS)))
    with pytest.raises(VisError, match=r"cannot read .*x\.png: "):
        read_label_png(tmp_path / "x.png")


def test_any_changed_byte_is_harmless_or_rejected() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("key", "text " * 20, zip=True)
    with io.BytesIO() as stream:
        Image.fromarray(LABELS).save(stream, format="PNG", pnginfo=info, dpi=(3, 3))
        data = stream.getvalue()
    rng = np.random.default_rng(0)
    for position in [*range(len(data))] * 3:
        changed = bytearray(data)
        changed[position] = rng.integers(256)
        with suppress(VisError):  # any other exception fails
            assert decode(bytes(changed)) == LABELS.tolist()
        with suppress(VisError):
            decode(data[:position])


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(8 * 2**30)
    for name in ("pipe.png", "zero.png", "sparse.png", "absent.png", "nul\0.png", "."):
        for read in (read_label_png, read_label_header):
            with pytest.raises(VisError, match="cannot read"):
                read(tmp_path / name)
