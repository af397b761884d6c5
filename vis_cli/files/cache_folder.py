"""Folder for files that `vis` can compute again; used by the conversion of networks for OpenVINO."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path | None:
    """Return the cache folder of the user for `vis`, which may not exist. None: the home folder is unknown.

    It is `vis` in XDG_CACHE_HOME, in ~/Library/Caches on macOS, otherwise in ~/.cache.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():  # the specification ignores relative paths
        return chosen / "vis"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "vis"
