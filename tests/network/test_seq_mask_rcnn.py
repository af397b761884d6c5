"""The verbs of the network: shapes, N = 0, permutation, odd and tiny frames."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from tests.network.factories import SIZES, make_config, make_model
from vis_cli.network.backbones import BACKBONES, freeze_first_stage
from vis_cli.network.config import BackboneName, ModelConfig
from vis_cli.network.detection_losses import FrameTargets, _sample_regions, detection_losses
from vis_cli.network.detector import DOUBTFUL_IOU, SampleSizes, best_iou, covered_by
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures


@pytest.fixture(scope="module")
def model() -> SeqMaskRCNN:
    return make_model()


def frame(height: int = 50, width: int = 75) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(3)) * 255


@torch.inference_mode()
@pytest.mark.parametrize("size", [(50, 75), (2, 2), (64, 96)])
def test_every_verb_keeps_the_frame_size(model: SeqMaskRCNN, size: tuple[int, int]) -> None:
    features = model.encode_frames(frame(*size))
    found = model.detect(features, score_threshold=0.0, nms_iou=0.5, max_instances=4)
    assert len(found.boxes) <= 4
    assert found.mask_probs.shape == (len(found.boxes), *size)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    memory = MemoryBank(model.memorize(features, torch.rand(3, *size)), MemoryRule())
    probs = model.propagate(model.encode_query(features), [memory])[0]
    assert probs.shape == (3, *size)
    assert 0.0 <= float(probs.min()) <= float(probs.max()) <= 1.0


@torch.inference_mode()
def test_no_objects_is_a_normal_case(model: SeqMaskRCNN) -> None:
    features = model.encode_frames(frame())
    for detect in (model.detect, model.detect_objects):
        found = detect(features, score_threshold=1.0, nms_iou=0.5, max_instances=4)
        assert found.mask_probs.shape == (0, 50, 75)
    assert model.class_probs(features, found.boxes).shape == (0, 4)
    memory = MemoryBank(model.memorize(features, torch.zeros(0, 50, 75)), MemoryRule())
    assert model.propagate(model.encode_query(features), [memory])[0].shape == (0, 50, 75)


@torch.inference_mode()
@pytest.mark.parametrize("class_specific", [False, True])
def test_the_masks_of_given_boxes_are_those_of_the_detections(class_specific: bool) -> None:
    model = make_model(class_specific=class_specific)
    features = model.encode_frames(frame())
    found = model.detect_objects(features, score_threshold=0.0, nms_iou=0.9, max_instances=4)
    assert len(found.boxes) > 0
    masks = model.box_masks(features, found.boxes)
    labels = model.class_probs(features, found.boxes)[:, 1:].argmax(dim=1) + 1
    torch.testing.assert_close(masks, model.detector.paste_masks(features, [found.boxes], labels))
    if not class_specific:
        torch.testing.assert_close(masks, found.mask_probs)
    assert model.box_masks(features, found.boxes[:0]).shape == (0, 50, 75)


@torch.inference_mode()
def test_permuting_objects_permutes_their_masks(model: SeqMaskRCNN) -> None:
    features = model.encode_frames(frame())
    masks = torch.zeros(2, 50, 75)
    masks[0, 5:20, 5:20], masks[1, 25:45, 40:70] = 1.0, 1.0
    query = model.encode_query(features)
    forth = model.propagate(query, [MemoryBank(model.memorize(features, masks), MemoryRule())])[0]
    back = model.propagate(query, [MemoryBank(model.memorize(features, masks.flip(0)), MemoryRule())])[0]
    torch.testing.assert_close(forth.flip(0), back, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_objects_of_any_class_suppress_each_other(model: SeqMaskRCNN, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two boxes at one place, of different classes: two instances, but one object."""
    boxes = torch.tensor([[5.0, 5.0, 40.0, 40.0], [6.0, 5.0, 40.0, 40.0], [45.0, 5.0, 70.0, 40.0]])
    probs = torch.tensor([[0.1, 0.6, 0.2, 0.1], [0.2, 0.1, 0.7, 0.0], [0.4, 0.3, 0.2, 0.1]])
    monkeypatch.setattr(model.detector, "propose", lambda _: ([boxes], {}))
    monkeypatch.setattr(model.detector, "classify", lambda *_: (probs.log(), torch.zeros(3, 4)))
    features, options = model.encode_frames(frame()), {"nms_iou": 0.5, "max_instances": 9}
    found = model.detect(features, score_threshold=0.25, **options)
    assert found.labels.tolist() == [2, 1, 1]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6, 0.3])
    objects = model.detect_objects(features, score_threshold=0.25, **options)
    assert objects.labels.tolist() == [1, 1]  # the most likely class of each
    assert objects.scores.tolist() == pytest.approx([0.9, 0.6])  # 1 - background
    torch.testing.assert_close(objects.boxes, boxes[[0, 2]])


