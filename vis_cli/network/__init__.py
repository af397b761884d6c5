"""Seq Mask R-CNN: layers and their named methods; used by the engine and by training."""

import os
from pathlib import Path

from vis_cli.network.late_compiler import import_compiler_late

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_EXISTING = str(Path(__file__).parent)

import_compiler_late()
# If the compiler is still imported: in each run, it creates an empty cache folder in the
# folder for temporary files, unless its cache folder exists. `vis` compiles nothing.
os.environ.setdefault(CACHE_VARIABLE, _EXISTING)


def restore_cache_folder() -> None:
    """Restore the cache folder of the compiler of PyTorch. Call it after the import of torchvision."""
    if os.environ.get(CACHE_VARIABLE) == _EXISTING:
        del os.environ[CACHE_VARIABLE]
