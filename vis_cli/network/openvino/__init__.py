"""The static parts of a network in OpenVINO, for inference on a CPU; applied when a network is placed on its device."""

from __future__ import annotations

import torch
from torch import nn

from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.openvino.models import ConvertedModels
from vis_cli.network.openvino.network import OpenVinoNetwork, Parts
from vis_cli.network.openvino.options import OpenVinoOptions
from vis_cli.network.openvino.parts import DETECTOR_INPUTS, DETECTOR_LEVELS
from vis_cli.network.openvino.runtime import Part, split
from vis_cli.network.openvino.store import default_store
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN


def use_openvino(plain: VideoNetwork, fast: VideoNetwork, options: OpenVinoOptions) -> VideoNetwork:
    """Return a network whose static parts run in OpenVINO.

    Args:
        plain: with the layers of the paper, in evaluation mode, on the CPU. Its parts are converted.
        fast: result of `accelerate`. It runs all other parts.
        options: Number formats.

    Returns:
        `fast`, in which each Mask R-CNN is replaced. Other networks stay in torch.

    Raises:
        VisError: A package is not installed.
    """
    if isinstance(plain, MaskRCNN):
        return OpenVinoNetwork(fast, convert_parts(plain, options))
    if isinstance(plain, nn.Module) and isinstance(fast, nn.Module):
        for name, child in plain.named_children():
            if isinstance(child, MaskRCNN):
                setattr(fast, name, OpenVinoNetwork(getattr(fast, name), convert_parts(child, options)))
    return fast


def convert_parts(network: MaskRCNN, options: OpenVinoOptions) -> Parts:
    """Convert the parts of a network that are faster in OpenVINO, or read them from the cache folder.

    Raises:
        VisError: A package is not installed.
    """
    models, precision = ConvertedModels(network, default_store(options.messages), options), options.precision
    first, second = models.encoder(), None
    if options.calibration is None:  # in int8, a model that also returns C4 and C5 rounds P2 differently
        first, second = split(first, DETECTOR_LEVELS, DETECTOR_INPUTS.values())
    encoder = Part(first, precision=precision, inputs=[torch.float32])
    levels = None if second is None else Part(second, precision=precision, inputs=[precision] * len(DETECTOR_INPUTS))
    if not isinstance(network, SeqMaskRCNN):
        return Parts(encoder, levels)
    head, chosen = network.prop_head, faster_parts(precision)
    return Parts(
        encoder,
        levels,
        Part(models.memory(head), precision=precision, inputs=[precision] * 2) if "memory" in chosen else None,
        Part(models.decoder(head), precision=precision, inputs=[precision] * 4) if "decoder" in chosen else None,
    )


def faster_parts(precision: torch.dtype) -> frozenset[str]:
    """Return the parts of the Seq-Prop head that are faster in OpenVINO than in torch. The frame encoder always is.

    Measured: docs/explanation/openvino.md#parts.
    """
    return frozenset({"memory", "decoder"}) if precision == torch.bfloat16 else frozenset()
