"""Damaged and hostile zips end in one line, and no member is read beyond a limit."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from vis_cli.errors import VisError
from vis_cli.files import archives
from vis_cli.files.archives import member_names, open_member, open_zip, read_member

LIMIT = 1000


def write_zip(path: Path, *, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def read_all(path: Path) -> list[bytes]:
    with open_zip(path) as archive:
        return [read_member(archive, name, limit=LIMIT) for name in member_names(archive)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_is_read(tmp_path: Path, method: int) -> None:
    assert read_all(write_zip(tmp_path / "a.zip", method=method, a=b"1" * 999, b=b"")) == [b"1" * 999, b""]


def test_a_member_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", a=b" " * (LIMIT + 1))
    with pytest.raises(VisError, match=r"cannot read .*a\.zip: a: .*1,001 bytes"):
        read_all(path)


def test_a_header_that_states_less_than_the_member_holds_gives_no_more_than_it_states(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", a=b" " * 5000)
    path.write_bytes(path.read_bytes().replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(VisError, match="damaged"):
        read_all(path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(VisError, match=r"2 members, the limit is 1\. Remove files"):
        read_all(write_zip(tmp_path / "a.zip", a=b"", b=b""))


def test_an_empty_name_is_a_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", x=b"1")
    path.write_bytes(path.read_bytes().replace(b"x", b""))
    with pytest.raises(VisError):  # the headers no longer agree
        read_all(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"1")
    with open_zip(path) as opened:
        assert member_names(opened) == ("",)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", é=b"1")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(VisError, match=r"cannot read .*a\.zip: .*damaged"):
        read_all(path)


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", a=b"1")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flags in front of the data, and in the list of members
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(VisError) as caught:
        read_all(path)
    assert str(caught.value) == f"cannot read {path}: a: the member is encrypted. Zip the files without a password."


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_any_changed_byte_is_harmless_or_rejected(tmp_path: Path, method: int) -> None:
    data = bytearray(write_zip(tmp_path / "a.zip", method=method, abc=b"0123456789" * 9).read_bytes())
    rng, path = np.random.default_rng(0), tmp_path / "b.zip"
    for position in range(len(data)):
        changed = data.copy()
        changed[position] = rng.integers(256)
        path.write_bytes(changed)
        with suppress(VisError):  # any other exception fails
            assert read_all(path) == [b"0123456789" * 9]


def test_what_is_not_a_regular_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "zero.zip").symlink_to("/dev/zero")
    for name in ("pipe.zip", "zero.zip", "absent.zip", "."):
        with pytest.raises(VisError, match="cannot read"):
            read_all(tmp_path / name)


def test_a_stream_of_a_member_raises_in_one_line_where_it_is_damaged(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", method=zipfile.ZIP_STORED, a=b"unchanged")
    path.write_bytes(path.read_bytes().replace(b"unchanged", b"different"))
    with (
        open_zip(path) as archive,
        open_member(archive, "a", limit=LIMIT) as stream,
        pytest.raises(VisError, match=r"cannot read .*a\.zip: a: .*Bad CRC"),
    ):
        stream.read()
