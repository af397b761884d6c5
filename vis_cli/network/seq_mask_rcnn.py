"""Seq Mask R-CNN: a backbone and FPN shared by detection, scoring and propagation (Propose-Reduce, Fig. 4).

The engine calls its methods for one frame at a time, training for a batch of clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vis_cli.network.config import ModelConfig
from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.memory import MemoryBank
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.network.structures import FrameFeatures, MemoryEntry, QueryFeatures


class SeqMaskRCNN(MaskRCNN):
    """Detect the instances of a frame and propagate them to others: Mask R-CNN with a Seq-Prop head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.prop_head = SeqPropHead(
            fpn_channels=config.fpn_channels,
            c2_channels=self.backbone.channels[0],
            c3_channels=self.backbone.channels[1],
            encoder_channels=config.encoder_channels,
            key_channels=config.key_channels,
            value_channels=config.value_channels,
            decoder_channels=config.decoder_channels,
        )

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, that the detector does not read: without P3 to P6."""
        levels, size = self.run_backbone(images)
        return FrameFeatures((self._build_finest_level(levels),), levels[0], levels[1], size)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Compute what propagation needs of a frame and no object."""
        key, value = self.prop_head.encode_query(features.pyramid[0])
        skip3, skip2 = self.prop_head.encode_skips(features.c3, features.c2)
        return QueryFeatures(key, value, skip3, skip2, features.image_size)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        return MemoryEntry(*self.prop_head.memorize(features.pyramid[0], masks))

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        """Return the foreground probability (N, h, w) float32 of each object alone, for the N objects of each memory.

        Each memory is read on its own. The readouts of all objects are decoded together.
        """
        height, width = query.image_size
        head = self.prop_head
        readouts = [head.read(query.key, memory.key, memory.value) for memory in memories]
        if not readouts:
            return []
        probs = head.decode(query.value, (query.skip3, query.skip2), torch.cat(readouts))[:, :height, :width]
        return list(torch.split(probs, [len(readout) for readout in readouts]))
