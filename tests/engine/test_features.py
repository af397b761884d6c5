"""Encoded frames: once within the budget, again beyond it."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import FrameStore
from vis_cli.records.video import Video

from .fakes import HEIGHT, WIDTH, FakeNetwork, make_video, moving_boxes

NUM_FRAMES = 8
ENCODED_BYTES = (4 * 3 * HEIGHT * WIDTH + 3 * 3) * 4  # three feature tensors and a skip, and three single cells


@pytest.mark.parametrize(
    ("frames_in_budget", "encoded_again"), [(100, []), (4, [1, 0]), (1, [4, 3, 2, 1, 0]), (0, [5, 4, 3, 2, 1, 0])]
)
def test_the_backward_sweep_starts_with_what_was_kept(frames_in_budget: int, encoded_again: list[int]) -> None:
    network = FakeNetwork()
    cache = _cache(network, frames_in_budget, reused_before=6)
    for index in range(NUM_FRAMES):
        cache.encode(index)
        assert cache.num_bytes <= frames_in_budget * ENCODED_BYTES
    assert network.encoded == list(range(NUM_FRAMES))
    for index in reversed(range(6)):
        cache.take(index)
    assert network.encoded[NUM_FRAMES:] == encoded_again
    assert cache.num_bytes == 0


def test_kept_and_encoded_again_are_the_same_frame() -> None:
    kept, again = _cache(FakeNetwork(), 100, reused_before=8), _cache(FakeNetwork(), 0, reused_before=8)
    first = kept.encode(3)
    assert kept.take(3) is first
    assert torch.equal(again.take(3).features.c2, first.features.c2)
    assert torch.equal(again.take(3).query.skip2, first.query.skip2)


def test_bytes_of_features_and_query_are_counted() -> None:
    assert _cache(FakeNetwork(), 0, reused_before=0).encode(0).num_bytes == ENCODED_BYTES


def test_the_image_is_float_rgb_from_0_to_255() -> None:
    video = make_video(moving_boxes(NUM_FRAMES))
    image = _cache(FakeNetwork(), 0, reused_before=0).encode(5).features.c2
    assert image.dtype == torch.float32
    assert torch.equal(image[0].permute(1, 2, 0), torch.from_numpy(video.frames[5]).float())


def _cache(network: FakeNetwork, frames_in_budget: int, *, reused_before: int) -> FeatureCache:
    video = cast(Video, make_video(moving_boxes(NUM_FRAMES)))
    frames = FrameStore((HEIGHT, WIDTH), budget_bytes=2**20)
    for frame in video.iter_frames():
        frames.append(frame)
    return FeatureCache(
        network,
        [frames],
        device=torch.device("cpu"),
        budget_bytes=frames_in_budget * ENCODED_BYTES,
        reused_before=reused_before,
    )
