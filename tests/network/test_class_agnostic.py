"""One foreground class made from many: detections of any class, and the sum of their probabilities."""

from __future__ import annotations

import torch

from tests.network.factories import make_model
from vis_cli.network.class_agnostic import OBJECT, ClassAgnostic
from vis_cli.network.memory import MemoryBank, MemoryRule


@torch.inference_mode()
def test_each_verb_has_one_class() -> None:
    network = make_model()
    merged = ClassAgnostic(network)
    assert merged.config.categories == (OBJECT,)
    assert (merged.config.num_classes, network.config.num_classes) == (1, 3)
    features = merged.encode_frames(torch.rand(1, 3, 50, 75, generator=torch.Generator().manual_seed(3)) * 255)
    options = {"score_threshold": 0.0, "nms_iou": 0.5, "max_instances": 4}
    found, expected = merged.detect(features, **options), network.detect_objects(features, **options)
    assert set(found.labels.tolist()) == {1}
    assert set(expected.labels.tolist()) != {1}
    torch.testing.assert_close(found.boxes, expected.boxes)
    torch.testing.assert_close(found.mask_probs, expected.mask_probs)
    probs = network.class_probs(features, found.boxes)
    torch.testing.assert_close(
        merged.class_probs(features, found.boxes), torch.stack([probs[:, 0], probs[:, 1:].sum(dim=1)], dim=1)
    )
    assert merged.class_probs(features, found.boxes[:0]).shape == (0, 2)
    memory = MemoryBank(merged.memorize(features, found.mask_probs), MemoryRule())
    torch.testing.assert_close(
        merged.propagate(merged.encode_query(features), [memory])[0],
        network.propagate(network.encode_query(features), [memory])[0],
    )
