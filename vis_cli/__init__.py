"""Video instance segmentation with the Propose-Reduce paradigm (ICCV 2021).

For programs: `from vis_cli import segment_video`. Importing the package itself imports no torch.
"""

from __future__ import annotations

import os

from vis_cli.files.limits import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE

TYPE_CHECKING = False  # without `typing`, so that the handlers of signals in `__main__` are there sooner
if TYPE_CHECKING:
    from typing import Any

    from vis_cli.engine.segmenter import segment_video

__all__ = ["__version__", "segment_video"]

__version__ = "0.1.0"


# OpenCV reads these when it is imported: size limits for images, and no messages of its own on stderr.
for _name, _value in (
    ("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS)),
    ("OPENCV_IO_MAX_IMAGE_WIDTH", str(MAX_IMAGE_SIDE)),
    ("OPENCV_IO_MAX_IMAGE_HEIGHT", str(MAX_IMAGE_SIDE)),
    ("OPENCV_LOG_LEVEL", "SILENT"),
):
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    """Import `segment_video`, and torch with it, when it is first asked for."""
    if name == "segment_video":
        from vis_cli.engine.segmenter import segment_video

        return segment_video
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
