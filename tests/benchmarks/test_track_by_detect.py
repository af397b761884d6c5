"""Tests of the baseline that links detections: what overlaps stays one track, what is gone too long starts anew."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vis_cli.records.rle import encode_mask

PATH = Path(__file__).parents[2] / "benchmarks" / "track_by_detect.py"
SIZE = (20, 60)


@pytest.fixture(scope="module")
def tracker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("track_by_detect", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def square(left: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[5:15, left : left + 10] = True
    return mask


def detections(tracker: ModuleType, *lefts: int, score: float = 0.8):
    masks = np.array([square(left) for left in lefts]).reshape(-1, *SIZE)
    probs = np.tile([1 - score, score], (len(lefts), 1))
    return tracker.FrameDetections(masks, tuple(encode_mask(mask) for mask in masks), probs)


def test_objects_that_move_little_keep_their_tracks_in_whatever_order_they_are_found(tracker: ModuleType) -> None:
    frames = [detections(tracker, 2, 40), detections(tracker, 38, 4), detections(tracker, 6, 36)]

    tracks = tracker.link_detections(frames)

    assert tracks.segmentations == (
        tuple(encode_mask(square(left)) for left in (2, 4, 6)),
        tuple(encode_mask(square(left)) for left in (40, 38, 36)),
    )
    assert tracks.key_frames == (0, 0)
    assert tracks.scores.tolist() == pytest.approx([0.8, 0.8])


def test_a_jump_ends_a_track_and_starts_another_and_each_scores_by_all_frames(tracker: ModuleType) -> None:
    tracks = tracker.link_detections([detections(tracker, 0), detections(tracker, 1), detections(tracker, 45)])

    assert tracks.key_frames == (0, 2)
    assert [mask is None for mask in tracks.segmentations[1]] == [True, True, False]
    assert tracks.scores.tolist() == pytest.approx([0.8 * 2 / 3, 0.8 / 3])


def test_a_track_survives_a_short_gap_only(tracker: ModuleType) -> None:
    def tracks_with_gap(missed: int) -> int:
        nothing = [detections(tracker)] * missed
        return len(tracker.link_detections([detections(tracker, 10), *nothing, detections(tracker, 10)]).ids)

    assert tracks_with_gap(tracker.PATIENCE - 1) == 1
    assert tracks_with_gap(tracker.PATIENCE) == 2


def test_nothing_detected_gives_no_tracks(tracker: ModuleType) -> None:
    assert tracker.link_detections([detections(tracker)] * 3).ids == ()
