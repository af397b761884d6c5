"""Mutators of what lies at a path: another type of file, a link, a pipe, a huge or unreadable file, a hostile name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.robustness.octets import mutate_bytes

HUGE = 2**32 + 4096  # bytes of a sparse file
SMALL = 2**27
NAMES = (
    *(b"esc\x1b[31m", b"line\nbreak", b"\xff\xfe", "\u202egnp".encode(), "\u009b31m".encode(), b"[red]x"),
    *(b"-dash", b" blank ", b"x" * 240, "é".encode() * 120, b"%05d", b"a*b", b"a[0]", b"~", b"tab\t", b"quote'\""),
    *("日本語".encode(), b".hidden", b"._mac", b"name.json", b"9" * 200, b"con", b"a:b", b"\\back", b"x.tmp-1"),
)


def swap_type(rng: Random, path: Path) -> str:
    """Put something else in the place of a file or folder; return what."""
    _clear(path)
    kind = rng.choice(sorted(SWAPS))
    SWAPS[kind](path)
    return kind


def rename(rng: Random, path: Path) -> Path:
    """Give a file a hostile name, with its suffix kept as a rule; return the new path."""
    suffix = path.suffix.encode() if rng.random() < 0.9 else b""
    name = os.fsdecode(rng.choice(NAMES)[: 250 - len(suffix)] + suffix)
    return path.rename(path.parent / name) if name != path.name else path


def disturb_folder(rng: Random, folder: Path) -> str:
    """Add, remove, rename or swap a file of a folder; return what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    kind = rng.choice(("add", "add", "swap", "swap", "rename", "remove", "copy", "bytes", "empty"))
    if kind == "add":
        name = os.fsdecode(rng.choice(EXTRAS))
        place = folder / name
        if not place.exists() and not place.is_symlink():
            SWAPS[rng.choice(sorted(SWAPS))](place)
    elif kind == "empty" or not files:
        _clear(folder)
        folder.mkdir()
    else:
        path = rng.choice(files)
        is_small = not path.is_symlink() and path.stat().st_size < SMALL  # or a copy would fill the disk
        _disturb_file(rng, kind if is_small else "remove", path)
    return kind


def _disturb_file(rng: Random, kind: str, path: Path) -> None:
    if kind == "swap":
        swap_type(rng, path)
    elif kind == "rename":
        rename(rng, path)
    elif kind == "remove":
        path.unlink()
    elif kind == "copy":
        suffix = rng.choice((".png", ".jpg", ".PNG", ".JPG", ".jfif", ".mp4", ".gif", ".txt"))
        copied = path.with_name(f"{path.stem}{rng.choice(('', '_2', ' copy'))}{suffix}")
        if not copied.exists() and not copied.is_symlink():
            shutil.copyfile(path, copied)
    else:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)


def _huge_text(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(HUGE)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    os.mknod(path, 0o140644)


SWAPS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": _socket,
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to /dev/null": lambda path: path.symlink_to("/dev/null"),
    "link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": _loop,
    "link to its folder": lambda path: path.symlink_to("."),
    "empty": Path.touch,
    "sparse": _huge,
    "sparse text": _huge_text,
}
EXTRAS = (
    *(b"preview.mp4", b"thumb.gif", b"notes.txt", b"._00000.png", b".DS_Store", b"Thumbs.db", b"00002.jfif", b"0.png"),
    *(b"99999.png", b"00001.PNG", b"00000.tiff", b"x.json", b"sub", b"00001b.jpg", b"9" * 200 + b".jpg", b"a.webp"),
    *(b"esc\x1b[31m.png", b"\xff.png", "\u202e.jpg".encode(), b"line\nbreak.mp4", b"00003.png", b"2.jpg", b"x.avif"),
)
