"""Kinds of detectors by their names, without torch; used by `lookup` and the commands."""

from __future__ import annotations

from vis_cli.zoo.included_detectors import INCLUDED_DETECTORS
from vis_cli.zoo.torchvision_names import COCO_V2_NAME, TORCHVISION_PREFIX

ONNX_SUFFIX = ".onnx"


def is_box_detector(name: str) -> bool:
    """Return whether the name belongs to a detector of boxes, not to a model folder."""
    is_torchvision = name == COCO_V2_NAME or name.startswith(TORCHVISION_PREFIX)
    return name in INCLUDED_DETECTORS or is_torchvision or is_onnx(name)


def is_onnx(name: str) -> bool:
    """Return whether the name belongs to an ONNX file."""
    return name.lower().endswith(ONNX_SUFFIX)
