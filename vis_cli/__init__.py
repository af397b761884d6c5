"""Video instance segmentation with the Propose-Reduce paradigm (ICCV 2021).

For programs: `from vis_cli import segment_video`. Importing the package itself imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vis_cli.engine.segmenter import segment_video

__all__ = ["__version__", "segment_video"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `segment_video`, and torch with it, when it is first asked for."""
    if name == "segment_video":
        from vis_cli.engine.segmenter import segment_video

        return segment_video
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
