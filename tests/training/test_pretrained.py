"""Starts from torchvision's weights, found in its cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.network.factories import make_model
from tests.zoo.torchvision_factory import COCO_FILE, use_empty_cache, write_coco, write_imagenet
from vis_cli.errors import VisError
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import Category
from vis_cli.training.config import SourceConfig, TrainConfig
from vis_cli.training.pretrained import load_coco, load_imagenet
from vis_cli.training.start import build_model

CATEGORIES = (Category(1, "Cat"), Category(2, "unicorn"), Category(3, "motorbike"))  # COCO: cat 17, motorcycle 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_empty_cache(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """Write 170 MB once for all tests."""
    folder = tmp_path_factory.mktemp("coco")
    return folder / COCO_FILE, write_coco(folder).state_dict()


@pytest.fixture
def theirs(cache: Path, written: tuple[Path, dict[str, Tensor]]) -> dict[str, Tensor]:
    (cache / COCO_FILE).hardlink_to(written[0])
    return written[1]


def test_imagenet_fills_the_backbone(cache: Path) -> None:
    expected = write_imagenet(cache)
    model = make_model(backbone="r50")
    load_imagenet(model)
    for key, value in model.backbone.body.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_coco_fills_the_detector_and_matches_classes_by_name(theirs: dict[str, Tensor]) -> None:
    torch.manual_seed(3)
    model = SeqMaskRCNN(ModelConfig("r50", "r50", CATEGORIES))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    load_coco(model)
    after = model.state_dict()
    assert torch.equal(after["backbone.body.layer4.2.conv3.weight"], theirs["backbone.body.layer4.2.conv3.weight"])
    assert torch.equal(after["fpn.inner_blocks.1.0.weight"], theirs["backbone.fpn.inner_blocks.1.0.weight"])
    assert torch.equal(after["detector.rpn.head.bbox_pred.bias"], theirs["rpn.head.bbox_pred.bias"])
    assert torch.equal(after["detector.mask_head.3.0.weight"], theirs["roi_heads.mask_head.3.0.weight"])
    scores, boxes = "detector.box_predictor.cls_score", "detector.box_predictor.bbox_pred"
    masks = "detector.mask_predictor.mask_fcn_logits"
    for label, row in ((0, 0), (1, 17), (3, 4)):
        assert torch.equal(after[f"{scores}.weight"][label], theirs["roi_heads.box_predictor.cls_score.weight"][row])
        wanted = theirs["roi_heads.box_predictor.bbox_pred.bias"][4 * row : 4 * row + 4]
        assert torch.equal(after[f"{boxes}.bias"][4 * label : 4 * label + 4], wanted)
        wanted = theirs["roi_heads.mask_predictor.mask_fcn_logits.weight"][row]
        assert torch.equal(after[f"{masks}.weight"][label], wanted)
    assert torch.equal(after[f"{scores}.weight"][2], before[f"{scores}.weight"][2])  # COCO knows no unicorn
    assert all(torch.equal(after[key], before[key]) for key in after if key.startswith("prop_head."))


def test_coco_is_known_for_one_backbone_and_one_width(theirs: dict[str, Tensor]) -> None:
    with pytest.raises(
        VisError, match='init is "coco", but COCO weights exist only for r50, not for efficientnet_lite2'
    ):
        load_coco(make_model())
    with pytest.raises(VisError, match='init is "coco", but fpn'):
        load_coco(make_model(backbone="r50"))


def test_a_run_starts_from_coco_and_brings_its_own_prop_head(theirs: dict[str, Tensor]) -> None:
    data = (SourceConfig("images", "a.json", "images"),)
    config = TrainConfig(ModelConfig("r50", "r50", CATEGORIES), data, steps=1, init="coco")
    assert config.starts_prop_head
    model = build_model(config)
    key = "layer3.5.conv2.weight"
    assert torch.equal(model.backbone.body.state_dict()[key], theirs[f"backbone.body.{key}"])
    frozen = {name for name, parameter in model.backbone.named_parameters() if not parameter.requires_grad}
    assert {"body.conv1.weight", "body.layer1.2.bn3.bias"} <= frozen
    assert not any("layer2" in name for name in frozen)


def test_offline_the_line_names_the_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(
        VisError,
        match=r"^cannot fetch .*resnet50-0676ba61\.pth: refused\. Fetch it on another machine, and put it into",
    ):
        load_imagenet(make_model(backbone="r50"))
