"""Faster layers of equal output for inference; applied when a network is placed on its device."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork

from vis_cli.network.accelerate.backbones import fuse_norms
from vis_cli.network.accelerate.prop_head import AcceleratedSeqPropHead
from vis_cli.network.accelerate.winograd import WinogradConv3x3
from vis_cli.network.backbones import LiteBackbone, ResNetBackbone
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_prop_head import SeqPropHead

REPLACED = (LiteBackbone, ResNetBackbone, SeqPropHead, FeaturePyramidNetwork)  # modules with faster layers


def accelerate(network: VideoNetwork, device: torch.device) -> VideoNetwork:
    """Place a network on a device and return it with faster layers.

    The returned network computes the same outputs except for rounding. It is for inference: gradients are not defined,
    and it may keep values computed from the weights. `network` keeps its layers, and both share their weights.

    Args:
        network: in evaluation mode. A network that is not an `nn.Module` is returned as it is.
        device: where it computes.
    """
    if not isinstance(network, nn.Module):
        return network
    network.to(device).to(memory_format=torch.channels_last)
    if not any(isinstance(module, REPLACED) for module in network.modules()):
        return network
    weights = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    accelerated = copy.deepcopy(network, weights)  # new modules, the same weights
    _replace_layers(accelerated)
    return accelerated


def _replace_layers(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, SeqPropHead):
            setattr(module, name, AcceleratedSeqPropHead(child))
        elif isinstance(child, FeaturePyramidNetwork):
            for block in child.layer_blocks:
                block[0] = WinogradConv3x3(block[0])
        elif isinstance(child, (LiteBackbone, ResNetBackbone)):
            fuse_norms(child)
        else:
            _replace_layers(child)
