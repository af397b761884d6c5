"""Detectors of boxes by name: PicoDet-S, torchvision's models and ONNX files; used by `composition`.

A detector and its library are imported at the first use.
"""

from __future__ import annotations

from pathlib import Path

from vis_cli.records.types import ModelInfo
from vis_cli.zoo.detectors.kinds import is_onnx
from vis_cli.zoo.detectors.protocol import BoxDetector
from vis_cli.zoo.included_detectors import PICODET_NAME
from vis_cli.zoo.weights import LoadedModel


def load_box_detector(name: str, device: str = "auto") -> LoadedModel[BoxDetector]:
    """Load a detector of boxes on a device: auto, cpu, cuda, cuda:N or mps. PicoDet-S is loaded on the CPU.

    Raises:
        VisError: The name is unknown, the weights cannot be fetched, the file is not a detector, or a library is not
            installed.
    """
    if is_onnx(name):
        from vis_cli.zoo.detectors.onnx_detector import load_onnx_detector

        onnx = load_onnx_detector(Path(name), device=device)
        return LoadedModel(onnx, onnx.info)
    import torch

    if name == PICODET_NAME:
        from vis_cli.zoo.detectors.picodet_detector import load_picodet

        picodet = load_picodet(torch.device("cpu"))  # `place` moves it, together with the network
        return LoadedModel(picodet, picodet.info)
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    from vis_cli.zoo.detectors.torchvision_detector import load_torchvision_detector

    detector = load_torchvision_detector(name, chosen)
    return LoadedModel(detector, detector.info)


def identify_box_detector(name: str) -> ModelInfo:
    """Return what names a detector in results.

    Raises:
        VisError: See `load_box_detector`.
    """
    if is_onnx(name):
        return load_box_detector(name, "cpu").info
    if name == PICODET_NAME:
        from vis_cli.zoo.detectors.picodet_detector import identify_picodet

        return identify_picodet()
    from vis_cli.zoo.detectors.torchvision_detector import identify_torchvision_detector

    return identify_torchvision_detector(name)