@torch.inference_mode()
def test_class_probabilities_sum_to_one_and_name_all_classes(model: SeqMaskRCNN) -> None:
    probs = model.class_probs(
        model.encode_frames(frame()), torch.tensor([[0.0, 0.0, 20.0, 20.0], [5.0, 5.0, 6.0, 6.0]])
    )
    assert probs.shape == (2, 4)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(2))


def test_masks_larger_than_the_frame_are_refused(model: SeqMaskRCNN) -> None:
    with pytest.raises(ValueError, match="exceed the frame"):
        model.memorize(model.encode_frames(frame(32, 32)), torch.zeros(1, 33, 32))


def test_norms_stay_in_eval_and_the_first_stage_stays_frozen() -> None:
    model = make_model().train()
    norms = [m for m in model.backbone.modules() if "norm" in type(m).__name__.lower()]
    assert norms
    assert not any(m.training for m in norms)
    freeze_first_stage(model.backbone)
    frozen = {n for n, p in model.backbone.named_parameters() if not p.requires_grad}
    assert "body.conv_stem.weight" in frozen
    assert not any(n.startswith("body.blocks.2") for n in frozen)


@pytest.mark.parametrize("backbone", ["r50"])
def test_the_papers_widths_are_the_same_code(backbone: str) -> None:
    model = make_model(backbone=backbone)
    with torch.inference_mode():
        features = model.encode_frames(frame(32, 64))
    assert [tuple(level.shape[-2:]) for level in features.pyramid] == [(8, 16), (4, 8), (2, 4), (1, 2), (1, 1)]
    assert (features.c2.shape[1], features.c3.shape[1]) == (256, 512)


def test_each_backbone_that_a_config_may_name_is_there() -> None:
    assert set(BACKBONES) == set(get_args(BackboneName))


def test_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="r49"):
        make_model(backbone="r49")


def test_config_survives_json() -> None:
    assert ModelConfig.from_json(make_config().to_json()) == make_config()
    with pytest.raises(ValueError, match="not a model config"):
        ModelConfig.from_json('{"name": "x"}')


def test_a_detector_survives_json_and_is_checked() -> None:
    config = make_config(detector="picodet-s")
    assert ModelConfig.from_json(config.to_json()) == config
    assert make_config().detector is None
    for wrong in ("1", "true", "[]", "{}"):
        with pytest.raises(ValueError, match="detector"):
            ModelConfig.from_json(config.to_json().replace('"picodet-s"', wrong))


def test_a_calibration_survives_json_and_is_checked() -> None:
    config = make_config(calibration=(0.8, -1.1))
    assert ModelConfig.from_json(config.to_json()) == config
    assert make_config().calibration is None
    for wrong in ("[0, 1]", "[-1, 0]", "[101, 0]", "[1, 101]", "[1]", "[1, 2, 3]", "[1, NaN]", "[true, 0]", '"1"', "1"):
        text = config.to_json().replace("[0.8, -1.1]", wrong)
        assert text != config.to_json()
        with pytest.raises(ValueError, match="calibration"):
            ModelConfig.from_json(text)


def test_detection_losses_are_finite_with_and_without_objects() -> None:
    model = make_model().train()
    features = model.encode_frames(torch.cat([frame(64, 64), frame(64, 64)]))
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 10:40, 10:40] = 1
    everything = torch.ones(4, dtype=torch.bool)
    empty = torch.zeros(0, 4)
    busy = FrameTargets(torch.tensor([[10.0, 10.0, 40.0, 40.0]]), torch.tensor([1]), mask, empty, everything)
    bare = FrameTargets(empty, torch.zeros(0, dtype=torch.int64), mask[:0], empty, ~everything)
    losses = detection_losses(model.detector, features, [busy, bare], SIZES)
    assert set(losses) == {"loss_rpn_objectness", "loss_rpn_box", "loss_cls", "loss_box", "loss_mask"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["loss_mask"].item() > 0.0


def one_object(**fields: Any) -> FrameTargets:
    """Return an object at 10..40 of a frame of 64x64 pixels whose classes are all labelled."""
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 10:40, 10:40] = 1
    box, empty, everything = torch.tensor([[10.0, 10.0, 40.0, 40.0]]), torch.zeros(0, 4), torch.ones(4).bool()
    return FrameTargets(box, torch.tensor([1]), mask, empty, everything, **fields)


