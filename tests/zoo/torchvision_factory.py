"""A cache of torchvision weights as its downloads leave it, filled with random ones: no network is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn

COCO_FILE = "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
IMAGENET_FILE = "resnet50-0676ba61.pth"
OLD_NAMES = (  # torchvision's own, as they are in its file of 2019
    (r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.", r"\1."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
)


def use_empty_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let torchvision look for its files in `folder` alone; return where they belong."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(folder))
    cache = folder / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return cache


def write_coco(folder: Path) -> MaskRCNN:
    """Write a Mask R-CNN of 91 classes to the cache, under old names; return it as torchvision would run it."""
    torch.manual_seed(0)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12  # torchvision sets 0 for these weights, which batch_norm of torch 2.10 rejects
            module.running_var.uniform_(0.5, 1.5)
    state = {_old_name(k): v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, folder / COCO_FILE)
    return model


def write_imagenet(folder: Path) -> dict[str, Tensor]:
    """Write a ResNet-50 to the cache; return its tensors."""
    torch.manual_seed(1)
    state: dict[str, Tensor] = dict(resnet50(weights=None).state_dict())
    torch.save(state, folder / IMAGENET_FILE)
    return state


def _old_name(key: str) -> str:
    key = re.sub(r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}.", key)
    for new, old in OLD_NAMES:
        key = re.sub(new, old, key)
    return key
