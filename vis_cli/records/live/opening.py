"""Choice of a live source: the number of a camera, a URL, `-` for a pipe, or a file. Used by `commands.live`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.names import safe_file_name
from vis_cli.files.reading import require_regular
from vis_cli.hints import did_you_mean
from vis_cli.records.live.camera import Camera
from vis_cli.records.live.source import LiveSource
from vis_cli.records.live.stream import PROTOCOLS, open_address, open_file, open_pipe

PIPE = "-"
MAX_STEM_BYTES = MAX_NAME_BYTES - len(".jsonl")
_ADDRESS = re.compile("([A-Za-z][A-Za-z0-9+.-]*)://(.+)")
_CAMERA = re.compile("[0-9]{1,3}")


def open_source(text: str, *, stream: int | None = None) -> LiveSource:
    """Open a live source.

    Args:
        text: The number of a camera such as "0", a URL, "-" for standard input, or the path of a file or of the device
            file of a camera. A file is played in real time.
        stream: Index among the video streams of a URL, pipe or file. None: the best one.

    Raises:
        VisError: The source does not exist, cannot be read, or sends no frame.
    """
    if _CAMERA.fullmatch(text):
        return Camera(int(text))
    if text == PIPE:
        if sys.stdin is None or sys.stdin.isatty():
            hint = "Use a pipe, such as: ffmpeg … -f mpegts - | vis segment - --live -o DIR."
            raise VisError("cannot read -: standard input is not a pipe", hint=hint)
        return open_pipe(sys.stdin.fileno(), name=source_name(text), shown="standard input", number=stream)
    if address := _ADDRESS.fullmatch(text):
        protocol = address[1].lower()
        if protocol not in PROTOCOLS:
            raise VisError(f"cannot read {shown_address(text)}", hint=did_you_mean(protocol, PROTOCOLS))
        return open_address(text, name=source_name(text), shown=shown_address(text), number=stream)
    path = Path(text)
    if path.is_char_device():
        return Camera(str(path))
    if path.is_dir():
        hint = "Pass the number of a camera, a URL, - or a file."
        raise VisError(f"cannot read {path}: a folder is not a live source", hint=hint)
    if not path.exists():
        hint = "Pass the number of a camera, a URL, - or a file."
        raise VisError(f"cannot read {path}: no such camera, URL or file", hint=hint)
    require_regular(path)
    return open_file(path, number=stream)


def source_name(text: str) -> str:
    """Return the name of the output files of a source, without extension: `camera0`, `stdin` or `192.168.1.20_554`."""
    if _CAMERA.fullmatch(text):
        return f"camera{int(text)}"
    if text == PIPE:
        return "stdin"
    name = Path(text).stem
    if _ADDRESS.fullmatch(text):
        parts = urlsplit(shown_address(text))
        name = "_".join(part for part in (*parts.netloc.split(":"), *parts.path.split("/")) if part)
    return safe_file_name(name, max_bytes=MAX_STEM_BYTES, fallback="live")


def shown_address(address: str) -> str:
    """Return a URL without user name, password and query, which can be secret."""
    protocol, _, rest = address.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path}"


__all__ = ["open_source", "shown_address", "source_name"]
