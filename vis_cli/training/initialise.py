"""The first weights of what no pretraining gives: scales at which every signal is heard from the first step on.

Used by the trainer. A lite backbone's features have a deviation near 9; untreated, P2 drowns the mask added to it
a hundredfold and the affinity is one-hot, so that the Seq-Prop head does not learn at all.
"""

from __future__ import annotations

import torch
from torch import nn

from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.seq_prop_head import SeqPropHead

LATERAL_GAIN = 0.1  # of the FPN's 1x1 convolutions: brings P2 to a deviation near 1
SKIP_GAIN = 0.1  # of the convolutions on C2 and C3, for the same reason
MASK_STD = 0.2  # of the 7x7 mask convolution: 49 weights sum to a deviation of 1.4 inside a mask
KEY_STD = 1.0  # wanted deviation of keys: an affinity neither flat nor one-hot over 64 channels
VALUE_STD = 1.0
LOGIT_STD = 0.01


@torch.no_grad()
def initialise_heads(model: SeqMaskRCNN) -> None:
    """Scale the FPN's laterals and set the Seq-Prop head's weights in place; seeded by torch's global generator."""
    for lateral in model.fpn.inner_blocks:
        for parameter in lateral.parameters():
            parameter.mul_(LATERAL_GAIN)
    head = model.prop_head
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            _zero(module.bias)
    for refine in (head.refine2, head.refine3):
        refine.conv_skip.weight.mul_(SKIP_GAIN)
    nn.init.normal_(head.mask_conv.weight, std=MASK_STD)
    nn.init.normal_(head.predict.weight, std=LOGIT_STD)
    _calibrate_encoders(head)


def _calibrate_encoders(head: SeqPropHead) -> None:
    """Scale keys and values to unit deviation on white noise, then let the query encoder start as the memory's.

    Both encoders starting alike, the affinity finds what looks alike before anything is learnt.
    """
    channels = head.mask_conv.out_channels
    noise = torch.randn(1, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    key, value = head.memory_encoder(noise)
    head.memory_encoder.key.weight.mul_(KEY_STD / key.std())
    head.memory_encoder.value.weight.mul_(VALUE_STD / value.std())
    head.query_encoder.load_state_dict(head.memory_encoder.state_dict())


def _zero(bias: torch.Tensor | None) -> None:
    if bias is not None:
        bias.zero_()
