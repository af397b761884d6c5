"""torchvision's COCO Mask R-CNN as `vis models` describes it, without importing torchvision.

Used by `composition` and `vis models`. A test compares these constants with torchvision's.
"""

from __future__ import annotations

import os
from pathlib import Path

from vis_cli.network.config import ModelConfig
from vis_cli.records.coco_categories import coco_categories

COCO_NAME = "coco-r50"  # torchvision's COCO Mask R-CNN; FOLLOWER propagates what it detects
FOLLOWER = "lite"
COCO_URL = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
COCO_PARAMETERS = 44_401_393


def coco_config() -> ModelConfig:
    """Describe torchvision's COCO Mask R-CNN; the widths of the Seq-Prop head have no meaning for it."""
    return ModelConfig(name=COCO_NAME, backbone="r50", categories=coco_categories())


def coco_file() -> Path:
    """Return where torchvision caches the weights."""
    return hub_file(COCO_URL)


def hub_file(url: str) -> Path:
    """Return where torchvision caches a download: in the folder of `torch.hub`, as the environment sets it."""
    cache = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch")  # noqa: PTH118 - torch joins them so
    return Path(os.getenv("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints" / url.rpartition("/")[2]
