"""The first weights of what no pretraining gives: the FPN at a fitting scale, the Seq-Prop head as a label copier.

Used by the trainer. From random weights the Seq-Prop head hardly learns: keys of some size make the affinity one-hot, a
one-hot affinity passes no gradient to the keys, and P2 drowns the mask. So it starts as what works without
learning: every position of the query copies the label of the memory position whose features are most alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.seq_prop_head import Encoder, Refine, ResBlock, SeqPropHead

LATERAL_GAIN = 0.1  # of the FPN's 1x1 convolutions: brings P2 to a deviation near 1
SKIP_GAIN = 0.1  # of the convolutions on C2 and C3, whose deviation is near 10
RESIDUAL_GAIN = 0.2  # of what a residual block adds to its shortcut
KEY_STD = 1.5  # of whitened keys: an affinity neither flat nor one-hot over 64 channels
MASK_LOUDNESS = 0.5  # what a mask adds to P2, relative to P2
MASK_SHARE = 8  # one value channel in so many carries the label
COPY_GAIN = 4.0  # logits are plus and minus this times (copied label - COPY_THRESHOLD)
COPY_THRESHOLD = 0.45
SMALLEST_VARIANCE = 1e-3  # of the largest: directions of P2 that vary less are not blown up further
LOGIT_STD = 0.01
HALVES = (0.0, 0.5, 0.5)  # of a 3-wide kernel of stride 2: the average of two pixels, seen half a pixel between them


@torch.no_grad()
def scale_laterals(model: SeqMaskRCNN) -> None:
    """Scale the FPN's 1x1 convolutions in place."""
    for fpn in (model.fpn, model.detector_fpn) if model.config.detector_fpn else (model.fpn,):
        for parameter in fpn.inner_blocks.parameters():
            parameter.mul_(LATERAL_GAIN)


@torch.no_grad()
def start_as_label_copier(head: SeqPropHead, p2: Tensor) -> None:
    """Set the Seq-Prop head's weights in place; random parts are seeded by torch's global generator.

    Args:
        head: the Seq-Prop head.
        p2: (B, F, h, w) of some real frames; more positions than F are needed.
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
    loudness = MASK_LOUDNESS * float(p2.pow(2).sum(dim=1).mean().sqrt())
    _write_masks(head.mask_conv, basis, loudness)
    _read_keys(encoder.key, basis)
    _read_values(encoder, basis, loudness)
    head.query_encoder.load_state_dict(encoder.state_dict())
    _decode_labels(head, encoder.value.out_channels // MASK_SHARE)


@dataclass(frozen=True, slots=True)
class _Axes:
    """The principal axes of encoded P2, most varying first."""

    mean: Tensor  # (n,)
    directions: Tensor  # (n, n), a column each
    variances: Tensor  # (n,)

    @property
    def quiet(self) -> Tensor:
        """Return the direction (n,) that varies least."""
        return self.directions[:, -1]


def _principal_axes(encoded: Tensor, fpn_channels: int) -> _Axes:
    """Analyse the channels of encoded P2 (B, hidden, h, w) that are P2 averaged."""
    num = min(fpn_channels, encoded.shape[1])
    rows = encoded[:, :num].permute(0, 2, 3, 1).reshape(-1, num).double()
    mean = rows.mean(dim=0)
    variances, directions = torch.linalg.eigh(torch.cov((rows - mean).T))
    return _Axes(mean.float(), directions.flip(1).float(), variances.flip(0).clamp(min=0.0).float())


def _pool(block: ResBlock) -> None:
    """Let the shortcut of a strided block average, channel by channel."""
    shortcut = block.downsample
    if not isinstance(shortcut, nn.Conv2d):
        raise ValueError("the block has no strided shortcut")
    average = torch.outer(torch.tensor(HALVES), torch.tensor(HALVES))
    num = min(shortcut.in_channels, shortcut.out_channels)
    shortcut.weight[:num] = 0.0
    shortcut.weight[torch.arange(num), torch.arange(num)] = average


def _write_masks(mask_conv: nn.Conv2d, axes: _Axes, loudness: float) -> None:
    """Add a mask to P2 in the direction in which P2 itself says least, a little of it everywhere."""
    taps = mask_conv.weight[0, 0].numel()
    nn.init.normal_(mask_conv.weight, std=0.1 * loudness / (taps * len(axes.mean)) ** 0.5)
    mask_conv.weight[: len(axes.quiet)] += (loudness / taps) * axes.quiet[:, None, None, None]


def _read_keys(key: nn.Conv2d, axes: _Axes) -> None:
    """Whiten the most varying axes: then every one of them counts alike in an affinity, and the mask does not."""
    num = min(key.out_channels, len(axes.mean) - 1)
    floor = SMALLEST_VARIANCE * axes.variances[0]
    whitening = axes.directions[:, :num] / (axes.variances[:num] + floor).sqrt()  # (n, num)
    key.weight[:] = 0.0
    key.weight[:num, : len(axes.mean), 0, 0] = KEY_STD * whitening.T
    if key.bias is not None:
        key.bias[:num] = -KEY_STD * (axes.mean @ whitening)


def _read_values(encoder: Encoder, axes: _Axes, loudness: float) -> None:
    """Let some value channels be the mask, 0 outside and 1 inside, and the others a mixture of unit deviation."""
    value, num = encoder.value, encoder.value.out_channels // MASK_SHARE
    width = len(axes.mean)
    value.weight.mul_(float((width / (2.0 * axes.variances.sum())).sqrt()))
    value.weight[:num] = 0.0
    value.weight[:num, :width, 0, 0] = axes.quiet / loudness
    if value.bias is not None:
        value.bias[:num] = -(axes.mean @ axes.quiet) / loudness


def _decode_labels(head: SeqPropHead, num: int) -> None:
    """Lead the copied label through the decoder's first channel, which nothing else writes into yet."""
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
