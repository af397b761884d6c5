"""Files that are whole or absent: written under a temporary name, then renamed.

Used by every writer of `records`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vis_cli.errors import VisError

KEPT_STEM = 40  # letters of the name: all of a long one, and more, would be too long for a file system


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside `final` that becomes `final` when the body ends well.

    The temporary name is hidden and keeps the suffix, so that writers which choose a format by suffix still can.
    Missing folders are made. After any exception in the body the temporary file is gone and `final` is as it was.

    Raises:
        VisError: the folder or the file cannot be written (no permission, disk full, `final` is a folder).
    """
    temporary = final.with_name(f".{final.stem[:KEPT_STEM]}.tmp-{os.getpid()}{final.suffix}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise VisError(f"{final}: cannot be written ({error.strerror or error})") from error
