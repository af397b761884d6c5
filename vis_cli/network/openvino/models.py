"""Parts of a network as OpenVINO models: converted once, then read from the cache folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.openvino.options import OpenVinoOptions
from vis_cli.network.openvino.parts import DETECTOR_INPUTS, Decoder, FrameEncoder, MemoryEncoder
from vis_cli.network.openvino.quantize import quantize
from vis_cli.network.openvino.runtime import convert, name_outputs, version_of
from vis_cli.network.openvino.store import ModelStore, name_of
from vis_cli.network.seq_prop_head import SeqPropHead

HEIGHT, WIDTH = 64, 96  # of the image with which a network is converted; other sizes give the same model


class ConvertedModels:
    """OpenVINO models of the parts of a network."""

    def __init__(self, network: MaskRCNN, store: ModelStore, options: OpenVinoOptions) -> None:
        """Take a network with the layers of the paper, in evaluation mode, on the CPU."""
        self._network = network
        self._store = store
        self._options = options
        self._name = name_of(network)

    def encoder(self) -> Any:
        """Return the frame encoder, quantized if the options have a calibration.

        The layers that compute C3 to C5 have these names. C4 and C5 are not outputs, so that they do not change the
        quantization.

        Raises:
            VisError: The package nncf is not installed.
        """
        calibration = self._options.calibration
        if calibration is None:
            return self._find("encoder", self._convert_encoder)

        def make() -> Any:
            self._options.messages.note("quantizing the network to int8 takes some minutes")
            return quantize(self._find("encoder", self._convert_encoder), calibration(self._network.config))

        return self._find(f"encoder-int8-{version_of('nncf')}", make)

    def memory(self, head: SeqPropHead) -> Any:
        """Return the memory encoder."""
        channels = head.mask_conv.out_channels
        p2, masks = torch.zeros(1, channels, HEIGHT // 4, WIDTH // 4), torch.zeros(1, 1, HEIGHT // 4, WIDTH // 4)
        return self._find("memory", lambda: convert(MemoryEncoder(head), (p2, masks)))

    def decoder(self, head: SeqPropHead) -> Any:
        """Return the decoder."""
        values, skips = head.conv_merge.in_channels // 2, head.conv_merge.out_channels
        shapes = [(values, 16), (values, 16), (skips, 8), (skips, 4)]  # channels and stride
        inputs = tuple(torch.zeros(1, channels, HEIGHT // stride, WIDTH // stride) for channels, stride in shapes)
        return self._find("decoder", lambda: convert(Decoder(head), inputs))

    def _convert_encoder(self) -> Any:
        self._options.messages.note("converting the network for OpenVINO takes some seconds")
        model = convert(FrameEncoder(self._network), (torch.zeros(1, 3, HEIGHT, WIDTH),))
        return name_outputs(model, DETECTOR_INPUTS, removed=("C4", "C5"))

    def _find(self, part: str, make: Callable[[], Any]) -> Any:
        """Return a stored model, or make and store it."""
        name = f"{self._name}-{part}"
        model = self._store.load(name)
        return self._store.add(name, make()) if model is None else model
