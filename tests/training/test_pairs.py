"""Tests of which clip is trained on when: reproducible, resumable, mixed by weight."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from vis_cli.errors import VisError
from vis_cli.training.contact_sheet import draw_contact_sheet
from vis_cli.training.datasets import PseudoVideos
from vis_cli.training.labels import LabelMap
from vis_cli.training.pairs import BatchPlan, ClipDataset, ClipShapes, EpochClips, MixedClips, Share, init_worker
from vis_cli.training.structures import ClipTargets, TrainClip, collate

from .boxes import GREEN, RED, Box, write_stills

CANVASES = ((64, 64), (64, 96))


def shapes(step: int) -> ClipShapes:
    """Return the same canvases and length at every step."""
    return ClipShapes(CANVASES, 2)


class FakeSource:
    """Tells what it was asked for in the name of its clips."""

    def __init__(self, name: str, length: int) -> None:
        self.name, self.length = name, length

    def __len__(self) -> int:
        return self.length

    def sample(self, index: int, *, canvas: tuple[int, int], num_frames: int, rng: np.random.Generator) -> TrainClip:
        return make_clip(f"{self.name} {index} {rng.random()}", canvas=canvas, num_frames=num_frames)


def make_clip(name: str = "", *, canvas: tuple[int, int] = (32, 40), num_frames: int = 2) -> TrainClip:
    masks = torch.zeros((1, *canvas), dtype=torch.uint8)
    masks[0, 8:24, 8:24] = 1
    targets = ClipTargets(
        torch.tensor([[8.0, 8.0, 24.0, 24.0]]), torch.ones(1, dtype=torch.int64), masks, torch.tensor([3])
    )
    return TrainClip(
        torch.zeros((num_frames, 3, *canvas), dtype=torch.uint8),
        (targets,) * num_frames,
        torch.ones(2, dtype=torch.bool),
        True,
        (torch.zeros((0, 4)),) * num_frames,
        name,
        torch.zeros(0, dtype=torch.int64),
    )


def make_mix(seed: int = 0, weights: tuple[float, float] = (3.0, 1.0)) -> MixedClips:
    return MixedClips([FakeSource("a", 7), FakeSource("b", 3)], weights, seed)


def test_a_clip_is_a_function_of_seed_epoch_and_index() -> None:
    names = {
        (seed, epoch, index): make_mix(seed).sample((epoch, index, (32, 32), 2)).name
        for seed in (0, 1)
        for epoch in (0, 1)
        for index in (0, 1)
    }

    assert len(set(names.values())) == 8
    assert make_mix(1).sample((0, 1, (32, 32), 2)).name == names[1, 0, 1]


def test_sources_are_mixed_by_weight_and_all_their_items_are_drawn() -> None:
    names = [make_mix().sample((0, index, (32, 32), 2)).name.split()[:2] for index in range(400)]
    shares = Counter(source for source, _ in names)

    assert shares["a"] == pytest.approx(300, abs=35)
    assert len({tuple(name) for name in names}) == 10


def test_a_source_of_weight_zero_is_never_drawn() -> None:
    names = [make_mix(weights=(0.0, 1.0)).sample((0, index, (32, 32), 2)).name for index in range(30)]

    assert all(name.startswith("b") for name in names)


def test_a_mix_asks_for_its_number_of_frames_on_the_canvas_of_the_key() -> None:
    mix = MixedClips([FakeSource("a", 1)], [1.0], 0)

    assert mix.sample((0, 0, (24, 56), 4)).images.shape == (4, 3, 24, 56)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be mixed"):
        MixedClips([FakeSource("a", 1), FakeSource("b", 1)], weights, 0)


def test_an_empty_mix_or_source_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be mixed"):
        MixedClips([], [], 0)
    with pytest.raises(ValueError, match="without items"):
        MixedClips([FakeSource("a", 0)], [1.0], 0)


def test_a_plan_has_one_canvas_a_batch_and_no_sample_twice() -> None:
    batches = list(BatchPlan(40, 4, shapes, seed=0))
    keys = [key for batch in batches for key in batch]

    assert len(batches) == len(BatchPlan(40, 4, shapes, seed=0)) == 40
    assert all(len(batch) == 4 and len({canvas for _, _, canvas, _ in batch}) == 1 for batch in batches)
    assert {canvas for _, _, canvas, _ in keys} == set(CANVASES)
    assert len({(epoch, index) for epoch, index, _, _ in keys}) == 160


def test_a_resumed_plan_goes_on_as_the_unbroken_one() -> None:
    whole = list(BatchPlan(12, 3, shapes, seed=5))

    assert list(BatchPlan(12, 3, shapes, seed=5, start_step=7)) == whole[7:]
    assert len(BatchPlan(12, 3, shapes, seed=5, start_step=7)) == 5
    assert list(BatchPlan(12, 3, shapes, seed=5, start_step=12)) == []
    assert len(BatchPlan(12, 3, shapes, seed=5, start_step=13)) == 0


def test_canvases_depend_on_the_seed() -> None:
    assert list(BatchPlan(20, 1, shapes, seed=0)) != list(BatchPlan(20, 1, shapes, seed=1))


@pytest.mark.parametrize(
    ("batch_size", "share"), [(0, Share()), (3, Share(parts=2)), (4, Share(parts=2, first=1, count=2))]
)
def test_a_batch_that_cannot_be_shared_is_refused(batch_size: int, share: Share) -> None:
    with pytest.raises(ValueError, match="cannot be shared"):
        BatchPlan(10, batch_size, shapes, seed=0, share=share)


def test_the_parts_of_all_processes_are_the_batch_of_one() -> None:
    whole = list(BatchPlan(5, 4, shapes, seed=3))
    first, second = (list(BatchPlan(5, 4, shapes, seed=3, share=Share(4, at, 2))) for at in (0, 2))

    assert len(first) == len(BatchPlan(5, 4, shapes, seed=3, share=Share(4, 0, 2))) == 10
    for step, batch in enumerate(whole):
        parts = first[2 * step : 2 * step + 2] + second[2 * step : 2 * step + 2]
        assert [key for part in parts for key in part] == batch


def test_clips_may_grow_longer_on_the_way() -> None:
    batches = list(BatchPlan(4, 1, lambda step: ClipShapes(CANVASES, 3 if step > 1 else 2), seed=0))

    assert [key[3] for (key,) in batches] == [2, 2, 3, 3]


def test_an_epoch_shows_every_item_once() -> None:
    clips = EpochClips([FakeSource("a", 4), FakeSource("b", 3)], [1.0, 1.0], 0)
    plan = BatchPlan(7, 2, shapes, seed=0, epoch_length=len(clips))
    names = [" ".join(clips.sample(key).name.split()[:2]) for batch in plan for key in batch]

    assert len(clips) == 7
    assert sorted(names[:7]) == sorted(names[7:]) == ["a 0", "a 1", "a 2", "a 3", "b 0", "b 1", "b 2"]
    assert names[:7] != names[7:]


def test_the_weight_of_a_source_is_how_often_an_epoch_shows_it() -> None:
    clips = EpochClips([FakeSource("a", 4), FakeSource("b", 4)], [0.5, 2.0], 0)
    names = [" ".join(clips.sample((0, index, (8, 8), 2)).name.split()[:2]) for index in range(len(clips))]

    assert sum(name.startswith("a") for name in names) == len({n for n in names if n.startswith("a")}) == 2
    assert Counter(name for name in names if name.startswith("b")) == {f"b {i}": 2 for i in range(4)}


def test_a_loader_gives_the_same_clips_with_and_without_a_worker(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[Box("cat", (20, 20, 60, 60), RED)], [Box("dog", (30, 10, 80, 70), GREEN)]])
    stills = PseudoVideos(stored.annotations, stored.images, LabelMap(("cat", "dog")))
    loaded = []
    for num_workers in (0, 1):
        loader = DataLoader(
            ClipDataset(MixedClips([stills], [1.0], 3)),
            batch_sampler=BatchPlan(3, 2, shapes, seed=3),
            collate_fn=collate,
            num_workers=num_workers,
            worker_init_fn=init_worker,
        )
        loaded.append([clip for batch in loader for clip in batch])

    assert len(loaded[0]) == 6
    for alone, worked in zip(*loaded, strict=True):
        assert torch.equal(alone.images, worked.images)
        assert alone.name == worked.name


def test_a_picture_that_breaks_a_worker_is_still_named(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[Box("cat", (20, 20, 60, 60), RED)]])
    stills = PseudoVideos(stored.annotations, stored.images, LabelMap(("cat",)))
    (tmp_path / "1.png").unlink()
    loader = DataLoader(
        ClipDataset(MixedClips([stills], [1.0], 0)),
        batch_sampler=BatchPlan(1, 1, shapes, seed=0),
        collate_fn=collate,
        num_workers=1,
    )

    with pytest.raises(VisError, match=r"1\.png"):
        next(iter(loader))


def test_collate_refuses_clips_of_different_shape() -> None:
    assert len(collate([make_clip(), make_clip()])) == 2
    with pytest.raises(ValueError, match="differ in shape"):
        collate([make_clip(), make_clip(canvas=(32, 48))])


def test_targets_and_clips_check_their_lengths() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        ClipTargets(torch.zeros(2, 4), torch.zeros(1), torch.zeros(2, 3, 3), torch.zeros(2))
    clip = make_clip()
    with pytest.raises(ValueError, match="2 frames, 1 targets"):
        TrainClip(clip.images, clip.targets[:1], clip.labelled, True, clip.ignore, "", clip.guided_ids)


def test_a_contact_sheet_lays_out_clips_and_outlines_guided_objects_thick() -> None:
    plain, guided = make_clip(), make_clip()
    guided.guided_ids = torch.tensor([3])

    sheet = draw_contact_sheet([plain, guided, plain], columns=2)

    assert sheet.shape == (2 * 36, 2 * 84, 3)
    assert draw_contact_sheet([]).size == 0
    outline = [int((sheet[16, left : left + 40].max(-1) > 200).sum()) for left in (0, 40, 84, 124)]
    assert outline[0] == outline[1]
    assert outline[2] == outline[3] >= outline[0] + 4
    assert sheet[20, 16].any()
    assert not sheet[4, 4].any()
