"""Mutators of zip archives: names, methods, sizes and sums of members, bombs, and the bytes between them."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random

from tests.robustness.octets import EXTREMES, mutate_bytes
from tests.robustness.pictures import MIB, zeros_deflated
from tests.robustness.trees import HOSTILE_NAMES

Members = list[tuple[str, bytes]]
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
BLANKS = 3072 * MIB  # that a bomb unpacks to


def read_members(data: bytes) -> Members:
    """Return the members of a zip by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def write_members(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Write a zip; names that no zip has (surrogates) are replaced."""
    output = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(output, "w", method) as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name.encode("utf-8", "replace").decode()[:60_000], method
            archive.writestr(info, content)
    return output.getvalue()


def mutate_zip(
    rng: Random, data: bytes, mutate_member: Callable[[Random, str, bytes], bytes], *, whole: bool = False
) -> bytes:
    """Change a zip: one of its members with `mutate_member`, its structure, its headers or its bytes.

    Args:
        rng: the source of every choice.
        data: the archive.
        mutate_member: changes a member's content, given its name.
        whole: leave bytes and headers alone, as for an archive whose reader checks them first.
    """
    choice = rng.random()
    if choice < 0.2 and not whole:
        return mutate_bytes(rng, data)
    if choice < 0.4 and not whole:
        return mutate_headers(rng, data)
    members = read_members(data)
    if not members:
        return mutate_bytes(rng, data)
    i = rng.randrange(len(members))
    if choice < 0.75:
        members[i] = (members[i][0], mutate_member(rng, *members[i]))
        return write_members(members, rng.choice(METHODS))
    return rng.choice(STRUCTURES)(rng, members, i)


def mutate_headers(rng: Random, data: bytes) -> bytes:
    """Change a field of a local header, of the directory or of its end, so that they contradict each other."""
    mark, fields = rng.choice(
        (
            (LOCAL, ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 1))),
            (CENTRAL, ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4), (46, 1))),
            (END, ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
        )
    )
    places = [i for i in range(len(data) - 3) if data[i : i + 4] == mark]
    if not places:
        return mutate_bytes(rng, data)
    offset, width = rng.choice(fields)
    place = rng.choice(places) + offset
    values = (*EXTREMES, 1, 9, 12, 14, 93, 98, 99, 0x0801)  # methods, and the flags of encryption and UTF-8
    return data[:place] + struct.pack("<Q", rng.choice(values))[:width] + data[place + width :]


def bomb(name: str, before: bytes = b"[", after: bytes = b"]") -> bytes:
    """Return a zip of one member: blanks between `before` and `after`, small here and huge unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    body = head + zeros_deflated(BLANKS, b" ", raw=True)
    size = min(2**32 - 2, len(before) + BLANKS)
    encoded = name.encode()
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(body), size, len(encoded), 0)
    local = LOCAL + fields + encoded
    directory = CENTRAL + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + encoded
    end = END + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(local) + len(body), 0)
    return local + body + directory + end


def _renamed(rng: Random, members: Members, i: int) -> bytes:
    members[i] = (rng.choice((*HOSTILE_NAMES, f"./{members[i][0]}", members[i][0].upper(), "a/")), members[i][1])
    return write_members(members)


def _repeated(rng: Random, members: Members, i: int) -> bytes:
    return write_members([*members, members[i]])


def _without(rng: Random, members: Members, i: int) -> bytes:
    return write_members([*members[:i], *members[i + 1 :]])


def _with_extra(rng: Random, members: Members, i: int) -> bytes:
    names = (*HOSTILE_NAMES, "__MACOSX/._x", ".DS_Store", "Thumbs.db", "readme.txt", "other/results.json")
    return write_members([*members, (rng.choice(names), rng.choice((b"", b"x", b"{}")))])


def _in_a_folder(rng: Random, members: Members, i: int) -> bytes:
    return write_members([(f"top/{name}", content) for name, content in members])


def _many(rng: Random, members: Members, i: int) -> bytes:
    return write_members([*members, *((f"{n}/x.png", b"") for n in range(3000))], zipfile.ZIP_STORED)


def _zip_in_zip(rng: Random, members: Members, i: int) -> bytes:
    return write_members([(members[i][0], write_members(members))])


def _bomb(rng: Random, members: Members, i: int) -> bytes:
    return bomb(members[i][0])


STRUCTURES = (
    _renamed,
    _renamed,
    _repeated,
    _without,
    _with_extra,
    _with_extra,
    _in_a_folder,
    _many,
    _zip_in_zip,
    _bomb,
)
