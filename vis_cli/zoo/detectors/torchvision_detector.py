"""Detectors of torchvision for COCO's 80 categories. They run torchvision's own inference in float32.

Used by `composition`. `names` lists the detectors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model_builder, get_model_weights
from torchvision.models.detection import MaskRCNN

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category, ModelInfo
from vis_cli.zoo.detectors.protocol import FoundBoxes, KeyFrame
from vis_cli.zoo.torchvision_names import TorchvisionFacts, torchvision_facts
from vis_cli.zoo.torchvision_weights import cached_file, fetch_state, load_fetched

NUM_ROWS = 91  # of the class layers: the background, then COCO's ids 1 to 90. Ten of them are not used

Size = tuple[int, int]  # (h, w)
Found = dict[str, Tensor]  # boxes (N, 4), scores (N,), labels (N,) that are rows of the class layers, maybe masks


class TorchvisionDetector:
    """A detector of torchvision. Its class rows become labels of the 80 categories."""

    reads_video = True
    calibration = None

    def __init__(self, model: nn.Module, info: ModelInfo) -> None:
        """Wrap a model of torchvision.

        Args:
            model: A model with 91 class rows in evaluation mode, on its device.
            info: What names the model in results.
        """
        self.info = info
        self.categories: tuple[Category, ...] = coco_categories()
        self._model: Any = model  # torchvision has no types
        self._device = next(model.parameters()).device
        self._label_of_row = torch.zeros(NUM_ROWS, dtype=torch.int64, device=self._device)  # 0: the row is not used
        for label, category in enumerate(self.categories, start=1):
            self._label_of_row[category.id] = label

    @torch.inference_mode()
    def detect(self, key_frame: KeyFrame, *, mask_size: Size) -> FoundBoxes:
        """Find the objects of a key frame above torchvision's own score threshold.

        Args:
            key_frame: The key frame.
            mask_size: (h, w) of the masks. The masks are None if the detector finds only boxes.

        Raises:
            VisError: The key frame is so narrow that its short side has no pixel at the input size.
        """
        self._require_width(key_frame)
        image = torch.tensor(key_frame.pixels, device=self._device).permute(2, 0, 1) / 255  # (3, H, W) from 0 to 1
        with torch.autocast(self._device.type, enabled=False):
            if isinstance(self._model, MaskRCNN):
                return self._to_boxes(self._detect_masks(self._model, image, mask_size))
            return self._to_boxes(self._select_used(self._model([image])[0]))

    def _detect_masks(self, model: MaskRCNN, image: Tensor, mask_size: Size) -> Found:
        """Run the parts of a Mask R-CNN one after another, and paste its masks at `mask_size`."""
        inputs, _ = model.transform([image])
        features = model.backbone(inputs.tensors)
        proposals, _ = model.rpn(inputs, features)
        found = self._select_used(model.roi_heads(features, proposals, inputs.image_sizes)[0][0])
        at_mask_size = {name: found[name] for name in ("boxes", "masks")}
        model.transform.postprocess([at_mask_size], inputs.image_sizes, [mask_size])  # in place
        boxes = {"boxes": found["boxes"]}
        model.transform.postprocess([boxes], inputs.image_sizes, [tuple(image.shape[-2:])])
        return found | boxes | {"masks": at_mask_size["masks"].squeeze(1)}  # (N, h, w)

    def _select_used(self, found: Found) -> Found:
        """Drop the detections of rows without a category."""
        is_used = self._label_of_row[found["labels"]] > 0
        return {name: values[is_used] for name, values in found.items()}

    def _to_boxes(self, found: Found) -> FoundBoxes:
        arrays = {name: values.cpu().numpy() for name, values in found.items()}
        labels = self._label_of_row[found["labels"]].cpu().numpy()
        masks = tuple(arrays["masks"]) if "masks" in arrays else (None,) * len(labels)
        return FoundBoxes(arrays["boxes"], arrays["scores"], labels, masks)

    def _require_width(self, key_frame: KeyFrame) -> None:
        transform = self._model.transform
        height, width = key_frame.pixels.shape[:2]
        short, long = sorted((height, width))
        scale = min(transform.min_size[-1] / short, transform.max_size / long)
        if transform.fixed_size is None and short * scale < 1:
            problem = f"{self.info.name} cannot read a frame of {width}x{height} pixels: it is too narrow"
            raise VisError(problem, hint="Use another detector.")


def load_torchvision_detector(name: str, device: torch.device | None = None) -> TorchvisionDetector:
    """Load a detector of torchvision in float32.

    Args:
        name: `coco-r50-v2` or `torchvision:NAME`.
        device: None selects the CPU.

    Raises:
        VisError: No detector has this name, or its weights are damaged or cannot be fetched.
    """
    facts = torchvision_facts(name)
    model = get_model_builder(facts.function)(weights=None, weights_backbone=None)
    load_fetched(model, _weights(facts))
    model = model.eval().requires_grad_(False).to(device or torch.device("cpu"))
    return TorchvisionDetector(model, _info(facts))


def identify_torchvision_detector(name: str) -> ModelInfo:
    """Return the name and hash of a detector. Its weights are fetched if they are missing. No network is built.

    Raises:
        VisError: as `load_torchvision_detector`, except that damaged weights are not detected.
    """
    facts = torchvision_facts(name)
    weights = _weights(facts)
    if not cached_file(weights).is_file():
        fetch_state(weights)
    return _info(facts)


def _weights(facts: TorchvisionFacts) -> Any:
    """Return torchvision's entry of the weights."""
    return get_model_weights(facts.function)["COCO_V1"]


def _info(facts: TorchvisionFacts) -> ModelInfo:
    return ModelInfo(facts.name, sha256_of(cached_file(_weights(facts))))
