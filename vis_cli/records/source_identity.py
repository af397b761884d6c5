"""Identity of the source of a result: path, size, and a fast fingerprint of the content.

Used by `result_json`, and by the commands that skip, draw and export results.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from vis_cli.files.limits import KIB
from vis_cli.files.reading import open_regular, read_error, real_path
from vis_cli.records.inputs import image_files
from vis_cli.records.types import SourceIdentity

VERSION = "1"  # of the fingerprint; fingerprints of another version never match
FILE_BLOCKS, FILE_BLOCK_BYTES = 16, 64 * KIB  # 1 MiB of a file in evenly spaced blocks; a smaller file is read fully
IMAGE_BLOCKS, IMAGE_BLOCK_BYTES = 3, 4 * KIB  # start, middle and end of each sampled image
SAMPLED_IMAGES = 1024  # evenly spaced images of a folder; only the names and sizes of other images count
DIGEST_CHARACTERS = 32  # 128 bits


def identify_source(path: Path) -> SourceIdentity:
    """Return the path and the size of a video, and the fingerprint of its content.

    The fingerprint of a file is a hash of sampled blocks, because a hash of all bytes of a long video takes minutes.
    The fingerprint of a folder is a hash of the names and sizes of all images and of blocks of sampled images. It does
    not depend on the location of the video.

    Raises:
        VisError: The path is missing, cannot be read, or is neither a regular file nor a folder.
    """
    try:
        if path.is_dir():
            size, fingerprint = _fingerprint_folder(image_files(path))
            return SourceIdentity(absolute_path(path), "folder", size, fingerprint)
        size, fingerprint = _fingerprint_file(path)
        return SourceIdentity(absolute_path(path), "file", size, fingerprint)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise read_error(path, error) from error


def absolute_path(path: Path) -> Path:
    """Return an absolute path. Symbolic links are resolved only if the path contains `..`."""
    return real_path(path) if ".." in path.parts else path.absolute()


def absolute_text(path: str) -> str:
    """Return the text of `absolute_path`; fast for a path that is absolute and normal already."""
    is_normal = path.startswith("/") and os.path.normpath(path) == path
    return path if is_normal else str(absolute_path(Path(path)))


def source_size(path: Path) -> int:
    """Return the size in bytes of `identify_source`, without reading the content.

    Raises:
        OSError: The path is missing or cannot be read.
    """
    return sum(image.stat().st_size for image in image_files(path)) if path.is_dir() else path.stat().st_size


def source_difference(stored: SourceIdentity, now: SourceIdentity) -> str | None:
    """Describe in a few words how the content of a source differs from its stored identity. None: no difference."""
    if stored.kind != now.kind:
        return f"a {stored.kind} -> a {now.kind}"
    if stored.size != now.size:
        return f"{stored.size:,} -> {now.size:,} bytes"
    return "equal size, other content" if stored.fingerprint != now.fingerprint else None


def _fingerprint_file(path: Path) -> tuple[int, str]:
    size, blocks = _read_blocks(path, FILE_BLOCKS, FILE_BLOCK_BYTES)
    return size, _text(hashlib.sha256(b"".join([*blocks, str(size).encode()])).hexdigest())


def _fingerprint_folder(images: Sequence[Path]) -> tuple[int, str]:
    digest = hashlib.sha256()
    total = 0
    images = sorted(images, key=_portable_name)
    sampled = set(_spread(len(images) - 1, SAMPLED_IMAGES))
    for index, image in enumerate(images):
        size = image.stat().st_size
        total += size
        digest.update(_portable_name(image) + b"\0" + str(size).encode() + b"\0")
        if index in sampled:
            digest.update(b"".join(_read_blocks(image, IMAGE_BLOCKS, IMAGE_BLOCK_BYTES)[1]))
    return total, _text(digest.hexdigest())


def _portable_name(path: Path) -> bytes:
    """Encode a name independently of how the file system stores accents (Unicode NFC)."""
    return unicodedata.normalize("NFC", path.name).encode("utf-8", "surrogatepass")


def _read_blocks(path: Path, num_blocks: int, block_bytes: int) -> tuple[int, list[bytes]]:
    """Return the size of a file in bytes, and evenly spaced blocks of it, or the complete content of a small file."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= num_blocks * block_bytes:
            return size, [file.read(size)]
        blocks = []
        for offset in _spread(size - block_bytes, num_blocks):
            file.seek(offset)
            blocks.append(file.read(block_bytes))
        return size, blocks


def _spread(last: int, count: int) -> list[int]:
    """Return at most `count` evenly spaced integers from 0 to `last`, including both."""
    if last < count:
        return list(range(last + 1))
    return [index * last // (count - 1) for index in range(count)]


def _text(hexdigest: str) -> str:
    return f"{VERSION}:{hexdigest[:DIGEST_CHARACTERS]}"
