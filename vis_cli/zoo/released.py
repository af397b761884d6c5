"""The authors' checkpoints: their keys, shapes and categories.

Used by `vis models import`. A file is read without running any code that it may hold.
See docs/explanation/authors-implementation.md#datasets-and-checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.zoo.released_categories import CATEGORIES, ReleasedBackbone, ReleasedDataset
from vis_cli.zoo.torch_file import load_torch_file, take_tensors
from vis_cli.zoo.weights import COUNTER
from vis_cli.zoo.weights_file import listed, require_finite

# Short and long side: docs/explanation/authors-implementation.md#fact-2
SIZES: dict[ReleasedDataset, tuple[int, int]] = {
    "ytvis2019": (360, 640),
    "ytvis2021": (360, 640),
    "davis-uvos": (480, 854),
}
PREFIXES = {  # of our keys -> of the released ones; the first that fits counts
    "backbone.body.": "backbone.",
    **{f"fpn.inner_blocks.{i}.0.": f"neck.lateral_convs.{i}.conv." for i in range(4)},
    **{f"fpn.layer_blocks.{i}.0.": f"neck.fpn_convs.{i}.conv." for i in range(4)},
    "detector.rpn.head.conv.0.0.": "rpn_head.rpn_conv.",
    "detector.rpn.head.cls_logits.": "rpn_head.rpn_cls.",
    "detector.rpn.head.bbox_pred.": "rpn_head.rpn_reg.",
    "detector.box_head.fc6.": "bbox_head.shared_fcs.0.",
    "detector.box_head.fc7.": "bbox_head.shared_fcs.1.",
    "detector.box_predictor.cls_score.": "bbox_head.fc_cls.",
    "detector.box_predictor.bbox_pred.": "bbox_head.fc_reg.",
    **{f"detector.mask_head.{i}.0.": f"mask_head.convs.{i}.conv." for i in range(4)},
    "detector.mask_predictor.conv5_mask.": "mask_head.upsample.",
    "detector.mask_predictor.mask_fcn_logits.": "mask_head.conv_logits.",
    "prop_head.mask_conv.": "prop_head.enc_pos.",
    "prop_head.memory_encoder.block1.": "prop_head.enc_fuse.0.",
    "prop_head.memory_encoder.block2.": "prop_head.enc_fuse.1.",
    "prop_head.memory_encoder.key.": "prop_head.atn_key.",
    "prop_head.memory_encoder.value.": "prop_head.atn_value.",
    "prop_head.query_encoder.block1.": "prop_head.qry_fuse.0.",
    "prop_head.query_encoder.block2.": "prop_head.qry_fuse.1.",
    "prop_head.query_encoder.key.": "prop_head.qry_atn_key.",
    "prop_head.query_encoder.value.": "prop_head.qry_atn_value.",
    "prop_head.conv_merge.": "prop_head.convFM.",
    "prop_head.res_merge.": "prop_head.ResMM.",
    **{
        f"prop_head.refine{level}.{ours}.": f"prop_head.RF{level}.{theirs}."
        for level in (2, 3)
        for ours, theirs in (("conv_skip", "convFS"), ("res_skip", "ResFS"), ("res_merge", "ResMM"))
    },
    "prop_head.predict.": "prop_head.pred2.",
}
# A mask head that is never used: docs/explanation/authors-implementation.md#fact-17
UNUSED_PREFIXES = ("prop_head.convs.", "prop_head.upsample.", "prop_head.conv_logits.")
CLASS_KEY = "bbox_head.fc_cls.bias"  # one entry a class, background among them


@dataclass(frozen=True, slots=True)
class Imported:
    """Hold a checkpoint's model and what became of each of its tensors."""

    model: SeqMaskRCNN
    num_mapped: int
    num_unused: int  # of the dead mask head
    num_counters: int


def released_config(backbone: ReleasedBackbone, dataset: ReleasedDataset) -> ModelConfig:
    """Return the config of a released model: the paper's widths, legacy boxes."""
    short_side, long_side = SIZES[dataset]
    return ModelConfig(
        name=f"{backbone}-{dataset}",
        backbone=backbone,
        categories=CATEGORIES[dataset],
        short_side=short_side,
        long_side=long_side,
        box_convention="legacy",
    )


