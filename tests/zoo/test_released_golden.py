"""Parity of the whole network with the released implementation, on weights seeded by key (tests/golden)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.zoo.released_factory import GOLDEN, seeded_state, write_checkpoint
from vis_cli.network.box_conventions import LegacyRoIAlign, pooling_level
from vis_cli.network.detector import LEVELS
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures
from vis_cli.zoo.released import import_released

TOLERANCE = 1e-4
LAST_PIXEL = torch.tensor([0.0, 0.0, 1.0, 1.0])  # the released boxes name it, ours end where it does
DETECT = {"score_threshold": 0.2, "nms_iou": 0.5, "max_instances": 10}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "full_image.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SeqMaskRCNN:
    path = write_checkpoint(tmp_path_factory.mktemp("released") / "r50.pth", seeded_state("r50"))
    imported = import_released(path, "r50", "ytvis2019").model
    path.unlink()
    model = SeqMaskRCNN(imported.config)
    model.load_state_dict(imported.state_dict(), strict=False)
    return model.eval()


@pytest.fixture(scope="module")
def frame() -> Tensor:
    """Return the first frame, (1, 3, 180, 240) RGB."""
    with np.load(GOLDEN / "full_frames_bgr.npz") as stored:
        rgb = cv2.cvtColor(stored["frames"][0], cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def features(model: SeqMaskRCNN, frame: Tensor) -> FrameFeatures:
    with torch.inference_mode():
        return model.encode_frames(frame)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def assert_close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


def levels(features: FrameFeatures) -> dict[str, Tensor]:
    return dict(zip(LEVELS, features.pyramid, strict=True))


def test_the_frame_is_prepared_as_released(model: SeqMaskRCNN, frame: Tensor, golden: dict[str, Tensor]) -> None:
    prepared: list[Tensor] = []
    handle = model.backbone.register_forward_pre_hook(lambda _, inputs: prepared.append(inputs[0]))
    model.encode_frames(frame)
    handle.remove()
    assert_close(prepared[0], golden["in.img_f0"])


def test_features_equal_released(features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    assert_close(features.c2[:, ::16], golden["feat16.C2"])
    assert_close(features.c3[:, ::16], golden["feat16.C3"])
    for level, name in zip(features.pyramid, ("P2", "P3", "P4", "P5", "P6"), strict=True):
        whole = f"feat.{name}" in golden
        assert_close(level if whole else level[:, ::16], golden[f"feat.{name}" if whole else f"feat16.{name}"])


def test_region_scores_and_deltas_equal_released(
    model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]
) -> None:
    objectness, deltas = model.detector.rpn.head(list(features.pyramid))
    for level in range(5):
        assert_close(objectness[level], golden[f"rpn.cls{level}"])
        assert_close(deltas[level], golden[f"rpn.reg{level}"])


def test_proposals_equal_released(
    model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[list[Tensor], list[Tensor]]] = []
    rpn = model.detector.rpn
    filtered = rpn.filter_proposals
    monkeypatch.setattr(rpn, "filter_proposals", lambda *args: found.append(filtered(*args)) or found[0])
    boxes = model.detector.propose(features)[0][0]
    assert_close(torch.cat([boxes - LAST_PIXEL, found[0][1][0][:, None]], dim=1), golden["rpn.proposals"])


def test_regions_are_pooled_as_released(model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    boxes = golden["rpn.proposals"][:, :4] + LAST_PIXEL
    assert pooling_level(boxes).tolist() == golden["roi.levels"].tolist()
    pooled = model.detector.box_pool(levels(features), [boxes[:20]], [features.image_size])
    assert_close(pooled, golden["roi.feat7_first20"])


def test_odd_regions_are_pooled_as_released(features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    boxes = golden["in.odd_rois"][:, 1:] + LAST_PIXEL
    assert pooling_level(boxes).tolist() == golden["out.odd_levels"].tolist()
    assert_close(LegacyRoIAlign(7)(levels(features), [boxes], [features.image_size]), golden["out.odd_roi7"])
    pooled = LegacyRoIAlign(14)(levels(features), [boxes], [features.image_size])
    assert_close(pooled[:, ::16], golden["out.odd_roi14_16ch"])


def test_the_box_head_equals_released(model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    logits, deltas = model.detector.classify(features, [golden["rpn.proposals"][:, :4] + LAST_PIXEL])
    assert_close(logits, golden["roi.cls_logits"])
    assert_close(deltas, golden["roi.reg"])


def test_detections_equal_released(model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    found = model.detect(features, **DETECT)
    assert_close(torch.cat([found.boxes - LAST_PIXEL, found.scores[:, None]], dim=1), golden["det.bboxes"])
    assert found.labels.tolist() == (golden["det.labels"] + 1).tolist()  # the released ones count from 0
    masks, expected = found.mask_probs > 0.5, golden["det.masks"].bool()
    unsure = (found.mask_probs - 0.5).abs() < 1e-3
    assert bool((masks == expected)[~unsure].all())
    assert_close(found.mask_probs[:3], golden["det.soft_masks_tensor"])


def test_mask_logits_equal_released(model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    boxes = golden["det.bboxes"][:, :4] + LAST_PIXEL
    logits = model.detector.mask_logits(features, [boxes], golden["det.labels"] + 1)
    assert_close(logits, golden["mask.logits_of_label"])


def test_class_scores_equal_released(model: SeqMaskRCNN, features: FrameFeatures, golden: dict[str, Tensor]) -> None:
    assert_close(model.class_probs(features, golden["cls.boxes"] + LAST_PIXEL), golden["cls.softmax"])


def test_every_stored_number_is_compared(golden: dict[str, Tensor]) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for key in golden:
        stem, level = key[:-1], key[-1]
        named = f'"{key}"' in source or (level.isdigit() and f'"{stem}{{level}}"' in source)
        assert named or key.startswith(("feat.P", "feat16.P")), key
