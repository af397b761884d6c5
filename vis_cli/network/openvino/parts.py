"""The static parts of a network as modules that can be converted: without RoIAlign, NMS and the memory readout."""

from __future__ import annotations

from torch import Tensor, nn

from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.network.structures import FrameFeatures

DETECTOR_LEVELS = range(1, 5)  # P3 to P6: outputs of the frame encoder by index
DETECTOR_INPUTS = {6: "C3", 7: "C4", 8: "C5"}  # outputs from which P3 to P6 are computed, with their names


class FrameEncoder(nn.Module):
    """Normalization, backbone, FPN, and for a network that propagates also the query and the skip encoders."""

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return P2 to P6, C2 to C5, and query key, query value, skip3 and skip2 of images (B, 3, h, w), RGB 0..255."""
        levels, size = self.network.run_backbone(images)
        pyramid = self.network.build_pyramid(levels)
        if not isinstance(self.network, SeqMaskRCNN):
            return (*pyramid, *levels)
        query = self.network.encode_query(FrameFeatures(pyramid, levels[0], levels[1], size))
        return (*pyramid, *levels, query.key, query.value, query.skip3, query.skip2)


class MemoryEncoder(nn.Module):
    """The memory encoder of the Seq-Prop head."""

    def __init__(self, head: SeqPropHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, p2: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return key and value of masks (N, 1, h/4, w/4) with their frame."""
        return self.head.encode_memory(p2, masks)


class Decoder(nn.Module):
    """The decoder of the Seq-Prop head."""

    def __init__(self, head: SeqPropHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, readout: Tensor, value: Tensor, skip3: Tensor, skip2: Tensor) -> Tensor:
        """Return the foreground probability (N, h, w) from the readout and the query features."""
        return self.head.decode(value, (skip3, skip2), readout)