def import_released(path: Path, backbone: ReleasedBackbone, dataset: ReleasedDataset) -> Imported:
    """Read a checkpoint of the authors into a network, in float32.

    Raises:
        VisError: The file can run code, is damaged, is not a checkpoint, or belongs to another model or dataset.
    """
    state = read_state(path)
    with torch.device("meta"):  # shapes only, without random weights
        model = SeqMaskRCNN(released_config(backbone, dataset))
    ours = {key: value for key, value in model.state_dict().items() if not key.endswith(COUNTER)}
    wanted = {released_key(key): value for key, value in ours.items()}
    counters = [key for key in state if key.endswith(COUNTER)]
    unused = [key for key in state if key.startswith(UNUSED_PREFIXES)]
    given = {key: value for key, value in state.items() if key not in {*counters, *unused}}
    _require_dataset(path, given, dataset)
    _require_same(path, given, wanted, backbone)
    require_finite(given, path)
    model.load_state_dict({key: given[released_key(key)].float() for key in ours}, strict=False, assign=True)
    return Imported(model, len(given), len(unused), len(counters))


def released_key(key: str) -> str:
    """Return the name of a tensor in the authors' checkpoints.

    Raises:
        ValueError: The checkpoints have no such tensor.
    """
    for ours, theirs in PREFIXES.items():
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    raise ValueError(f"the authors' checkpoints have no tensor for {key}")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint `{'meta', 'state_dict', ...}` by name, without running code.

    Raises:
        VisError: The file cannot be read, can run code, is damaged, or is not a checkpoint.
    """
    loaded = load_torch_file(path)
    state = loaded.get("state_dict") if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping):
        raise VisError(f"cannot import {path}: it has no state_dict, so it is not a checkpoint of the authors")
    return take_tensors(state, path, "state_dict")


def _require_dataset(path: Path, given: Mapping[str, Tensor], dataset: ReleasedDataset) -> None:
    """Compare the number of classes. YouTube-VIS and DAVIS have different numbers."""
    if CLASS_KEY not in given or given[CLASS_KEY].ndim != 1:
        return  # then `_require_same` names it
    found, expected = len(given[CLASS_KEY]) - 1, len(CATEGORIES[dataset])
    if found != expected:
        fitting = [name for name, categories in CATEGORIES.items() if len(categories) == found]
        hint = f"Use --dataset {' or '.join(fitting)}." if fitting else "The dataset is unknown."
        problem = f"it has {_classes(found)}, but {dataset} has {_classes(expected)}"
        raise VisError(f"cannot import {path}: {problem}", hint=hint)


def _classes(count: int) -> str:
    return f"{count} class" if count == 1 else f"{count} classes"


def _require_same(
    path: Path, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], backbone: ReleasedBackbone
) -> None:
    """Raise a VisError unless the file has exactly the tensors of the model, with the same shapes."""
    problems = {
        "missing": [key for key in wanted if key not in given],
        "left over": [key for key in given if key not in wanted],
        "of another shape": [
            f"{key} {list(given[key].shape)} instead of {list(wanted[key].shape)}"
            for key in wanted
            if key in given and given[key].shape != wanted[key].shape
        ],
    }
    told = [f"{len(names)} {kind} ({listed(names)})" for kind, names in problems.items() if names]
    if told:
        looks = _guess_backbone(given)
        hint = f"It looks like {looks}. Use --as {looks}." if looks not in (None, backbone) else ""
        problem = f"it is not a {backbone} checkpoint of the authors: of its tensors {', '.join(told)}"
        raise VisError(f"cannot import {path}: {problem}", hint=hint)


def _guess_backbone(given: Mapping[str, Tensor]) -> str | None:
    """Return the backbone, by its depth and its grouped convolutions; None if it is unknown."""
    grouped = given.get("backbone.layer1.0.conv2.weight")
    if grouped is None or grouped.ndim != 4 or "neck.fpn_convs.0.conv.weight" not in given:
        return None
    deep = "backbone.layer3.22.conv1.weight" in given
    if grouped.shape[0] == grouped.shape[1]:
        return "r101" if deep else "r50"
    return "x101" if deep else None
