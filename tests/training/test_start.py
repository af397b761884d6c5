"""The network as a run starts with it: what is frozen, and what the norms do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.records.types import Category
from vis_cli.training.config_file import read_train_config
from vis_cli.training.start import build_model
from vis_cli.zoo.weights import save_model

from .test_trainer import make_run

OTHERS = (Category(8, "dog"), Category(9, "object"))


def build(folder: Path, extra: str) -> torch.nn.Module:
    return build_model(read_train_config(make_run(folder, extra=extra)))


def test_named_parts_do_not_learn(tmp_path: Path) -> None:
    model = build(tmp_path, "freeze = ['backbone', 'detector.rpn']")
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith(("backbone", "detector.rpn")), name


def learning_norms(model: torch.nn.Module) -> dict[str, bool]:
    """Tell by name which batch norms move their statistics."""
    norms = torch.nn.modules.batchnorm._BatchNorm
    return {name: module.training for name, module in model.named_modules() if isinstance(module, norms)}


def test_norms_keep_their_statistics_unless_they_are_to_learn_them(tmp_path: Path) -> None:
    for extra, learning in (("", False), ("norm_eval = false", True)):
        assert set(learning_norms(build(tmp_path, extra)).values()) == {learning}


def test_norms_of_frozen_parts_keep_their_statistics(tmp_path: Path) -> None:
    part = "backbone.body.blocks.3."
    path = make_run(tmp_path, init="lite", extra=f"norm_eval = false\nfreeze = ['{part}']")
    path.write_text(path.read_text().replace("mask_convs = 1", "mask_convs = 1\ndetector_fpn = true"))
    frozen = ("backbone.body.bn1", "backbone.body.blocks.0.", "backbone.body.blocks.1.", part)
    found = learning_norms(build_model(read_train_config(path)))
    assert len(set(found.values())) == 2
    assert all(learns != name.startswith(frozen) for name, learns in found.items())


@pytest.mark.parametrize("class_specific", [True, False])
def test_classes_of_another_model_are_matched_by_name(class_specific: bool, tmp_path: Path) -> None:
    trained = make_model(class_specific=class_specific, box_channels=16, categories=(Category(7, "Cat"), *OTHERS))
    save_model(tmp_path / "trained", trained, {}, precision=torch.float32)
    path = make_run(tmp_path, init=str(tmp_path / "trained"))
    path.write_text(
        path.read_text()
        .replace("class_specific = false", f"class_specific = {str(class_specific).lower()}")
        .replace('["cat", "object"]', '["object", "unicorn", "cat"]')
    )
    model = build_model(read_train_config(path))
    theirs, ours = trained.detector.box_predictor.cls_score, model.detector.box_predictor.cls_score
    assert [_find_row(row, theirs.weight) for row in ours.weight] == [0, 3, None, 1]
    assert torch.equal(ours.bias[[0, 1, 3]], theirs.bias[[0, 3, 1]])
    theirs, ours = trained.detector.mask_predictor.mask_fcn_logits, model.detector.mask_predictor.mask_fcn_logits
    expected = [0, 3, None, 1] if class_specific else [0]
    assert [_find_row(row, theirs.weight) for row in ours.weight] == expected
    theirs, ours = trained.detector.box_predictor.bbox_pred, model.detector.box_predictor.bbox_pred
    assert torch.equal(ours.weight[-4:], theirs.weight[4:8] if class_specific else theirs.weight)
    assert torch.equal(model.prop_head.predict.weight, trained.prop_head.predict.weight)


def test_a_detector_with_an_fpn_of_its_own_starts_from_the_shared_one(tmp_path: Path) -> None:
    trained = build_model(read_train_config(make_run(tmp_path, init="none")))
    save_model(tmp_path / "trained", trained, {}, precision=torch.float32)
    path = make_run(tmp_path, init=str(tmp_path / "trained"))
    path.write_text(path.read_text().replace("mask_convs = 1", "mask_convs = 1\ndetector_fpn = true"))
    said: list[str] = []
    model = build_model(read_train_config(path), said.append)
    for kind in ("inner_blocks", "layer_blocks"):
        for i in range(3):
            ours, theirs = (
                fpn.state_dict()[f"{kind}.{j}.0.weight"] for fpn, j in ((model.detector_fpn, i), (trained.fpn, i + 1))
            )
            assert torch.equal(ours, theirs)
    assert said == []


def test_a_start_with_an_fpn_of_the_detector_needs_one(tmp_path: Path) -> None:
    save_model(tmp_path / "trained", make_model(detector_fpn=True), {})
    path = make_run(tmp_path, init=str(tmp_path / "trained"))
    with pytest.raises(VisError, match="whose detector has a separate FPN") as caught:
        build_model(read_train_config(path))
    assert caught.value.hint == "Set detector_fpn = true in [model]."
    path.write_text(path.read_text().replace("mask_convs = 1", "mask_convs = 1\ndetector_fpn = true"))
    build_model(read_train_config(path))


def test_what_is_of_another_width_starts_anew_and_is_named(tmp_path: Path) -> None:
    trained = make_model(box_channels=8)
    save_model(tmp_path / "trained", trained, {}, precision=torch.float32)
    said: list[str] = []
    model = build_model(read_train_config(make_run(tmp_path, init=str(tmp_path / "trained"))), said.append)
    (line,) = said
    assert line.startswith(f"{tmp_path / 'trained'} does not contain these parts, which start from random weights: ")
    parts = line.split(": ")[-1].split(", ")
    assert {"detector.box_head", "detector.box_predictor"} <= set(parts)
    assert "detector.mask_head" not in parts
    assert model.detector.box_head.fc6.weight.shape[0] == 16
    assert torch.equal(model.fpn.inner_blocks[0][0].weight, trained.fpn.inner_blocks[0][0].weight)


def test_a_start_of_another_backbone_is_refused(tmp_path: Path) -> None:
    path = make_run(tmp_path, init="lite")
    path.write_text(path.read_text().replace('"efficientnet_lite2"', '"r50"'))
    with pytest.raises(
        VisError, match=r"init is lite, .*backbone efficientnet_lite2, but \[model\] has the backbone r50"
    ):
        build_model(read_train_config(path))


@pytest.mark.parametrize(("init", "near"), [("imagnet", "imagenet"), ("lit", "lite")])
def test_a_mistyped_start_is_answered_with_the_near_name(init: str, near: str, tmp_path: Path) -> None:
    said = f"init is '{init}'. Did you mean {near}? Use imagenet, coco, none, lite or a model folder."
    with pytest.raises(VisError, match=re.escape(said)):
        build_model(read_train_config(make_run(tmp_path, init=init)))


def _find_row(row: torch.Tensor, rows: torch.Tensor) -> int | None:
    return next((i for i, other in enumerate(rows) if torch.equal(row, other)), None)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("freeze = ['bckbone']", "freeze contains bckbone, but the network has no such part. Known: backbone, fpn"),
        ("freeze = ['backbone', 'fpn', 'detector', 'prop_head']", "all parts of the network are frozen"),
        ("num_frames = 1", r"num_frames is 1, .*or set freeze = \[.prop_head.\]"),
    ],
)
def test_a_network_that_cannot_learn_so_is_refused(extra: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VisError, match=message):
        build(tmp_path, extra)
