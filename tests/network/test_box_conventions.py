"""Two conventions of a box: what they share, and where they differ by hand-computed numbers."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from tests.network.factories import SIZES, make_config, make_model
from vis_cli.errors import VisError
from vis_cli.network.box_conventions import LegacyBoxes, ModernBoxes, box_convention
from vis_cli.network.config import ModelConfig
from vis_cli.network.detection_losses import FrameTargets, detection_losses
from vis_cli.network.memory import MemoryBank, MemoryRule

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
# Stride -> the anchors of the first cell, naming their last pixel: docs/explanation/authors-implementation.md#fact-7
LEGACY_ANCHORS = {
    4: [[-21, -9, 24, 12], [-14, -14, 17, 17], [-9, -21, 12, 24]],
    8: [[-41, -19, 48, 26], [-28, -28, 35, 35], [-19, -41, 26, 48]],
    16: [[-83, -37, 98, 52], [-56, -56, 71, 71], [-37, -83, 52, 98]],
    32: [[-165, -75, 196, 106], [-112, -112, 143, 143], [-75, -165, 106, 196]],
    64: [[-330, -149, 393, 212], [-224, -224, 287, 287], [-149, -330, 212, 393]],
}


def anchors_of(height: int, width: int) -> list[list[float]]:
    sizes = [(-(-height // stride), -(-width // stride)) for stride in LEGACY_ANCHORS]
    maps = [torch.zeros(1, 1, *size) for size in sizes]
    (boxes,) = LegacyBoxes().anchors()(ImageList(torch.zeros(1, 3, height, width), [(height, width)]), maps)
    rows: list[list[float]] = boxes.tolist()
    return rows


def test_legacy_anchors_are_the_released_ones() -> None:
    rows = anchors_of(64, 64)
    starts = [0, 3 * 256, 3 * 320, 3 * 336, 3 * 340]
    for start, cell in zip(starts, LEGACY_ANCHORS.values(), strict=True):
        expected = [[x0, y0, x1 + 1, y1 + 1] for x0, y0, x1, y1 in cell]
        assert rows[start : start + 3] == expected
    assert rows[3:6] == [[x0 + 4, y0, x1 + 5, y1 + 1] for x0, y0, x1, y1 in LEGACY_ANCHORS[4]]  # row by row


def test_legacy_anchors_are_as_far_apart_as_their_stride_says() -> None:
    """352 pixels are 11 cells of 32 and 6 of 64, not 6 of 58."""
    x0, y0, *_ = LEGACY_ANCHORS[64][0]
    assert anchors_of(352, 64)[-3][:2] == [x0, y0 + 5 * 64]


def test_a_box_outside_the_frame_is_its_last_pixel_or_nothing() -> None:
    boxes = torch.tensor([[-5.0, 2.0, 8.0, 30.0], [40.0, 5.0, 60.0, 6.0]])
    assert ModernBoxes().clip(boxes, (20, 32)).tolist() == [[0, 2, 8, 20], [32, 5, 32, 6]]
    assert LegacyBoxes().clip(boxes, (20, 32)).tolist() == [[0, 2, 8, 20], [31, 5, 32, 6]]


def test_legacy_detections_are_ordered_by_class_unless_they_are_too_many() -> None:
    labels = torch.tensor([3, 1, 2, 1])  # best score first
    assert ModernBoxes().arrange(labels, 9).tolist() == [0, 1, 2, 3]
    assert ModernBoxes().arrange(labels, 2).tolist() == [0, 1]
    assert LegacyBoxes().arrange(labels, 4).tolist() == [1, 3, 2, 0]
    assert LegacyBoxes().arrange(labels, 3).tolist() == [0, 1, 2]


def test_legacy_masks_fill_whole_pixels() -> None:
    probs = torch.ones(2, 28, 28)
    boxes = torch.tensor([[2.9, 1.2, 5.9, 3.0], [6.5, 4.0, 8.0, 6.0]])  # last pixels 4.9 and 2.0, 7.0 and 5.0
    pasted = LegacyBoxes().paste(probs, boxes, (6, 8))
    expected = torch.zeros(2, 6, 8)
    expected[0, 1:3, 2:5], expected[1, 4:6, 6:8] = 1.0, 1.0
    assert pasted.tolist() == expected.tolist()


def test_both_decode_alike_but_for_the_least_size() -> None:
    boxes, gentle = torch.tensor([[10.0, 10.0, 30.0, 50.0]]), torch.tensor([[1.0, -2.0, 0.5, -0.5]])
    coders = [convention.box_coder(WEIGHTS) for convention in (ModernBoxes(), LegacyBoxes())]
    torch.testing.assert_close(*(coder.decode_single(gentle, boxes) for coder in coders))
    modern, legacy = (
        coder.decode_single(torch.tensor([[0.0, 0.0, -50.0, -50.0]]), boxes)[0].tolist() for coder in coders
    )
    assert modern[2] - modern[0] < 0.01
    assert legacy[2] - legacy[0] == pytest.approx(20 * 16 / 1000, rel=1e-3)
    assert legacy[3] - legacy[1] == pytest.approx(40 * 16 / 1000, rel=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(50, 75), (2, 2), (64, 96)])
def test_a_legacy_network_speaks_every_verb(size: tuple[int, int]) -> None:
    model = make_model(box_convention="legacy", class_specific=True)
    features = model.encode_frames(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3)) * 255)
    options = {"nms_iou": 0.5, "max_instances": 4}
    found = model.detect(features, score_threshold=0.0, **options)
    assert 0 < len(found.boxes) <= 4
    assert found.mask_probs.shape == (len(found.boxes), *size)
    assert model.class_probs(features, found.boxes).shape == (len(found.boxes), 4)
    none = model.detect(features, score_threshold=1.0, **options)
    assert none.mask_probs.shape == (0, *size)
    assert model.class_probs(features, none.boxes).shape == (0, 4)
    memory = MemoryBank(model.memorize(features, none.mask_probs), MemoryRule())
    assert model.propagate(model.encode_query(features), [memory])[0].shape == (0, *size)


def test_a_legacy_network_learns() -> None:
    model = make_model(box_convention="legacy").train()
    features = model.encode_frames(torch.rand(1, 3, 64, 64) * 255)
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 10:40, 10:40] = 1
    target = FrameTargets(
        torch.tensor([[10.0, 10.0, 40.0, 40.0]]), torch.tensor([1]), mask, torch.zeros(0, 4), torch.ones(4).bool()
    )
    sum(detection_losses(model.detector, features, [target], SIZES).values()).backward()  # type: ignore[union-attr]
    for part in ("rpn.head.bbox_pred", "box_predictor.cls_score", "mask_predictor.mask_fcn_logits"):
        gradient = model.detector.get_submodule(part).weight.grad
        assert gradient is not None
        assert float(gradient.abs().sum()) > 0.0


def test_the_convention_is_part_of_the_config() -> None:
    config = make_config(box_convention="legacy")
    assert ModelConfig.from_json(config.to_json()).box_convention == "legacy"
    assert isinstance(box_convention(config.box_convention), LegacyBoxes)
    assert isinstance(box_convention(make_config().box_convention), ModernBoxes)
    with pytest.raises(VisError, match="box_convention is 'old'"):
        make_model(box_convention="old")


def test_a_config_of_before_is_modern() -> None:
    text = make_config().to_json().replace('"box_convention": "modern", ', "")
    assert "box_convention" not in text
    assert ModelConfig.from_json(text) == make_config()
