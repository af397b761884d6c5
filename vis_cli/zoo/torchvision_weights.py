"""Weights that torchvision offers: downloaded, checked and cached by it, named as ours are.

Used by `composition` for COCO's classes at once, and by the trainer's starts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from vis_cli.errors import VisError
from vis_cli.zoo.torch_file import DAMAGE

COCO_R50 = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
PREFIXES = {
    "backbone.body.": "backbone.body.",
    "backbone.fpn.": "fpn.",
    "rpn.": "detector.rpn.",
    "roi_heads.": "detector.",
}
CLASS_LAYERS = (  # whose first axis runs over classes, background first
    "detector.box_predictor.cls_score",
    "detector.box_predictor.bbox_pred",
    "detector.mask_predictor.mask_fcn_logits",
)
NORM_EPS = 1e-5  # of our batch norms; torchvision's COCO models were trained, and run, without


def fetch_state(weights: Any) -> Mapping[str, Tensor]:
    """Return the tensors of a weights entry of torchvision. They are fetched if they are not in the cache.

    Raises:
        VisError: They cannot be fetched, or the file in the cache is damaged.
    """
    path = cached_file(weights)
    is_cached = path.exists()
    try:
        with redirect_stdout(sys.stderr):  # torch prints there what it downloads, but stdout is for results
            state: Mapping[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except DAMAGE as error:
        if is_cached or not isinstance(error, OSError):
            raise VisError(
                f"cannot read {path}: it is damaged", hint="Delete it, then run the command again."
            ) from error
        raise VisError(
            f"cannot fetch {weights.url}: {getattr(error, 'reason', error)}",
            hint=f"Fetch it on another machine, and put it into {path.parent}.",
        ) from error
    return state


def cached_file(weights: Any) -> Path:
    """Return the path of a weights entry in the cache of torchvision."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name


def load_fetched(model: nn.Module, weights: Any, *, assign: bool = False) -> None:
    """Load a weights entry of torchvision into torchvision's own model. It is fetched if it is not in the cache.

    Args:
        model: The model.
        weights: The entry.
        assign: Use the tensors of the file instead of copying their values, as a model without values needs it.

    Raises:
        VisError: as `fetch_state`, or the file in the cache contains another model.
    """
    state = fetch_state(weights)
    try:
        model.load_state_dict(state, assign=assign)
    except (RuntimeError, TypeError, AttributeError) as error:  # other tensors, no table, a name that is no string
        hint = "Delete it, then run the command again."
        raise VisError(f"cannot read {cached_file(weights)}: it contains another model", hint=hint) from error


def fetch_coco_r50() -> dict[str, Tensor]:
    """Return torchvision's COCO Mask R-CNN under our names, its 91 class rows as they are.

    Raises:
        VisError: as `fetch_state`.
    """
    with torch.device("meta"):  # the shapes alone: it knows the names of its own older files
        model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    load_fetched(model, COCO_R50, assign=True)
    state = {_our_key(key): value.detach() for key, value in model.state_dict().items()}
    return {key: value - NORM_EPS if key.endswith("running_var") else value for key, value in state.items()}


def select_classes(state: Mapping[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Select rows of the class layers, in this order. Row 0 is the background."""
    num_rows = len(state[f"{CLASS_LAYERS[0]}.bias"])
    return {
        key: by_row(value, num_rows)[list(rows)].flatten(0, 1) if key.startswith(CLASS_LAYERS) else value
        for key, value in state.items()
    }


def by_row(tensor: Tensor, num_rows: int) -> Tensor:
    """Reshape a tensor of a class layer from (rows * channels, ...) to (rows, channels, ...)."""
    return tensor.reshape(num_rows, -1, *tensor.shape[1:])


def _our_key(key: str) -> str:
    for theirs, ours in PREFIXES.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    raise ValueError(f"torchvision's {key} has no counterpart")
