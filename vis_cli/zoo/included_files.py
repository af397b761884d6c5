"""Files of models that are part of the package: their folder, and the remedy if one is damaged; used by `folder`.

This module does not import torch.
"""

from __future__ import annotations

from pathlib import Path

from vis_cli.files.reading import real_path

REINSTALL = "The file is part of vis: install vis again."
FETCH = "Fetch or train the model again."


def zoo_dir() -> Path:
    """Return the folder of the included models: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def is_included(path: Path) -> bool:
    """Return whether a file or folder of a model is part of the package."""
    return real_path(path).is_relative_to(real_path(zoo_dir()))


def remedy(path: Path) -> str:
    """Return how to get a damaged or missing file of a model again."""
    return REINSTALL if is_included(path) else FETCH
