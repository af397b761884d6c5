"""Video instance segmentation with the Propose-Reduce paradigm (ICCV 2021).

`__all__` lists the public names, which docs/reference/python.md describes. All other names are private. Importing the
package does not import torch. The module of a public name is imported at the first use of the name.
"""

from __future__ import annotations

import os

from vis_cli.files.limits import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE

TYPE_CHECKING = False  # not imported from `typing`, so that `__main__` installs the signal handlers sooner
if TYPE_CHECKING:
    from typing import Any

    from vis_cli.engine.segmenter import Segmenter, segment_video
    from vis_cli.errors import VisError
    from vis_cli.records.prompts import BoxPrompt, PointPrompt
    from vis_cli.records.result_json import read_result, write_result
    from vis_cli.records.types import Category, InstanceSequence, ModelInfo, ResultFrame, VideoInfo, VideoResult
    from vis_cli.records.video import Video, open_video
    from vis_cli.settings import PRESETS, RunSettings, SegmentSettings
    from vis_cli.zoo.composition import load_network as load_model
    from vis_cli.zoo.weights import LoadedModel

__all__ = [
    "PRESETS",
    "BoxPrompt",
    "Category",
    "InstanceSequence",
    "LoadedModel",
    "ModelInfo",
    "PointPrompt",
    "ResultFrame",
    "RunSettings",
    "SegmentSettings",
    "Segmenter",
    "Video",
    "VideoInfo",
    "VideoResult",
    "VisError",
    "__version__",
    "load_model",
    "open_video",
    "read_result",
    "segment_video",
    "write_result",
]

__version__ = "0.1.0"

# Module and original name of each public name.
_PUBLIC = {
    "PRESETS": ("settings", "PRESETS"),
    "BoxPrompt": ("records.prompts", "BoxPrompt"),
    "Category": ("records.types", "Category"),
    "InstanceSequence": ("records.types", "InstanceSequence"),
    "LoadedModel": ("zoo.weights", "LoadedModel"),
    "ModelInfo": ("records.types", "ModelInfo"),
    "PointPrompt": ("records.prompts", "PointPrompt"),
    "ResultFrame": ("records.types", "ResultFrame"),
    "RunSettings": ("settings", "RunSettings"),
    "SegmentSettings": ("settings", "SegmentSettings"),
    "Segmenter": ("engine.segmenter", "Segmenter"),
    "Video": ("records.video", "Video"),
    "VideoInfo": ("records.types", "VideoInfo"),
    "VideoResult": ("records.types", "VideoResult"),
    "VisError": ("errors", "VisError"),
    "load_model": ("zoo.composition", "load_network"),
    "open_video": ("records.video", "open_video"),
    "read_result": ("records.result_json", "read_result"),
    "segment_video": ("engine.segmenter", "segment_video"),
    "write_result": ("records.result_json", "write_result"),
}


# OpenCV reads these variables when it is imported: size limits for images, and no OpenCV messages on stderr.
for _name, _value in (
    ("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS)),
    ("OPENCV_IO_MAX_IMAGE_WIDTH", str(MAX_IMAGE_SIDE)),
    ("OPENCV_IO_MAX_IMAGE_HEIGHT", str(MAX_IMAGE_SIDE)),
    ("OPENCV_LOG_LEVEL", "SILENT"),
):
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, original = _PUBLIC[name]
    return getattr(import_module(f"vis_cli.{module}"), original)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
