"""Seq Mask R-CNN: the layers and their named verbs; used by the engine and the trainer, knows torch only."""

import os
from pathlib import Path

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_EXISTING = str(Path(__file__).parent)

# torchvision imports torch's compiler, which creates its cache folder at its import: an empty folder in the folder for
# temporary files, in each run. Nothing here is compiled. A folder that exists leaves nothing behind.
os.environ.setdefault(CACHE_VARIABLE, _EXISTING)


def restore_cache_folder() -> None:
    """Give torch's compiler its own cache folder back, after torchvision was imported."""
    if os.environ.get(CACHE_VARIABLE) == _EXISTING:
        del os.environ[CACHE_VARIABLE]
