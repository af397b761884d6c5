"""First weights of layers without pretrained weights: the scale of the FPN, and the Seq-Prop head as a label copier.

Used by `start`. From random weights, the training of the Seq-Prop head fails. Large keys make the affinity one-hot,
which passes no gradient to the keys. P2 is also much larger than the mask in the encoder. The label copier works
without training: each query position copies the label of the memory position with the most similar features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.seq_prop_head import Encoder, Refine, ResBlock, SeqPropHead

LATERAL_GAIN = 0.1  # of the 1x1 convolutions of the FPN; gives P2 a standard deviation near 1
SKIP_GAIN = 0.1  # of the convolutions on C2 and C3, which have a standard deviation near 10
RESIDUAL_GAIN = 0.2  # of the residual branch of a block
KEY_STD = 1.5  # standard deviation of whitened keys; with 64 channels the affinity is not flat and not one-hot
MASK_GAIN = 0.5  # size of the encoded mask, relative to P2
VALUES_PER_LABEL = 8  # one of 8 value channels contains the label
COPY_GAIN = 4.0  # logits are plus and minus COPY_GAIN times (copied label - COPY_THRESHOLD)
COPY_THRESHOLD = 0.45
SMALLEST_VARIANCE = 1e-3  # relative to the largest variance; smaller ones are not amplified further
LOGIT_STD = 0.01
HALVES = (0.0, 0.5, 0.5)  # kernel of width 3 and stride 2 that averages two pixels


@torch.no_grad()
def scale_laterals(model: SeqMaskRCNN) -> None:
    """Scale the 1x1 convolutions of the FPN in place."""
    for fpn in (model.fpn, model.detector_fpn) if model.config.detector_fpn else (model.fpn,):
        for parameter in fpn.inner_blocks.parameters():
            parameter.mul_(LATERAL_GAIN)


@torch.no_grad()
def start_as_label_copier(head: SeqPropHead, p2: Tensor) -> None:
    """Set the weights of the Seq-Prop head in place. Random weights use the global generator of torch.

    Args:
        head: The Seq-Prop head.
        p2: P2 of some frames, (B, F, h, w). It needs more than F positions.
    """
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            _zero(module.bias)
    for module in head.modules():
        if isinstance(module, ResBlock):
            module.conv2.weight.mul_(RESIDUAL_GAIN)
    encoder = head.memory_encoder
    for block in (encoder.block1, encoder.block2):
        _pool(block)
    basis = _principal_axes(encoder.block2(encoder.block1(p2)), head.mask_conv.out_channels)
    mask_gain = MASK_GAIN * float(p2.pow(2).sum(dim=1).mean().sqrt())
    _write_masks(head.mask_conv, basis, mask_gain)
    _read_keys(encoder.key, basis)
    _read_values(encoder, basis, mask_gain)
    head.query_encoder.load_state_dict(encoder.state_dict())
    _decode_labels(head, encoder.value.out_channels // VALUES_PER_LABEL)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Principal axes of the encoded P2, in order of decreasing variance."""

    mean: Tensor  # (n,)
    directions: Tensor  # (n, n), one axis per column
    variances: Tensor  # (n,)

    @property
    def quiet(self) -> Tensor:
        """Return the direction (n,) with the smallest variance."""
        return self.directions[:, -1]


def _principal_axes(encoded: Tensor, fpn_channels: int) -> _Axes:
    """Compute the principal axes of the averaged P2 channels of the encoded P2 (B, hidden, h, w)."""
    num = min(fpn_channels, encoded.shape[1])
    rows = encoded[:, :num].permute(0, 2, 3, 1).reshape(-1, num).double()
    mean = rows.mean(dim=0)
    variances, directions = torch.linalg.eigh(torch.cov((rows - mean).T).reshape(len(mean), len(mean)))
    return _Axes(mean.float(), directions.flip(1).float(), variances.flip(0).clamp(min=0.0).float())


def _pool(block: ResBlock) -> None:
    """Set the shortcut of a strided block to an average per channel."""
    shortcut = block.downsample
    if not isinstance(shortcut, nn.Conv2d):
        raise ValueError("the block has no strided shortcut")
    average = torch.outer(torch.tensor(HALVES), torch.tensor(HALVES))
    num = min(shortcut.in_channels, shortcut.out_channels)
    shortcut.weight[:num] = 0.0
    shortcut.weight[torch.arange(num), torch.arange(num)] = average


def _write_masks(mask_conv: nn.Conv2d, axes: _Axes, mask_gain: float) -> None:
    """Encode the mask mainly in the direction in which P2 has the smallest variance, plus small random weights."""
    taps = mask_conv.weight[0, 0].numel()
    nn.init.normal_(mask_conv.weight, std=0.1 * mask_gain / (taps * len(axes.mean)) ** 0.5)
    mask_conv.weight[: len(axes.quiet)] += (mask_gain / taps) * axes.quiet[:, None, None, None]


def _read_keys(key: nn.Conv2d, axes: _Axes) -> None:
    """Set the keys to the whitened axes, which then have the same weight in the affinity. The mask has none."""
    num = min(key.out_channels, len(axes.mean) - 1)
    floor = SMALLEST_VARIANCE * axes.variances[0]
    whitening = axes.directions[:, :num] / (axes.variances[:num] + floor).sqrt()  # (n, num)
    key.weight[:] = 0.0
    key.weight[:num, : len(axes.mean), 0, 0] = KEY_STD * whitening.T
    if key.bias is not None:
        key.bias[:num] = -KEY_STD * (axes.mean @ whitening)


def _read_values(encoder: Encoder, axes: _Axes, mask_gain: float) -> None:
    """Set some value channels to the mask, 0 outside and 1 inside. Other channels get unit variance."""
    value, num = encoder.value, encoder.value.out_channels // VALUES_PER_LABEL
    width = len(axes.mean)
    value.weight.mul_(float((width / (2.0 * axes.variances.sum())).sqrt()))
    value.weight[:num] = 0.0
    value.weight[:num, :width, 0, 0] = axes.quiet / mask_gain
    if value.bias is not None:
        value.bias[:num] = -(axes.mean @ axes.quiet) / mask_gain


def _decode_labels(head: SeqPropHead, num: int) -> None:
    """Pass the copied label through the first channel of the decoder, which no other layer writes at the start."""
    head.conv_merge.weight[0] = 0.0
    head.conv_merge.weight[0, :num, 1, 1] = 1.0 / max(1, num)
    for refine in (head.refine3, head.refine2):
        refine.conv_skip.weight.mul_(SKIP_GAIN)
        refine.conv_skip.weight[0] = 0.0
    for block in _decoder_blocks(head.res_merge, head.refine3, head.refine2):
        block.conv2.weight[0] = 0.0
    nn.init.normal_(head.predict.weight, std=LOGIT_STD)
    sign = torch.tensor([-1.0, 1.0])  # background, object
    head.predict.weight[:, 0] = 0.0
    head.predict.weight[:, 0, 1, 1] = COPY_GAIN * sign
    if head.predict.bias is not None:
        head.predict.bias[:] = -COPY_GAIN * COPY_THRESHOLD * sign


def _decoder_blocks(merge: ResBlock, *refines: Refine) -> list[ResBlock]:
    return [merge, *(block for refine in refines for block in (refine.res_skip, refine.res_merge))]


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        bias.zero_()
