"""Quantization of the frame encoder to int8 with NNCF."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from contextlib import redirect_stdout
from typing import Any

from torch import Tensor

from vis_cli.network.openvino.runtime import load_package

NUM_IMAGES = 100  # of the calibration


def quantize(model: Any, images: Iterable[Tensor]) -> Any:
    """Return an OpenVINO model with weights and activations in int8.

    Args:
        model: It has one input (1, 3, h, w).
        images: At least one. The first 100 determine the ranges of the activations.

    Raises:
        VisError: The package nncf is not installed.
    """
    nncf = load_package("nncf")
    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset([image.numpy() for image in images])
    with redirect_stdout(io.StringIO()):  # NNCF prints progress bars there, but stdout is for results
        return nncf.quantize(
            model,
            dataset,
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: not all layers end with a ReLU
            subset_size=NUM_IMAGES,
        )
