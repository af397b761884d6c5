"""Tests of reading training data: what becomes of its objects, and one clear line for everything that is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_cli.errors import VisError
from vis_cli.training.annotations import read_annotated_images, read_video_clips
from vis_cli.training.cutouts import CutoutBank, paste_candidates
from vis_cli.training.datasets import PseudoVideos, VideoClips
from vis_cli.training.frame_choice import NearFrames, draw_frames
from vis_cli.training.labels import LabelMap
from vis_cli.training.pseudo_video import PAPER
from vis_cli.training.structures import TrainClip

from .boxes import BLUE, GREEN, RED, Box, Stored, write_stills, write_video

CAT, DOG = Box("cat", (20, 20, 60, 60), RED), Box("dog", (70, 30, 110, 80), GREEN)
SIZE = (96, 128)
LABELS = LabelMap(("dog", "cat", "object"))
PLAIN = replace(PAPER, turns=(), flip=0.0)  # every frame is the picture itself


def sample(source: PseudoVideos | VideoClips, index: int = 0, seed: int = 0, num_frames: int = 2) -> TrainClip:
    return source.sample(index, canvas=SIZE, num_frames=num_frames, rng=np.random.default_rng(seed))


def open_stills(stored: Stored, labels: LabelMap = LABELS, **options: Any) -> PseudoVideos:
    return PseudoVideos(stored.annotations, stored.images, labels, PLAIN, **options)


def open_video(stored: Stored, labels: LabelMap = LABELS, **options: Any) -> VideoClips:
    videos = read_video_clips(stored.annotations, stored.images)
    return VideoClips(videos, labels, PLAIN, name="video.json", bank=CutoutBank({}), **options)


def test_categories_become_labels_by_name() -> None:
    assert [LABELS.label(name) for name in ("dog", "cat", "object", "zebra")] == [1, 2, 3, 3]
    assert LabelMap(("dog",)).label("cat") is None


def test_a_source_labels_what_its_entry_says_or_everything() -> None:
    labels = LabelMap(("dog", "cat"), {"cats": ["cat"]})

    assert labels.labelled("cats").tolist() == [False, False, True]
    assert labels.labelled("other").tolist() == [True, True, True]


def test_a_star_stands_for_the_sources_that_are_not_named() -> None:
    labels = LabelMap(("dog", "cat"), {"cats": ["cat"], "*": ["dog"]})

    assert labels.labelled("cats").tolist() == [False, False, True]
    assert labels.labelled("other").tolist() == labels.labelled("").tolist() == [False, True, False]


def test_a_mistyped_labelled_name_is_refused() -> None:
    with pytest.raises(VisError, match=r"cats: the model has no category 'cta'"):
        LabelMap(("cat",), {"cats": ["cta"]})


def test_a_still_becomes_a_clip_of_its_objects(tmp_path: Path) -> None:
    stills = open_stills(write_stills(tmp_path, [[CAT, DOG], [CAT]], source="cats"))

    clip = sample(stills, num_frames=3)

    assert len(stills) == 2
    assert clip.images.shape == (3, 3, *SIZE)
    assert clip.detect
    assert clip.name == str(tmp_path / "1.png")
    for image, targets in zip(clip.images, clip.targets, strict=True):
        assert targets.labels.tolist() == [2, 1]
        assert targets.boxes.tolist() == [[20, 20, 60, 60], [70, 30, 110, 80]]
        assert image[:, 40, 40].tolist() == list(RED)


def test_an_object_the_model_has_no_name_for_is_an_object_or_nothing(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT, DOG]])

    assert sample(open_stills(stored, LabelMap(("object", "dog")))).targets[0].labels.tolist() == [1, 2]
    dropped = sample(open_stills(stored, LabelMap(("dog",))))
    assert dropped.targets[0].labels.tolist() == [1]
    assert not len(dropped.ignore[0])


def test_what_is_labelled_follows_the_picture(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT], [CAT]], source="cats")
    stored.edit(lambda data: data["images"][1].pop("source"))
    stills = open_stills(stored, LabelMap(("dog", "cat"), {"cats": ["cat"]}))

    assert sample(stills, 0).labelled.tolist() == [False, False, True]
    assert sample(stills, 1).labelled.tolist() == [True, True, True]


def test_polygons_and_plain_rle_are_masks_too(tmp_path: Path) -> None:
    def respell(data: dict[str, Any]) -> None:
        data["annotations"][0]["segmentation"] = [[20, 20, 60, 20, 60, 60, 20, 60]]
        counts = [10 * 96, 4 * 96, 114 * 96]  # columns 10 to 13
        data["annotations"][1]["segmentation"] = {"size": list(SIZE), "counts": counts}

    targets = sample(open_stills(write_stills(tmp_path, [[CAT, DOG]]).edit(respell))).targets[0]

    assert targets.boxes.tolist() == [[20, 20, 60, 60], [10, 0, 14, 96]]


def test_crowds_are_ignored_and_lie_below_objects(tmp_path: Path) -> None:
    crowd = Box("cat", (50, 20, 70, 50), BLUE, crowd=True)
    clip = sample(open_stills(write_stills(tmp_path, [[CAT, crowd]])))

    assert clip.targets[0].masks.sum((1, 2)).tolist() == [1600]
    assert clip.ignore[0].tolist() == [[60, 20, 70, 50]]


def test_smaller_objects_lie_above_larger_ones(tmp_path: Path) -> None:
    small = Box("dog", (30, 30, 40, 40), GREEN)
    for order in ([CAT, small], [small, CAT]):
        targets = sample(open_stills(write_stills(tmp_path, [order]))).targets[0]

        assert sorted(targets.masks.sum((1, 2)).tolist()) == [100, 1500]


def test_objects_to_paste_are_whole_and_from_the_chosen_sources(tmp_path: Path) -> None:
    boxes = [
        CAT,
        Box("cat", (0, 30, 30, 60)),  # touches the border
        Box("cat", (100, 70, 128, 90)),  # touches the other one
        Box("cat", (80, 80, 84, 84)),  # too small
        Box("dog", (40, 60, 90, 90), crowd=True),
    ]
    stored = write_stills(tmp_path, [boxes], source="good")
    (still,) = read_annotated_images(stored.annotations, stored.images)

    assert [item.box for item in paste_candidates(still, 0.01)] == [(20, 20, 40, 40)]
    assert len(open_stills(stored).bank) == 1
    assert len(open_stills(stored, paste_sources=["good"]).bank) == 1
    assert len(open_stills(stored, paste_sources=["bad"]).bank) == 0


def test_a_still_without_objects_is_a_clip_without_targets(tmp_path: Path) -> None:
    clip = sample(open_stills(write_stills(tmp_path, [[], [CAT]])))

    assert len(clip.targets[0].labels) == 0
    assert len(clip.guided_ids) == 0


def moving(category: str, colour: tuple[int, int, int], frames: int, y: int) -> list[Box]:
    return [Box(category, (10 + 8 * frame, y, 30 + 8 * frame, y + 20), colour) for frame in range(frames)]


def test_a_video_clip_shows_its_frames_with_constant_ids(tmp_path: Path) -> None:
    cat, dog = moving("cat", RED, 8, 10), moving("dog", GREEN, 8, 50)
    video = open_video(write_video(tmp_path, [cat, dog]), choose_frames=NearFrames(3))

    assert len(video) == 8
    for seed in range(6):
        clip = sample(video, 4, seed, num_frames=3)
        lefts = []
        for image, targets in zip(clip.images, clip.targets, strict=True):
            assert targets.instance_ids.tolist() == [1, 2]
            assert targets.labels.tolist() == [2, 1]
            left = int(targets.boxes[0, 0])
            assert image[:, 15, left + 2].tolist() == list(RED)
            lefts.append(left)
        assert lefts[0] == 10 + 8 * 4
        assert len(set(lefts)) == 3


def test_an_absent_object_is_no_target_of_that_frame(tmp_path: Path) -> None:
    cat = [CAT, None]
    video = open_video(write_video(tmp_path, [cat, [DOG, DOG]]))

    clip = sample(video, 0)

    assert [targets.instance_ids.tolist() for targets in clip.targets] == [[1, 2], [2]]


def test_only_frames_that_show_an_object_begin_a_clip(tmp_path: Path) -> None:
    crowd = replace(DOG, crowd=True)
    video = open_video(write_video(tmp_path, [[None, CAT, None, CAT], [crowd] * 4]))

    assert len(video) == 2
    assert sample(video, 1).targets[0].instance_ids.tolist() == [1]
    assert len(sample(video, 1).ignore[0]) == 1


def test_unknown_classes_are_kept_where_no_detector_learns(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT], [DOG, DOG]])

    propagation = sample(open_video(stored, LabelMap(("dog",)), detect=False))
    detection = sample(open_video(stored, LabelMap(("dog",))))

    assert not propagation.detect
    assert propagation.targets[0].instance_ids.tolist() == [1, 2]
    assert propagation.targets[0].labels.tolist() == [1, 1]
    assert detection.detect
    assert detection.targets[0].instance_ids.tolist() == [2]


def test_a_video_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT]])
    stored.edit(lambda data: data["annotations"][0].update(segmentations=[None, None]))
    with pytest.raises(VisError, match="no frame shows an object"):
        open_video(stored)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4])
def test_drawn_frames_walk_one_way_at_gaps_up_to_the_largest(num_frames: int) -> None:
    gaps = []
    for seed in range(200):
        frames = draw_frames(20, 41, num_frames, 5, np.random.default_rng(seed))
        assert frames[0] == 20
        assert len(frames) == num_frames
        assert min(frames) >= 0
        assert max(frames) <= 40
        gaps.append(np.diff(frames))
    if num_frames > 1:
        assert all((step > 0).all() or (step < 0).all() for step in gaps)
        assert set(np.abs(np.concatenate(gaps)).tolist()) == {1, 2, 3, 4, 5}
        assert 60 < sum(step[0] > 0 for step in gaps) < 140


def test_drawn_frames_turn_at_the_end_of_a_video() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert draw_frames(0, 3, 3, 9, rng) == [0, 1, 2]
        assert draw_frames(2, 3, 3, 9, rng) == [2, 1, 0]


def test_drawn_frames_repeat_where_the_video_is_too_short() -> None:
    assert draw_frames(0, 1, 3, 9, np.random.default_rng(0)) == [0, 0, 0]
    assert draw_frames(1, 3, 4, 9, np.random.default_rng(0)) == [1, 1, 1, 1]


def test_stills_of_other_categories_may_be_left_out(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT], [DOG], []])
    assert len(open_stills(stored, LabelMap(("dog",)))) == 3
    assert len(open_stills(stored, LabelMap(("dog",)), labelled_only=True)) == 1


def test_stills_without_any_object_of_the_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"stills\.json: no object has a category of the model"):
        open_stills(write_stills(tmp_path, [[CAT], []]), LabelMap(("dog",)))


def test_a_video_of_other_categories_is_refused_where_the_detector_learns(tmp_path: Path) -> None:
    stored = write_video(tmp_path, [[CAT, CAT]])
    with pytest.raises(VisError, match="no frame shows an object with a category of the model"):
        open_video(stored, LabelMap(("dog",)))
