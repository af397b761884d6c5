"""A network that detects some of its categories: the same detections, without the others."""

from __future__ import annotations

import pytest
import torch

from tests.network.factories import make_model
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.only_categories import OnlyCategories
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures

OPTIONS = {"score_threshold": 0.0, "nms_iou": 0.5, "max_instances": 1000}


@pytest.fixture
def network() -> SeqMaskRCNN:
    return make_model(class_specific=True)


def encode(network: SeqMaskRCNN) -> FrameFeatures:
    return network.encode_frames(torch.rand(1, 3, 50, 75, generator=torch.Generator().manual_seed(3)) * 255)


@torch.inference_mode()
@pytest.mark.parametrize("method", ["detect", "detect_objects"])
def test_all_categories_change_nothing(network: SeqMaskRCNN, method: str) -> None:
    features, categories = encode(network), network.config.categories
    every = getattr(OnlyCategories(network, categories), method)(features, **OPTIONS)
    expected = getattr(network, method)(features, **OPTIONS)
    likely = expected.class_probs[:, 1:].argmax(dim=1) + 1
    assert len(every.labels) == len(expected.labels) > 0 == (likely > 3).sum()
    for name in ("boxes", "scores", "labels", "class_probs", "mask_probs"):
        torch.testing.assert_close(getattr(every, name), getattr(expected, name))


@torch.inference_mode()
@pytest.mark.parametrize("method", ["detect", "detect_objects"])
def test_the_most_likely_class_decides(network: SeqMaskRCNN, method: str) -> None:
    features, categories = encode(network), network.config.categories
    excluded: dict[str, int] = {}
    only = OnlyCategories(network, categories[1:], excluded=excluded)  # the labels 2 and 3
    assert only.config.categories == categories[1:]
    found, every = getattr(only, method)(features, **OPTIONS), getattr(network, method)(features, **OPTIONS)
    likely = every.class_probs[:, 1:].argmax(dim=1) + 1
    wanted = (likely >= 2) & (every.labels >= 2)
    assert 0 < wanted.sum() < len(wanted)
    torch.testing.assert_close(found.boxes, every.boxes[wanted])
    torch.testing.assert_close(found.mask_probs, every.mask_probs[wanted])
    torch.testing.assert_close(found.labels, every.labels[wanted] - 1)
    probs = every.class_probs[wanted]
    torch.testing.assert_close(found.class_probs[:, 1:], probs[:, 2:])
    torch.testing.assert_close(found.class_probs[:, 0], probs[:, 0] + probs[:, 1])
    num_others = int(((likely == 1) & (every.labels == 1)).sum())
    assert excluded == {categories[0].name: num_others} != {categories[0].name: 0}
    few = getattr(only, method)(features, **OPTIONS | {"max_instances": 2})
    torch.testing.assert_close(few.scores, found.scores.sort(descending=True).values[:2])


@torch.inference_mode()
def test_all_other_methods(network: SeqMaskRCNN) -> None:
    features, only = encode(network), OnlyCategories(network, network.config.categories[:1])
    boxes = torch.tensor([[2.0, 3.0, 40.0, 45.0]])
    probs = network.class_probs(features, boxes)
    torch.testing.assert_close(only.class_probs(features, boxes)[:, 1], probs[:, 1])
    torch.testing.assert_close(only.class_probs(features, boxes).sum(dim=1), torch.ones(1))
    assert only.class_probs(features, boxes[:0]).shape == (0, 2)
    masks = network.box_masks(features, boxes)
    torch.testing.assert_close(only.box_masks(features, boxes), masks)
    memory = MemoryBank(only.memorize(features, masks), MemoryRule())
    torch.testing.assert_close(
        only.propagate(only.encode_query(only.encode_frames(torch.zeros(1, 3, 50, 75))), [memory])[0],
        network.propagate(network.encode_query(network.encode_frames(torch.zeros(1, 3, 50, 75))), [memory])[0],
    )
