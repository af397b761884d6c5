"""PicoDet-S as a detector of boxes. Its weights are part of the model zoo; used by `lookup`."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.network.config import MAX_CALIBRATION, Calibration
from vis_cli.network.picodet import INPUT_SIDE, PicoDet
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category, ModelInfo
from vis_cli.zoo.detectors.protocol import FoundBoxes, KeyFrame
from vis_cli.zoo.header import read_header
from vis_cli.zoo.included_detectors import PICODET_NAME
from vis_cli.zoo.included_files import remedy, zoo_dir
from vis_cli.zoo.weights_file import read_tensors

FILE_NAME = "detector.safetensors"  # not the name of the weights of a model, because it does not propagate
MIN_SCORE = 0.05  # of a box. Lower scores hardly change results, but take time


class PicoDetDetector:
    """PicoDet-S in float32. Its input is smaller than the network input of most models."""

    reads_video = False

    def __init__(self, model: PicoDet, info: ModelInfo, calibration: Calibration | None = None) -> None:
        """Wrap a network.

        Args:
            model: It is in evaluation mode, on its device.
            info: What names the model in results.
            calibration: Of the scores.
        """
        self.info = info
        self.calibration = calibration
        self.categories: tuple[Category, ...] = coco_categories()
        self._model = model
        self._device = next(model.parameters()).device

    def on_device(self, device: torch.device) -> PicoDetDetector:
        """Return this detector on a device. On another device than before, it is a copy."""
        if device == self._device:
            return self
        return PicoDetDetector(copy.deepcopy(self._model).to(device), self.info, self.calibration)

    @torch.inference_mode()
    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        """Find the boxes of a key frame. Several boxes of one object are possible.

        Args:
            key_frame: The key frame. It is resized to a square.
            mask_size: Not used, because this detector finds no masks.
        """
        height, width = key_frame.pixels.shape[:2]
        square = cv2.resize(key_frame.pixels, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(square).to(self._device).permute(2, 0, 1)[None].float()
        with torch.autocast(self._device.type, enabled=False):
            boxes, scores = self._model(image)
        cells, classes = torch.nonzero(scores > MIN_SCORE, as_tuple=True)
        sides = torch.tensor([width, height, width, height], device=self._device)
        return FoundBoxes(
            (boxes[cells].clamp(0, INPUT_SIDE) * sides / INPUT_SIDE).cpu().numpy(),
            scores[cells, classes].cpu().numpy(),
            (classes + 1).cpu().numpy().astype(np.int64),
            (None,) * len(cells),
        )


def picodet_file() -> Path:
    """Return the weights file."""
    return zoo_dir() / PICODET_NAME / FILE_NAME


def load_picodet(device: torch.device) -> PicoDetDetector:
    """Load PicoDet-S.

    Raises:
        VisError: The weights file is missing or damaged.
    """
    path = picodet_file()
    _require_file(path)
    model = PicoDet()
    model.load_state_dict(read_tensors(path, {name: value.shape for name, value in model.state_dict().items()}))
    model = model.eval().requires_grad_(False).to(device)
    return PicoDetDetector(model, identify_picodet(), _read_calibration(path))


def identify_picodet() -> ModelInfo:
    """Return name and hash of PicoDet-S, without loading it.

    Raises:
        VisError: The weights file is missing.
    """
    path = picodet_file()
    _require_file(path)
    return ModelInfo(PICODET_NAME, sha256_of(path))


def _read_calibration(path: Path) -> Calibration | None:
    """Return the calibration in the metadata. None: it is missing or damaged, so the scores stay as they are."""
    try:
        slope, offset = (float(value) for value in json.loads(read_header(path).metadata["calibration"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return (slope, offset) if 0 < slope <= MAX_CALIBRATION and abs(offset) <= MAX_CALIBRATION else None


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise VisError(f"the weights of {PICODET_NAME} are missing", where=str(path), hint=remedy(path))
