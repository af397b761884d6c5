"""A run that is interrupted after any window and resumes has the same result, bit for bit."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
import torch

from vis_cli.engine.finished import FinishedWindow
from vis_cli.engine.segmenter import Segmenter
from vis_cli.engine.video_run import collect_masks
from vis_cli.errors import VisError
from vis_cli.records.types import ModelInfo, VideoResult
from vis_cli.settings import PRESETS, RunSettings
from vis_cli.zoo.weights import LoadedModel

from .fakes import FakeNetwork, make_segmenter, make_video
from .test_windows import boxes_in

SPANS = {0: [(0, 3), (12, 19)], 1: [(0, 19)], 2: [(5, 9), (14, 19)], 3: [(2, 7)]}  # objects leave and return
VIDEO = make_video(boxes_in(SPANS, 20))
SETTINGS: list[dict[str, Any]] = [
    {},
    {"overlap": "exclusive", "num_key_frames": 1},
    {"memory_frames": 3, "memory_previous": True, "score_source": "support"},
    {"num_key_frames": 1, "score_frames": "lifetime", "key_frame_spacing": "endpoints"},
]


def run_to(segmenter: Segmenter, num_windows: int, **given: Any) -> tuple[list[FinishedWindow], bytes]:
    """Return the first windows, and the state after them."""
    run = segmenter.start(VIDEO, **given)  # type: ignore[arg-type]
    windows = run.iter_windows()
    first = [next(windows) for _ in range(num_windows)]
    state = run.save()
    windows.close()
    return first, state


def resume(segmenter: Segmenter, first: list[FinishedWindow], state: bytes, **given: Any) -> VideoResult:
    run = segmenter.start(VIDEO, **given)  # type: ignore[arg-type]
    run.restore(state)
    return run.result(collect_masks([*first, *run.iter_windows()]))


def uninterrupted(segmenter: Segmenter, **given: Any) -> VideoResult:
    run = segmenter.start(VIDEO, **given)  # type: ignore[arg-type]
    return run.result(collect_masks(run.iter_windows()))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("num_windows", [1, 3])
def test_a_resumed_run_has_the_same_result(settings: dict[str, Any], num_windows: int) -> None:
    segmenter = make_segmenter(window=4, **settings)
    complete = uninterrupted(segmenter)
    assert len(complete.instances) >= 3
    first, state = run_to(segmenter, num_windows)
    assert resume(segmenter, first, state) == complete


def test_given_masks_are_resumed() -> None:
    from .fakes import drawn_masks

    guidance = {frame: drawn_masks(VIDEO, 1)[frame] * 4 + drawn_masks(VIDEO, 2)[frame] * 7 for frame in (1, 6, 15)}
    segmenter = make_segmenter(window=4)
    complete = uninterrupted(segmenter, guidance=guidance)
    assert [instance.id for instance in complete.instances] == [4, 7]
    first, state = run_to(segmenter, 2, guidance=guidance)
    assert resume(segmenter, first, state, guidance=guidance) == complete


def test_finished_windows_are_not_segmented_again() -> None:
    first, state = run_to(make_segmenter(window=4), 2)  # the third window, 8 to 11, is done but can still change
    network = FakeNetwork()
    resume(make_segmenter(network, window=4), first, state)
    assert set(network.detected) == set(range(12, 20))
    assert set(network.encoded) == set(range(8, 20))  # object 0 returns in frame 12 and is propagated backward


def test_the_state_contains_only_the_objects_that_live() -> None:
    """A memory is often a view of the memory of more objects, which `torch.save` would store completely."""
    _, state = run_to(make_segmenter(window=4), 2)
    saved = torch.load(io.BytesIO(state), weights_only=True)
    tensors = [tensor for some in saved["live"] for pair in some["propagation"]["bank"]["entries"] for tensor in pair]
    assert tensors
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in tensors)


def test_a_video_with_other_windows_is_not_resumed() -> None:
    first, state = run_to(make_segmenter(window=4), 3)
    with pytest.raises(VisError, match="cannot resume: the video has other windows than before"):
        resume(make_segmenter(window=5), first, state)
    run = make_segmenter(window=4).start(dataclasses.replace(VIDEO, frames=VIDEO.frames[:9]))  # type: ignore[arg-type]
    run.restore(state)
    with pytest.raises(VisError, match="cannot resume: the video has other windows than before"):
        list(run.iter_windows())


def test_the_memory_of_a_real_network_is_kept_bit_for_bit() -> None:
    from tests.network.factories import make_model

    torch.manual_seed(0)
    config = dataclasses.replace(
        PRESETS["default"],
        window=4,
        short_side=32,
        long_side=64,
        detection_score_threshold=0.0,
        num_key_frames=1,
        max_instances=3,
    )
    model = LoadedModel(make_model().eval(), ModelInfo("tiny", "0" * 64))
    segmenter = Segmenter(model, config=config, run=RunSettings(device="cpu"))  # type: ignore[arg-type]
    complete = uninterrupted(segmenter)
    first, state = run_to(segmenter, 2)
    assert resume(segmenter, first, state) == complete
    assert complete.instances
