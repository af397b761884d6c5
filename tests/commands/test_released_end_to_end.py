"""From a released checkpoint to a result: import, then `vis segment`, held against the released rules spelt out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.engine import literal_released
from tests.zoo.released_factory import GOLDEN, seeded_state, write_checkpoint
from vis_cli.network.accelerate import accelerate
from vis_cli.records.result_json import read_result
from vis_cli.zoo.weights import load_model

from .conftest import RunVis

KEY_FRAMES = 3
SCORE_TOLERANCE = 1e-3
LEAST_IOU = 0.99


@pytest.mark.slow
def test_a_released_checkpoint_gives_the_released_results(tmp_path: Path, run_vis: RunVis) -> None:
    checkpoint = write_checkpoint(tmp_path / "r50.pth", seeded_state("r50"))
    flags = ("--as", "r50", "--dataset", "ytvis2019")
    assert run_vis("models", "import", checkpoint, *flags, "-o", tmp_path / "r50").code == 0
    frames = write_frames(tmp_path / "clip")
    options = (
        "--preset",
        "released-ytvis",
        "--num-key-frames",
        KEY_FRAMES,
        "--short-side",
        180,
        "--set",
        "long_side=240",
    )
    outcome = run_vis(
        "segment", tmp_path / "clip", "-o", tmp_path, "--model", tmp_path / "r50", *options, "--no-render"
    )
    assert outcome.code == 0, outcome.err
    result = read_result(tmp_path / "clip.json")
    # The same layers on both sides: random weights and a memory of all frames amplify rounding.
    network = accelerate(load_model(str(tmp_path / "r50")).model, torch.device("cpu"))
    expected = literal_released.infer(network, frames, KEY_FRAMES)  # type: ignore[arg-type]
    assert len(result.instances) == len(expected) > 1
    for instance, sequence in zip(result.instances, expected, strict=True):
        for category_id, score in instance.category_scores.items():
            assert score == pytest.approx(sequence.class_scores[category_id], abs=SCORE_TOLERANCE)
        masks = [instance.mask(frame) for frame in range(len(frames))]
        empty = np.zeros(frames[0].shape[:2], np.bool_)
        stacked = np.stack([empty if mask is None else mask for mask in masks])
        assert literal_released.iou(stacked, sequence.masks) > LEAST_IOU or not (stacked | sequence.masks).any()


def write_frames(folder: Path) -> list[NDArray[np.uint8]]:
    """Write the golden frames as lossless images; return them in RGB."""
    folder.mkdir()
    with np.load(GOLDEN / "full_frames_bgr.npz") as stored:
        frames = list(stored["frames"])
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), frame)
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames]
