"""Encoded frames: once within the budget, again beyond it."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from tests.network.factories import make_model
from vis_cli.engine import features
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import FrameStore
from vis_cli.network.structures import FrameFeatures, QueryFeatures
from vis_cli.records.video import Video

from .fakes import HEIGHT, WIDTH, FakeNetwork, make_video, moving_boxes

NUM_FRAMES = 8
KEPT_BYTES = (2 * 3 * HEIGHT * WIDTH + 3 * 3) * 2  # float16: P2 and a skip, and three cells


@pytest.mark.parametrize(
    ("frames_in_budget", "encoded_again"), [(100, []), (4, [5, 4]), (1, [5, 4, 3, 2, 1]), (0, [5, 4, 3, 2, 1, 0])]
)
def test_the_first_frames_are_kept_within_the_budget(frames_in_budget: int, encoded_again: list[int]) -> None:
    network = FakeNetwork()
    cache = _cache(network, frames_in_budget, reused_before=6)
    for index in range(NUM_FRAMES):
        cache.encode(index)
        assert cache.num_bytes <= frames_in_budget * KEPT_BYTES
    assert network.encoded == list(range(NUM_FRAMES))
    for index in reversed(range(6)):
        cache.take(index)
    assert network.encoded[NUM_FRAMES:] == encoded_again
    assert cache.num_bytes == 0


def test_kept_and_encoded_again_are_the_same_frame() -> None:
    kept, again = _cache(FakeNetwork(), 100, reused_before=8), _cache(FakeNetwork(), 0, reused_before=8)
    kept.encode(3)
    first, second = kept.take(3), again.take(3)
    assert len(first.tensors) == len(second.tensors) > 4
    for one, other in zip(first.tensors, second.tensors, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype == torch.float32


def test_bytes_of_features_and_query_are_counted() -> None:
    cache = _cache(FakeNetwork(), 1, reused_before=1)
    assert cache.encode(0).num_bytes == 2 * KEPT_BYTES  # in float32
    assert cache.num_bytes == KEPT_BYTES


def test_only_key_frames_have_the_features_of_the_detector_and_only_forward_in_time() -> None:
    network = FakeNetwork()
    cache = _cache(network, 3, reused_before=6, key_frames=(1, 5))
    levels = [len(cache.encode(index).features.pyramid) for index in range(NUM_FRAMES)]
    assert levels == [1, 2, 1, 1, 1, 2, 1, 1]
    assert network.only_propagated == [0, 2, 3, 4, 6, 7]
    assert cache.num_bytes == 3 * KEPT_BYTES
    assert [len(cache.take(index).features.pyramid) for index in (5, 1, 0)] == [1, 1, 1]  # 5 was not kept
    assert network.only_propagated[6:] == [5]


def test_frames_of_a_detector_that_classifies_all_frames_keep_its_features() -> None:
    network = FakeNetwork()
    cache = _cache(network, 2, reused_before=6, classifies_frames=True)
    exact = [cache.encode(index).features.pyramid[1] for index in range(NUM_FRAMES)]
    for index in (2, 1, 0):  # 2 was not kept: each frame is larger
        assert torch.equal(cache.take(index).features.pyramid[1], exact[index])
    assert (network.encoded[NUM_FRAMES:], network.only_propagated) == ([2, 1], [])


def test_memory_is_released_in_key_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    network = FakeNetwork()
    monkeypatch.setattr(features, "release_memory", lambda: released.append(len(network.encoded)))
    cache = _cache(network, 3, reused_before=6, key_frames=(1, 5))
    for index in range(NUM_FRAMES):
        cache.encode(index)
    assert released == [1, 5]  # before they are encoded


def test_kept_features_differ_by_the_rounding_of_float16() -> None:
    change = Scaled(0.1)
    cache = _cache(change, 100, reused_before=8)
    exact, kept = cache.encode(3).features.pyramid[0], cache.take(3).features.pyramid[0]
    assert not torch.equal(kept, exact)
    torch.testing.assert_close(kept, exact, rtol=2**-11, atol=0)
    assert kept.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("is_large", [False, True])  # with and without pages of its own
def test_a_kept_frame_has_the_values_and_the_order_of_dimensions(
    is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = _cache(FakeNetwork(), 0, reused_before=0).encode(3)
    frame = frame.map(
        lambda tensor: (
            torch.randn(tensor.shape).contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        )
    )
    monkeypatch.setattr(features, "LARGE", frame.num_bytes // 2 + (0 if is_large else 1))
    kept = features._Kept.keep(frame).frame
    for tensor, rounded in zip(frame.tensors, kept.tensors, strict=True):
        assert torch.equal(rounded, tensor.half())
        assert rounded.stride() == tensor.stride()
    storages = {tensor.untyped_storage().data_ptr() for tensor in kept.tensors if tensor.numel() > 0}
    assert (len(storages) == 1) == is_large


def test_features_beyond_the_range_of_float16_stay_in_float32() -> None:
    cache = _cache(Scaled(1e4), 100, reused_before=8)
    exact = cache.encode(3).features.pyramid[0]
    assert exact.max() > torch.finfo(torch.float16).max
    assert torch.equal(cache.take(3).features.pyramid[0], exact)


def test_features_in_another_format_are_not_changed() -> None:
    cache = _cache(Scaled(0.1, torch.bfloat16), 100, reused_before=8)
    exact = cache.encode(3).features.pyramid[0]
    kept = cache.take(3).features.pyramid[0]
    assert kept.dtype == torch.bfloat16
    assert torch.equal(kept, exact)


def test_the_image_is_float_rgb_from_0_to_255() -> None:
    video = make_video(moving_boxes(NUM_FRAMES))
    image = _cache(FakeNetwork(), 0, reused_before=0).encode(5).features.pyramid[0]
    assert image.dtype == torch.float32
    assert torch.equal(image[0].permute(1, 2, 0), torch.from_numpy(video.frames[5]).float())


class Scaled(FakeNetwork):
    """Network whose features are the image times a factor, in any number format."""

    def __init__(self, factor: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.factor, self.dtype = factor, dtype

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        return super().encode_frames(images).map(lambda image: (image * self.factor).to(self.dtype))


def _cache(
    network: FakeNetwork,
    frames_in_budget: int,
    *,
    reused_before: int,
    key_frames: tuple[int, ...] = (),
    classifies_frames: bool = False,
) -> FeatureCache:
    video = cast(Video, make_video(moving_boxes(NUM_FRAMES)))
    frames = FrameStore((HEIGHT, WIDTH), budget_bytes=2**20)
    for frame in video.iter_frames():
        frames.append(frame)
    return FeatureCache(
        network,
        [frames],
        device=torch.device("cpu"),
        budget_bytes=frames_in_budget * KEPT_BYTES,
        reused_before=reused_before,
        key_frames=key_frames,
        classifies_frames=classifies_frames,
    )


class BatchNetwork:
    """A network that counts the frames of each call, and whose memory is too small for more than `limit`."""

    def __init__(self, limit: int = 100) -> None:
        self.network, self.limit = make_model(), limit
        self.sizes: list[int] = []
        self.detected: list[int] = []  # of the calls: with the features of the detector

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        self.detected.append(len(self.sizes))
        self._count(images)
        return self.network.encode_frames(images)

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        self._count(images)
        return self.network.encode_for_propagation(images)

    def _count(self, images: Tensor) -> None:
        self.sizes.append(len(images))
        if len(images) > self.limit:
            raise torch.cuda.OutOfMemoryError

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        return self.network.encode_query(features)


@torch.inference_mode()
def test_a_batch_has_the_same_features_as_single_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureCache, "_batch_size", lambda self: 3)
    network, alone = BatchNetwork(), make_model()
    cache = _cache(network, 100, reused_before=0, key_frames=(4,))  # type: ignore[arg-type]
    for index in range(NUM_FRAMES):
        encoded = cache.encode(index)
        features = alone.encode_frames(image(index))
        query = alone.encode_query(features)
        assert encoded.index == index
        for actual, expected in (
            *zip(encoded.features.pyramid, features.pyramid[: 5 if index in (3, 4, 5) else 1], strict=True),
            (encoded.query.key, query.key),
            (encoded.query.value, query.value),
            (encoded.query.skip3, query.skip3),
            (encoded.query.skip2, query.skip2),
        ):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert network.sizes == [3, 3, 2]
    assert [cache.take(index).index for index in (5, 4, 3, 2, 1, 0)] == [5, 4, 3, 2, 1, 0]
    assert network.sizes[3:] == [3, 3]
    assert network.detected == [1]  # the batch with the key frame, forward in time only


@torch.inference_mode()
def test_a_smaller_batch_is_tried_if_the_memory_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureCache, "_batch_size", lambda self: 8)
    network = BatchNetwork(limit=2)
    cache = _cache(network, 100, reused_before=0, key_frames=(3,))  # type: ignore[arg-type]
    levels = {index: len(cache.encode(index).features.pyramid) for index in range(NUM_FRAMES)}
    assert levels == {0: 1, 1: 1, 2: 5, 3: 5, 4: 1, 5: 1, 6: 1, 7: 1}
    assert network.sizes == [8, 4, 2, 2, 2, 2]
    assert network.detected == [0, 1, 3]  # batches that contain the key frame: two are too large
    with pytest.raises(torch.cuda.OutOfMemoryError):
        _cache(BatchNetwork(limit=0), 100, reused_before=0).encode(0)  # type: ignore[arg-type]


def image(index: int) -> Tensor:
    frames = make_video(moving_boxes(NUM_FRAMES)).frames
    return torch.from_numpy(frames[index]).permute(2, 0, 1)[None].float()
