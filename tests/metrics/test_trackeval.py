"""Agreement with the package trackeval where its protocol is ours: AP and AR of all areas, J and F without void,
identity metrics.

Left out where it is not installed: `pip install --no-deps trackeval`, and scikit-image for J and F.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.golden.identity_recipe import make_problem, trackeval_data, trackeval_scores
from tests.metrics.literal_youtube_vis import LiteralObject
from tests.metrics.test_davis import make_pairs, random_sequence
from tests.metrics.test_identity import measure
from tests.metrics.test_youtube_vis import random_problem
from tests.metrics.youtube_vis_factory import encode, evaluate
from vis_cli.metrics.davis import evaluate_unsupervised
from vis_cli.metrics.identity import add_counts, average_scores, count_identities
from vis_cli.metrics.youtube_vis_matching import IOU_THRESHOLDS
from vis_cli.records.rle import encode_mask


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import it under the names that numpy had when it was written."""
    for name, kind in (("float", float), ("int", int), ("bool", bool)):
        monkeypatch.setattr(np, name, kind, raising=False)
    return pytest.importorskip("trackeval").metrics


def class_data(predictions: Sequence[LiteralObject], truths: Sequence[LiteralObject]) -> dict[str, Any]:
    """Describe one category of one video; ids begin at 1, since 0 means unmatched there."""
    ranked = sorted(predictions, key=lambda prediction: -prediction.score)
    return {
        "gt_track_ids": list(range(1, len(truths) + 1)),
        "gt_tracks": [dict(enumerate(encode(truth.masks))) for truth in truths],
        "gt_track_iscrowd": [False] * len(truths),
        "dt_track_ids": list(range(1, len(ranked) + 1)),
        "dt_tracks": [dict(enumerate(encode(prediction.masks))) for prediction in ranked],
        "dt_track_scores": [prediction.score for prediction in ranked],
        "iou_type": "mask",
    }


@pytest.mark.parametrize("block", range(4))
def test_ap_and_ar_of_all_areas(block: int, metrics: Any) -> None:
    config = {"USE_AREA_RANGES": False, "USE_TIME_RANGES": False, "MAX_DETECTIONS": 100, "PRINT_CONFIG": False}
    metric = metrics.TrackMAP(config | {"IOU_THRESHOLDS": IOU_THRESHOLDS})  # its own are np.arange's, a digit off
    found = []
    for seed in range(15 * block, 15 * block + 15):
        predictions, truths, num_frames, categories = random_problem(seed, (12, 16), max_predictions=30)
        truths = [truth for truth in truths if not truth.crowd]  # a crowd is matched once only there
        by_class = {}
        for category in categories:
            videos = {
                video: metric.eval_sequence(
                    class_data(
                        [p for p in predictions if (p.video, p.category) == (video, category)],
                        [t for t in truths if (t.video, t.category) == (video, category)],
                    )
                )
                for video in sorted(num_frames)
            }
            by_class[category] = metric.combine_sequences(videos)
        expected = metric.combine_classes_class_averaged(by_class)
        summary = evaluate(predictions, truths, num_frames=num_frames, categories=categories).summary
        assert summary.ap == pytest.approx(expected["AP_all"].mean(), abs=1e-9)
        assert summary.ar100 == pytest.approx(expected["AR_all"].mean(), abs=1e-9)
        found.append(summary.ap)
    assert max(found) > 0.2


def label_data(frames: Sequence[np.ndarray], prefix: str, num_labels: int) -> dict[str, Any]:
    """Describe label maps 1..num_labels as masks with ids from 0, absent ones left out."""
    present = [[label for label in range(1, num_labels + 1) if (frame == label).any()] for frame in frames]
    return {
        f"{prefix}_ids": [np.array(labels, dtype=int) - 1 for labels in present],
        f"{prefix}_dets": [
            [encode_mask(frame == label) for label in labels] for frame, labels in zip(frames, present, strict=True)
        ],
    }


@pytest.mark.parametrize("seed", range(8))
def test_j_and_f(seed: int, metrics: Any) -> None:
    pytest.importorskip("skimage")
    metric = metrics.JAndF()
    metric.optim_type = "J&F"  # as the benchmark matches; its own default is J alone
    truths = random_sequence(seed, highest=3, num_frames=8, void=False)
    predictions = random_sequence(seed + 50, highest=4, num_frames=8, void=False)
    num_objects, num_proposals = int(truths[0].max()), max(int(frame.max()) for frame in predictions)
    truths = [np.where(frame > num_objects, 0, frame).astype(np.uint8) for frame in truths]
    score = evaluate_unsupervised("a", make_pairs(predictions, truths)).summary
    data = {
        "num_timesteps": 8,
        "num_gt_ids": num_objects,
        "num_tracker_ids": num_proposals,
        **label_data(truths, "gt", num_objects),
        **label_data(predictions, "tracker", num_proposals),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        expected = metric.eval_sequence(data)
    found = [score.region.mean, score.region.recall, score.region.decay]
    assert found == pytest.approx([expected[f"J-{name}"] for name in ("Mean", "Recall", "Decay")], abs=1e-9)
    found = [score.boundary.mean, score.boundary.recall, score.boundary.decay]
    assert found == pytest.approx([expected[f"F-{name}"] for name in ("Mean", "Recall", "Decay")], abs=1e-9)
    assert score.jf_mean == pytest.approx(expected["J&F"], abs=1e-9)


@pytest.mark.parametrize("block", range(4))
def test_identity_metrics(block: int, metrics: Any) -> None:
    for seed in range(100 + 25 * block, 125 + 25 * block):
        problem = make_problem(seed)
        counts = [count_identities(measure(objects, predictions)) for objects, predictions in problem]
        videos, total = trackeval_scores(metrics, [trackeval_data(*video) for video in problem])
        for of_video, expected in zip(counts, videos, strict=True):
            if of_video.num_object_masks:  # trackeval returns 0 without objects
                assert dataclasses.asdict(of_video.score) == pytest.approx(expected, abs=1e-12)
        assert dataclasses.asdict(add_counts(counts).score) == pytest.approx(total, abs=1e-12)


def test_identity_metrics_averaged_over_categories(metrics: Any) -> None:
    metric = metrics.HOTA()
    by_category, scores = {}, []
    for seed in range(8):
        problem = make_problem(seed)
        data = {i: trackeval_data(*video) for i, video in enumerate(problem)}
        by_category[seed] = metric.combine_sequences({i: metric.eval_sequence(video) for i, video in data.items()})
        scores.append(add_counts(count_identities(measure(*video)) for video in problem).score)
    expected = metric.combine_classes_class_averaged(by_category, ignore_empty_classes=True)
    found = average_scores(scores)
    for name, ours in (("HOTA", found.hota), ("DetA", found.det_a), ("AssA", found.ass_a), ("LocA", found.loc_a)):
        assert ours == pytest.approx(expected[name].mean(), abs=1e-12)
