"""Images with boxes: what a view shows of them, which of them teach, and which are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vis_cli.errors import VisError
from vis_cli.training.annotations import read_boxes
from vis_cli.training.box_images import BoxImages, View, ViewLimits, repeat_factors
from vis_cli.training.labels import LabelMap
from vis_cli.training.photometric import ColourLimits
from vis_cli.training.structures import TrainClip

from .boxes import GREEN, RED, Box, Stored, write_stills

CAT, DOG = Box("cat", (20, 20, 60, 60), RED), Box("dog", (70, 30, 110, 80), GREEN)
SIZE = (96, 128)
LABELS = LabelMap(("dog", "cat", "object"))
PLAIN = ViewLimits(zoom=(1.0, 1.0), focus=0.0, flip=0.0, colour=ColourLimits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


def add(stored: Stored, *boxes: dict[str, Any]) -> Stored:
    """Add annotations without masks to image 1."""

    def change(data: dict[str, Any]) -> None:
        ids = {category["name"]: category["id"] for category in data["categories"]}
        data["annotations"] += [{**box, "image_id": 1, "category_id": ids[box["category_id"]]} for box in boxes]

    return stored.edit(change)


def found(category: str, box: tuple[float, float, float, float], score: float) -> dict[str, Any]:
    return {"category_id": category, "bbox": list(box), "score": score}


def open_boxes(stored: Stored, limits: ViewLimits = PLAIN, labels: LabelMap = LABELS, **options: Any) -> BoxImages:
    return BoxImages(read_boxes(stored.annotations, stored.images), labels, limits, name="boxes.json", **options)


def sample(source: BoxImages, index: int = 0, seed: int = 0, canvas: tuple[int, int] = SIZE) -> TrainClip:
    return source.sample(index, canvas=canvas, num_frames=1, rng=np.random.default_rng(seed))


def test_confident_boxes_teach_by_their_score_and_doubtful_ones_are_apart(tmp_path: Path) -> None:
    stored = add(
        write_stills(tmp_path, [[CAT, DOG]]), found("dog", (2, 4, 10, 20), 0.75), found("cat", (90, 2, 30, 20), 0.3)
    )
    clip = sample(open_boxes(stored, background_weight=0.25))
    (targets,) = clip.targets

    assert targets.boxes.tolist() == [[20, 20, 60, 60], [70, 30, 110, 80], [2, 4, 12, 24]]
    assert targets.labels.tolist() == [2, 1, 1]
    assert targets.scores is not None
    assert targets.scores.tolist() == [1.0, 1.0, 0.75]
    assert targets.has_mask is not None
    assert targets.has_mask.tolist() == [True, True, False]
    assert targets.masks.sum((1, 2)).tolist() == [1600, 2000, 0]
    assert clip.doubtful is not None
    assert clip.doubtful.tolist() == [[90, 2, 120, 22]]
    assert clip.ignore[0].shape == (0, 4)
    assert clip.background_weight == 0.25
    assert clip.images[0, :, 40, 40].tolist() == list(RED)


@pytest.mark.parametrize(("score_threshold", "taught"), [(0.75, 3), (0.76, 2)])
def test_a_box_of_the_minimum_score_teaches(tmp_path: Path, score_threshold: float, taught: int) -> None:
    stored = add(write_stills(tmp_path, [[CAT, DOG]]), found("dog", (2, 4, 10, 20), 0.75))
    assert len(sample(open_boxes(stored, score_threshold=score_threshold)).targets[0].labels) == taught


def test_the_propagation_head_is_given_nothing(tmp_path: Path) -> None:
    source = open_boxes(write_stills(tmp_path, [[CAT, DOG]]))
    clip = source.sample(0, canvas=SIZE, num_frames=3, rng=np.random.default_rng(0))

    assert clip.images.shape == (3, 3, *SIZE)
    assert len(clip.guided_ids) == 0
    assert clip.detect


def test_crowds_are_ignored(tmp_path: Path) -> None:
    clip = sample(open_boxes(write_stills(tmp_path, [[CAT, replace(DOG, crowd=True)]])))

    assert clip.targets[0].labels.tolist() == [2]
    assert clip.ignore[0].tolist() == [[70, 30, 110, 80]]


@pytest.mark.parametrize("seed", range(8))
def test_a_view_keeps_boxes_and_masks_together(tmp_path: Path, seed: int) -> None:
    limits = replace(PLAIN, zoom=(0.6, 2.0), focus=1.0, flip=0.5)
    clip = sample(open_boxes(write_stills(tmp_path, [[CAT, DOG]]), limits), 0, seed, (80, 100))

    targets = clip.targets[0]
    assert len(targets.labels)
    colours = {1: GREEN, 2: RED}
    for box, label, mask in zip(targets.boxes, targets.labels.tolist(), targets.masks, strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        tight = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (tight - box).abs().max() <= 1.0
        centre = clip.images[0, :, int(box[1::2].mean()), int(box[::2].mean())]
        assert (centre.float() - torch.tensor(colours[label])).abs().max() <= 2.0


def test_an_object_that_a_view_cuts_to_a_sliver_is_ignored(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT, DOG]])
    kept = found_at = 0
    for seed in range(40):
        clip = sample(open_boxes(stored, replace(PLAIN, zoom=(2.5, 2.5), smallest_seen=0.9)), 0, seed, (64, 64))
        boxes = clip.targets[0].boxes
        kept += len(boxes)
        found_at += len(clip.ignore[0])
        assert all(((box[2:] - box[:2]).prod() >= 0.9 * 40 * 40 * 1.25**2) for box in boxes)
    assert kept
    assert found_at


def test_a_mirrored_box_is_measured_from_the_other_side() -> None:
    view = View(2.0, True, (5.0, 7.0), 100)
    assert view.boxes(np.array([[10.0, 20.0, 30.0, 40.0]])).tolist() == [[145.0, 47.0, 185.0, 87.0]]


def test_rare_classes_come_more_often() -> None:
    shown = [frozenset({1})] * 6 + [frozenset({1, 2}), frozenset()]  # label 2 in 1 of 8
    assert repeat_factors(shown, 0.0) == [1] * 8
    assert repeat_factors(shown, 0.5) == [1, 1, 1, 1, 1, 1, 2, 1]  # sqrt(0.5 * 8 / 1)


def test_images_of_rare_classes_are_repeated(tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[CAT]] * 7 + [[CAT, DOG]])
    assert len(open_boxes(stored)) == 8
    source = open_boxes(stored, repeat_rare=0.5)
    assert len(source) == 9
    assert [sample(source, i).name for i in (7, 8)] == [str(tmp_path / "8.png")] * 2


@pytest.mark.parametrize("boxes", [[], [found("cat", (0, 0, 9, 9), 0.4)]])
def test_images_without_a_confident_object_of_the_model_are_refused(
    tmp_path: Path, boxes: list[dict[str, Any]]
) -> None:
    stored = write_stills(tmp_path, [[CAT]])
    stored.edit(lambda data: data["annotations"].clear())
    add(stored, *boxes)
    with pytest.raises(VisError, match=r"boxes\.json: no object has a category of the model"):
        open_boxes(stored)


def test_an_image_without_objects_is_a_clip_without_targets(tmp_path: Path) -> None:
    clip = sample(open_boxes(write_stills(tmp_path, [[CAT], []])), 1)

    assert clip.targets[0].boxes.shape == (0, 4)
    assert clip.targets[0].masks.shape == (0, *SIZE)
    assert clip.doubtful is not None
    assert clip.doubtful.shape == (0, 4)


def test_a_class_that_the_model_lacks_is_left_out(tmp_path: Path) -> None:
    clip = sample(open_boxes(write_stills(tmp_path, [[CAT, DOG]]), labels=LabelMap(("dog",))))

    assert clip.targets[0].labels.tolist() == [1]
    assert len(clip.ignore[0]) == 0
