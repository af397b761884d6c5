"""SHA-256 of files of any size and of strings. Used when weights are loaded or imported, and by `partial_result`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vis_cli.files.limits import MIB
from vis_cli.files.reading import open_regular, read_error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file as hexadecimal digits. The file is read in parts of 1 MiB.

    Raises:
        VisError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while part := file.read(MIB):
                digest.update(part)
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error
    return digest.hexdigest()


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a string as hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
