"""torchvision's COCO Mask R-CNN as `vis models` describes it, without importing torchvision.

Used by `composition` and `vis models`. A test compares these constants with torchvision's.
"""

from __future__ import annotations

import os
from pathlib import Path

from vis_cli.network.config import ModelConfig
from vis_cli.records.types import Category

COCO_NAME = "coco-r50"  # torchvision's COCO Mask R-CNN; FOLLOWER propagates what it detects
FOLLOWER = "lite"
COCO_URL = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
COCO_PARAMETERS = 44_401_393

UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})  # of COCO's ids 1 to 90
NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)


def coco_categories() -> tuple[Category, ...]:
    """Return COCO's 80 categories with COCO's ids, which are also the rows of torchvision's class layers."""
    ids = (number for number in range(1, 91) if number not in UNUSED_IDS)
    return tuple(Category(number, name) for number, name in zip(ids, NAMES.split(", "), strict=True))


def coco_config() -> ModelConfig:
    """Describe torchvision's COCO Mask R-CNN; the widths of the Seq-Prop head have no meaning for it."""
    return ModelConfig(name=COCO_NAME, backbone="r50", categories=coco_categories())


def coco_file() -> Path:
    """Return where torchvision caches the weights: in the folder of `torch.hub`, as the environment sets it."""
    cache = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch")  # noqa: PTH118 - torch joins them so
    return Path(os.getenv("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints" / COCO_URL.rpartition("/")[2]
