"""Value of `--model` for a model folder; used by the commands that write one, without torch."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from vis_cli.zoo.detectors.kinds import is_onnx


def model_argument(folder: Path) -> str:
    """Return what selects a model folder with `--model`, quoted for a shell.

    A name without a separator can also belong to an included model or to a detector, and a name that begins with a
    dash is an option. Therefore such a name becomes a path.

    >>> model_argument(Path("lite"))
    './lite'
    >>> model_argument(Path("runs/lite"))
    'runs/lite'
    """
    text = str(folder) if os.sep in str(folder) else f"{os.curdir}{os.sep}{folder}"
    return shlex.quote(text + os.sep if is_onnx(text) else text)