def losses_of(target: FrameTargets, **sizes: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    model = make_model().train()
    return detection_losses(model.detector, model.encode_frames(frame(64, 64)), [target], replace(SIZES, **sizes))


def test_an_object_without_a_mask_teaches_box_and_class_alone() -> None:
    known, unknown = losses_of(one_object()), losses_of(one_object(has_mask=torch.tensor([False])))

    assert known["loss_mask"].item() > 0.0
    assert unknown["loss_mask"].item() == 0.0
    for name in ("loss_cls", "loss_box", "loss_rpn_objectness", "loss_rpn_box"):
        assert unknown[name].item() == known[name].item() > 0.0


def test_losses_are_weighed_by_score_and_background() -> None:
    zero = torch.zeros(1)
    assert losses_of(one_object(scores=zero))["loss_box"].item() == 0.0
    assert losses_of(one_object(scores=zero))["loss_rpn_box"].item() == 0.0
    nothing = losses_of(one_object(scores=zero, background_weight=0.0))
    assert nothing["loss_cls"].item() == nothing["loss_rpn_objectness"].item() == 0.0
    whole = losses_of(one_object())
    half = losses_of(one_object(scores=torch.tensor([0.5]), background_weight=0.5))
    for name in ("loss_cls", "loss_box", "loss_rpn_objectness", "loss_rpn_box"):
        assert half[name].item() == pytest.approx(whole[name].item() / 2, rel=1e-5)


def test_what_resembles_a_doubtful_box_is_no_background() -> None:
    everywhere = torch.tensor(
        [[float(x), float(y), x + s, y + s] for s in (32.0, 64.0) for x in (0, 16, 32) for y in (0, 16, 32)]
    )
    none = FrameTargets(
        torch.zeros(0, 4),
        torch.zeros(0).long(),
        torch.zeros(0, 64, 64).byte(),
        torch.zeros(0, 4),
        torch.ones(4).bool(),
        doubtful=torch.tensor([[0.0, 0.0, 64.0, 64.0]]),
    )
    regions = _sample_regions(everywhere, none, 100)
    ious = best_iou(regions.boxes, torch.tensor([[0.0, 0.0, 64.0, 64.0]]))
    assert 0 < len(regions.boxes) < len(everywhere)
    assert ious.max().item() < DOUBTFUL_IOU  # parts of the doubtful object stay background
    assert regions.labels.tolist() == [0] * len(regions.boxes)


def test_a_doubtful_box_does_not_hide_an_object() -> None:
    target = one_object(doubtful=torch.tensor([[8.0, 8.0, 42.0, 42.0]]))
    assert losses_of(target)["loss_box"].item() > 0.0
    assert (_sample_regions(target.boxes, target, 10).labels == 1).all()


def test_the_rpn_learns_from_a_share_of_the_frames() -> None:
    target = one_object()
    model = make_model().train()
    features = model.encode_frames(torch.cat([frame(64, 64), frame(64, 64)]))
    lost = replace(target, scores=torch.tensor([float("nan")]))
    first = detection_losses(model.detector, features, [target, lost], replace(SIZES, rpn_fraction=0.5))
    assert torch.isfinite(first["loss_rpn_box"])
    assert torch.isnan(first["loss_box"])  # the heads learn from every frame
    both = detection_losses(model.detector, features, [target, lost], SIZES)
    assert torch.isnan(both["loss_rpn_box"])


@torch.inference_mode()
@pytest.mark.parametrize("detector_fpn", [False, True])
def test_frames_for_propagation_equal_the_others_without_the_levels_of_the_detector(detector_fpn: bool) -> None:
    model, images = make_model(detector_fpn=detector_fpn), torch.cat([frame(50, 75), frame(50, 75).flip(3)])
    complete, alone = model.encode_frames(images), model.encode_for_propagation(images)
    assert (len(complete.pyramid), len(alone.pyramid), alone.image_size) == (5, 1, (50, 75))
    for network_output, expected in zip(alone.tensors, complete.for_propagation().tensors, strict=True):
        assert torch.equal(network_output, expected)
    for one, other in zip(model.encode_query(alone).tensors, model.encode_query(complete).tensors, strict=True):
        assert torch.equal(one, other)
    masks = torch.rand(2, 50, 75, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.memorize(alone.frame(1), masks).value, model.memorize(complete.frame(1), masks).value)
    with pytest.raises(ValueError, match="zip"):  # no result without the levels of the detector
        model.detect(alone.frame(0), score_threshold=0.0, nms_iou=0.5, max_instances=3)


@torch.inference_mode()
def test_a_detector_with_an_fpn_of_its_own_shares_p2_with_propagation() -> None:
    plain, own = make_model(), make_model(detector_fpn=True)
    own.fpn.load_state_dict(
        {k: v for k, v in plain.fpn.state_dict().items() if not re.match(r"layer_blocks\.[1-3]", k)}
    )
    own.backbone.load_state_dict(plain.backbone.state_dict())
    images = frame(50, 75)
    expected, actual = plain.encode_frames(images), own.encode_frames(images)
    assert [level.shape for level in actual.pyramid] == [level.shape for level in expected.pyramid]
    assert torch.equal(actual.pyramid[0], expected.pyramid[0])
    assert not torch.allclose(actual.pyramid[1], expected.pyramid[1])
    own.detector_fpn.load_state_dict(
        {
            re.sub(r"\.(\d)\.", lambda m: f".{int(m[1]) - 1}.", k, count=1): v
            for k, v in plain.fpn.state_dict().items()
            if ".0.0." not in k
        }
    )
    for ours, theirs in zip(own.encode_frames(images).pyramid, expected.pyramid, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("sizes", "regions"),
    [
        (SampleSizes(anchors=30, regions=1000, proposals=(20, 8)), 8),  # what the RPN proposes
        (SampleSizes(anchors=10, regions=1000, proposals=(2, 400)), 10),  # two of each of five levels
        (SampleSizes(anchors=20, regions=5, proposals=(20, 400)), 5),
    ],
)
def test_the_detector_learns_from_as_much_of_a_frame_as_is_said(
    sizes: SampleSizes, regions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = make_model().train().detector
    classify, seen = detector.classify, list[int]()

    def spy(features: FrameFeatures, boxes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(map(len, boxes))
        return classify(features, boxes)

    monkeypatch.setattr(detector, "classify", spy)
    monkeypatch.setattr(detector.rpn, "nms_thresh", 1.0)
    none = FrameTargets(
        torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0, 64, 64).byte(), torch.zeros(0, 4), torch.ones(4).bool()
    )
    detection_losses(detector, make_model().encode_frames(frame(64, 64)), [none], sizes)
    positive, negative = detector.rpn.fg_bg_sampler([torch.cat([torch.zeros(500), torch.ones(500)])])
    assert seen == [regions]
    assert int(positive[0].sum()) == int(negative[0].sum()) == sizes.anchors // 2


@pytest.mark.parametrize(
    ("changes", "far"),
    [
        ({}, 0.0),
        ({"exhaustive": torch.tensor(False)}, -1.0),
        ({"ignore": torch.tensor([[45.0, 45.0, 80.0, 80.0]])}, -1.0),
        ({"doubtful": torch.tensor([[48.0, 48.0, 62.0, 62.0]])}, -1.0),  # IoU 0.51
        ({"doubtful": torch.tensor([[45.0, 45.0, 80.0, 80.0]])}, 0.0),  # the anchor is a part of it, IoU 0.08
    ],
)
def test_unlabelled_crowded_and_doubtful_anchors_are_neither_object_nor_background(
    changes: dict[str, torch.Tensor], far: float
) -> None:
    rpn = make_model().train().detector.rpn
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 20.0], [50.0, 50.0, 60.0, 60.0]])
    target = {
        "boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]),
        "weights": torch.tensor([0.7]),
        "ignore": torch.zeros(0, 4),
        "doubtful": torch.zeros(0, 4),
        "exhaustive": torch.tensor(True),
        "background_weight": torch.tensor(0.4),
    }

    labels, matched, weights = rpn.match(anchors, target | changes)

    assert labels.tolist()[0::2] == [1.0, far]
    assert matched[0].tolist() == [0.0, 0.0, 10.0, 10.0]
    assert weights.tolist()[0::2] == pytest.approx([0.7, 0.4])


def test_overlaps_of_boxes() -> None:
    boxes, others = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 0.0, 15.0, 10.0]])
    assert best_iou(boxes, others).item() == pytest.approx(1 / 3)
    assert covered_by(boxes, others).item() == pytest.approx(0.5)
    assert best_iou(boxes, others[:0]).item() == covered_by(boxes, others[:0]).item() == 0.0


@torch.inference_mode()
def test_memories_of_different_lengths_are_decoded_together_and_do_not_influence_each_other() -> None:
    model = make_model()
    features = model.encode_frames(torch.rand(1, 3, 50, 75) * 255)
    query = model.encode_query(features)
    banks = [MemoryBank(model.memorize(features, torch.rand(num, 50, 75)), MemoryRule()) for num in (2, 0, 1)]
    banks[0].write(model.memorize(features, torch.rand(2, 50, 75)))
    together = model.propagate(query, banks)
    assert [len(probs) for probs in together] == [2, 0, 1]
    for probs, bank in zip(together, banks, strict=True):
        torch.testing.assert_close(probs, model.propagate(query, [bank])[0])
    assert model.propagate(query, []) == []
