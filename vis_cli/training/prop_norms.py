"""Batch norms in the Seq-Prop head during training. Used by `run` and `trainer`.

Without norms, only a low learning rate keeps the keys small (docs/explanation/training.md#learning-rates). A norm
follows each convolution of the head, except the first and the last one. It starts as the identity. After the training,
the norms become a part of the convolutions, so the saved model has no norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import fusion

from vis_cli.errors import VisError
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.training.structures import TrainClip

Forward = Callable[[list[TrainClip]], object]  # runs the Seq-Prop head on a batch

PLAIN = ("mask_conv", "predict")  # the mask is 0 or 1, and the logits have no scale of their own


class NormedConv(nn.Module):
    """A convolution followed by a batch norm."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, h, w) from (B, in, h, w)."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


def add_norms(head: SeqPropHead) -> None:
    """Add a batch norm after each trained convolution in place.

    `start_norms` has to follow, unless a checkpoint is loaded.
    """
    for parent in list(head.modules()):
        for name, child in list(parent.named_children()):
            is_plain = parent is head and name in PLAIN
            if isinstance(child, nn.Conv2d) and child.weight.requires_grad and not is_plain:
                setattr(parent, name, NormedConv(child))


@torch.no_grad()
def start_norms(head: SeqPropHead, batches: Iterable[list[TrainClip]], forward: Forward) -> None:
    """Let each norm start as the identity: it has the mean and the variance of its input on the batches.

    Args:
        head: The Seq-Prop head after `add_norms`.
        batches: Clips.
        forward: Runs the head on a batch.

    Raises:
        VisError: The batches contain no object to propagate.
    """
    convs = _normed_convs(head)
    for conv in convs:
        conv.norm.eval()  # an almost exact identity as long as it is new
    for conv, (num, first, second) in zip(convs, _moments(convs, batches, forward), strict=True):
        if not num:
            raise VisError("cannot start: the first clips contain no object to propagate", field="prop_norms")
        mean = first / num
        variance = (second / num - mean.square()).clamp(min=0.0)
        conv.norm.load_state_dict(
            {
                "running_mean": mean,
                "running_var": variance,
                "weight": (variance + conv.norm.eps).sqrt(),
                "bias": mean,
                "num_batches_tracked": torch.tensor(0),
            }
        )
        conv.norm.train()


@torch.no_grad()
def fold_norms(head: SeqPropHead, batches: Iterable[list[TrainClip]], forward: Forward) -> None:
    """Make the norms a part of the convolutions in place, with their statistics on the batches.

    The statistics are measured again because the averaged weights differ from the weights that were trained.

    Args:
        head: The Seq-Prop head with norms.
        batches: Clips.
        forward: Runs the head on a batch.
    """
    convs = _normed_convs(head)
    for conv in convs:
        conv.norm.reset_running_stats()
        conv.norm.momentum = None  # a plain average over all batches
        conv.norm.train()
    for batch in batches:
        forward(batch)
    for parent in list(head.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NormedConv):
                setattr(parent, name, fusion.fuse_conv_bn_eval(child.conv.eval(), child.norm.eval()))


def _normed_convs(head: SeqPropHead) -> list[NormedConv]:
    return [module for module in head.modules() if isinstance(module, NormedConv)]


def _moments(
    convs: list[NormedConv], batches: Iterable[list[TrainClip]], forward: Forward
) -> list[tuple[int, Tensor, Tensor]]:
    """Return the number of values, their sum and the sum of their squares, per channel, of each convolution."""
    moments = [(0, torch.zeros(conv.conv.out_channels), torch.zeros(conv.conv.out_channels)) for conv in convs]

    def add(index: int, output: Tensor) -> None:
        values = output.transpose(0, 1).flatten(1).double().cpu()  # (channels, values)
        num, first, second = moments[index]
        moments[index] = num + values.shape[1], first + values.sum(dim=1), second + values.square().sum(dim=1)

    handles = [
        conv.conv.register_forward_hook(lambda _module, _inputs, output, index=index: add(index, output))
        for index, conv in enumerate(convs)
    ]
    try:
        for batch in batches:
            forward(batch)
    finally:
        for handle in handles:
            handle.remove()
    return moments
