"""Parity of an exported Mask R-CNN of torchvision with its own inference, on random weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from vis_cli.zoo.detectors.onnx_detector import describe_onnx, load_onnx_detector
from vis_cli.zoo.detectors.protocol import KeyFrame


class Backbone(nn.Sequential):
    """Two convolutions with stride 8."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1))


@pytest.fixture(scope="module")
def network() -> MaskRCNN:
    torch.manual_seed(1)
    pool = {"featmap_names": ["0"], "sampling_ratio": 2}
    return MaskRCNN(
        Backbone(),
        num_classes=4,
        min_size=48,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(output_size=7, **pool),
        mask_roi_pool=MultiScaleRoIAlign(output_size=14, **pool),
        rpn_post_nms_top_n_test=20,
        box_detections_per_img=10,
        box_score_thresh=0.01,
    ).eval()


@pytest.fixture(scope="module")
def exported(network: MaskRCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "mask_rcnn.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about conversions to Python numbers
        torch.onnx.export(
            network,
            ([torch.rand(3, 60, 80)],),
            str(path),
            input_names=["input"],
            output_names=["boxes", "labels", "scores", "masks"],
            dynamic_axes={"input": {1: "height", 2: "width"}},
            opset_version=17,
            dynamo=False,
        )
    path.with_suffix(".toml").write_text('categories = ["a", "b", "c"]\nfirst_label = 1\n')
    return path


@pytest.mark.parametrize("size", [(60, 80), (75, 50)])
def test_the_detections_are_those_of_torchvision(network: MaskRCNN, exported: Path, size: tuple[int, int]) -> None:
    assert dict(describe_onnx(exported))["layout"].startswith("torchvision: ")
    pixels = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.inference_mode():
        (expected,) = network([torch.from_numpy(pixels).permute(2, 0, 1).float() / 255])
    found = load_onnx_detector(exported, device="cpu").detect(KeyFrame(0, pixels), mask_size=size)
    assert len(found.scores) == 10
    assert found.labels.tolist() == expected["labels"].tolist()
    assert np.allclose(found.scores, expected["scores"], atol=1e-4)
    assert np.allclose(found.boxes, expected["boxes"], atol=1e-3)
    for mask, own in zip(found.masks, expected["masks"][:, 0].numpy(), strict=True):
        assert mask is not None
        assert np.allclose(mask, own, atol=1e-3)
