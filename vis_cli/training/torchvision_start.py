"""The start of a ResNet from torchvision's weights: ImageNet's for the backbone, COCO's for all of the detector.

Used by `imagenet` and by the trainer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights, ResNet101_Weights, ResNeXt101_64X4D_Weights

from vis_cli.errors import VisError
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.torchvision_weights import CLASS_LAYERS, by_row, coco_categories, fetch_coco_r50, fetch_state
from vis_cli.records.categories import CategoryMap

IMAGENET = {
    "r50": ResNet50_Weights.IMAGENET1K_V1,
    "r101": ResNet101_Weights.IMAGENET1K_V1,
    "x101": ResNeXt101_64X4D_Weights.IMAGENET1K_V1,
}
COCO_BACKBONE = "r50"  # torchvision has COCO weights for no other one


def load_imagenet_resnet(model: SeqMaskRCNN) -> None:
    """Load torchvision's ImageNet weights into the model's ResNet.

    Raises:
        VisError: no such start is known for this backbone, or the weights cannot be fetched.
    """
    if model.config.backbone not in IMAGENET:
        raise VisError(f'no ImageNet start is known for {model.config.backbone}; give init = "none" or a model folder')
    state = fetch_state(IMAGENET[model.config.backbone])
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    missing, unexpected = model.backbone.body.load_state_dict(body, strict=False)
    if unexpected or any("num_batches" not in key for key in missing):
        raise ValueError(f"torchvision's ImageNet weights do not fit: {missing}, {unexpected}")


@torch.no_grad()
def load_coco(model: SeqMaskRCNN) -> None:
    """Load torchvision's COCO Mask R-CNN into backbone, FPN, RPN and heads; classes are matched by name.

    A class that COCO does not know keeps its random start. The Seq-Prop head is left alone.

    Raises:
        VisError: the model has another backbone or other widths, or the weights cannot be fetched.
    """
    if model.config.backbone != COCO_BACKBONE:
        raise VisError(
            f'init = "coco" is known for {COCO_BACKBONE} only, not for {model.config.backbone}; give init = "imagenet"'
        )
    own, state = model.state_dict(), fetch_coco_r50()
    rows = _coco_rows(model)
    for key, value in state.items():
        if not key.startswith(CLASS_LAYERS):
            _require_shape(key, own[key], value)
            own[key].copy_(value)
        elif model.config.class_specific or key.startswith(CLASS_LAYERS[0]):
            _copy_classes(key, own[key], value, rows, model.config.num_classes + 1)


def _coco_rows(model: SeqMaskRCNN) -> dict[int, int]:
    """Return for each label that COCO knows, background among them, its row in torchvision's class layers."""
    coco = CategoryMap(coco_categories())
    found = {label: coco.find(category.name) for label, category in enumerate(model.config.categories, start=1)}
    return {0: 0, **{label: row for label, row in found.items() if row is not None}}


def _copy_classes(key: str, own: Tensor, coco: Tensor, rows: dict[int, int], num_labels: int) -> None:
    num_coco = max(category.id for category in coco_categories()) + 1
    target, source = by_row(own, num_labels), by_row(coco, num_coco)  # views
    _require_shape(key, target[0], source[0])
    for label, row in rows.items():
        target[label].copy_(source[row])


def _require_shape(key: str, own: Tensor, coco: Tensor) -> None:
    if own.shape != coco.shape:
        raise VisError(
            f'init = "coco" needs the widths of the paper, but {key} is {list(own.shape)} instead of {list(coco.shape)}'
        )
