"""Masks in a file, by object, and their continuation after an interruption."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import numpy as np
import pytest

from vis_cli.records import mask_spool
from vis_cli.records.mask_spool import MaskSpool
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.segmentations import Segmentations, segmentations_of


def mask_of(number: int) -> Rle:
    mask = np.zeros((4, 6), np.bool_)
    mask.flat[number % 24 :] = True
    return encode_mask(mask)


def open_spool(path: Path | None = None) -> MaskSpool:
    if path is None:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the test ends soon
    else:
        file = path.open("r+b" if path.exists() else "w+b", buffering=0)
    return MaskSpool(file, (4, 6))  # type: ignore[arg-type]


def expected(frames: list[int], num_frames: int) -> Segmentations:
    return segmentations_of(mask_of(frame) if frame in frames else None for frame in range(num_frames))


FRAMES = {3: [0, 1, 2, 5], 7: [*range(2, 300, 3)], 9: [299], 4: [10, 290]}


def fill(spool: MaskSpool, *, length: int) -> None:
    for start in range(0, 300, length):
        for id_, frames in FRAMES.items():
            spool.append(id_, {frame: mask_of(frame) for frame in frames if start <= frame < start + length})


@pytest.mark.parametrize("length", [1, 7, 100, 300])
@pytest.mark.parametrize("cached", [1, 256])
def test_masks_come_back(length: int, cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_spool, "CACHED_PARTS", cached)
    spool = open_spool()
    fill(spool, length=length)
    found = spool.segmentations(310)
    assert found == {id_: expected(frames, 310) for id_, frames in FRAMES.items()}
    for index in (0, 1, 4, 5, 10, 11, 289, 290, 299, 309):
        assert found[4][index] == expected(FRAMES[4], 310)[index]
        assert found[7][index] == expected(FRAMES[7], 310)[index]
    assert (found[4].first_frame, found[4].last_frame) == (10, 290)
    assert len(spool._cache) <= cached


def test_parts_are_short() -> None:
    spool = open_spool()
    fill(spool, length=300)
    assert all(part.num_frames <= mask_spool.PART_FRAMES for parts in spool._parts.values() for part in parts)
    assert len(spool._parts[4]) == 2


def test_an_earlier_file_is_continued(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "masks")
    spool.append(1, {0: mask_of(0), 2: mask_of(2)})
    spool.append(2, {1: mask_of(1)})
    kept = spool.num_bytes, spool.checksum
    spool.append(1, {3: mask_of(9)})  # of a window that is segmented again
    again = open_spool(tmp_path / "masks")
    assert again.restore(*kept)
    again.append(1, {3: mask_of(3)})
    assert again.segmentations(4) == {1: expected([0, 2, 3], 4), 2: expected([1], 4)}
    assert (tmp_path / "masks").stat().st_size == again.num_bytes


@pytest.mark.parametrize("change", ["flip", "cut", "header", "long", "empty"])
def test_a_damaged_file_is_not_continued(tmp_path: Path, change: str) -> None:
    path = tmp_path / "masks"
    spool = open_spool(path)
    fill(spool, length=100)
    data = bytearray(path.read_bytes())
    if change == "flip":
        data[-3] ^= 1
    elif change == "header":
        data[0:1] = b"x"
    elif change == "long":
        data[data.index(b"\n") : data.index(b"\n")] = b"0" * 40
    path.write_bytes({"cut": data[:-1], "empty": b""}.get(change, bytes(data)))
    assert not open_spool(path).restore(spool.num_bytes, spool.checksum)


def test_a_full_disk_is_an_error_of_append(tmp_path: Path) -> None:
    """Closing an unbuffered file writes nothing, so that no second error hides the first one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "masks").open("w+b", buffering=0) as file:
        spool = MaskSpool(file, (4, 6))  # type: ignore[arg-type]
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                spool.append(1, {0: mask_of(0)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert spool.num_bytes == 0
