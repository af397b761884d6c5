"""Tests of the pseudo-clips: a seed draws the same ones everywhere, and only given objects are in the masks."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.training.boxes import BLUE, GREEN, RED, Box, Stored, write_stills
from vis_cli.errors import VisError
from vis_cli.records.davis import read_label_png
from vis_cli.records.rle import decode_rle
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.training.structures import ClipTargets

PATH = Path(__file__).parents[2] / "benchmarks" / "pseudo_clips.py"


@pytest.fixture(scope="module")
def clips() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pseudo_clips", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.CANVAS, module.NUM_FRAMES = (90, 160), 3
    return module


def stills(folder: Path) -> Stored:
    pictures = [
        [Box("cat", (20, 20, 60, 60), RED), Box("cat", (70, 20, 110, 60), GREEN)],
        [Box("dog", (30, 30, 100, 90), BLUE)],
    ]
    return write_stills(folder, pictures)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_clips_of_a_seed_are_the_same_whatever_their_number(clips: ModuleType, tmp_path: Path) -> None:
    stored = stills(tmp_path)
    for name, num, seed in (("a", 2, 0), ("b", 3, 0), ("c", 2, 1)):
        clips.write_clips(stored.annotations, stored.images, tmp_path / name, num=num, seed=seed)
    first, more, other = (read_folder(tmp_path / name) for name in "abc")

    assert first.pop("objects.json") != other.pop("objects.json")
    assert len(first) == 2 * 2 * 3  # clips, frames and masks
    assert first.items() <= more.items()
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.endswith("jpg"))


def test_each_clip_begins_with_its_given_objects(clips: ModuleType, tmp_path: Path) -> None:
    stored = stills(tmp_path)
    clips.write_clips(stored.annotations, stored.images, tmp_path / "out", num=6, seed=0)
    for folder in sorted((tmp_path / "out" / "Annotations").iterdir()):
        first, *rest = (read_label_png(path) for path in sorted(folder.iterdir()))
        ids = set(np.unique(first).tolist()) - {0}
        assert ids == set(range(1, len(ids) + 1))
        assert 1 <= len(ids) <= 6
        assert all(set(np.unique(labels).tolist()) <= ids | {0} for labels in rest)


def test_a_label_map_shows_the_given_objects_alone(clips: ModuleType) -> None:
    masks = torch.tensor([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]], dtype=torch.uint8)
    targets = ClipTargets(torch.zeros(3, 4), torch.ones(3).long(), masks, torch.tensor([4, 5, 9]))
    assert clips.label_map(targets, [4, 9]).tolist() == [[1, 0, 2]]
    assert clips.label_map(targets, []).tolist() == [[0, 0, 0]]


def test_images_without_a_large_object_are_refused(clips: ModuleType, tmp_path: Path) -> None:
    stored = write_stills(tmp_path, [[Box("cat", (20, 20, 21, 21), RED)]], size=(40, 40))
    with pytest.raises(VisError, match="cannot draw a clip"):
        clips.write_clips(stored.annotations, stored.images, tmp_path / "out", num=1, seed=0)


def test_all_objects_are_listed_with_their_categories(clips: ModuleType, tmp_path: Path) -> None:
    stored = stills(tmp_path)
    clips.write_clips(stored.annotations, stored.images, tmp_path / "out", num=4, seed=0)
    split = read_youtube_vis(tmp_path / "out" / "objects.json")
    assert [video.name for video in split.videos] == ["0000", "0001", "0002", "0003"]
    names = {category.id: category.name for category in split.categories}
    assert split.annotations
    assert {names[entry.category_id] for entry in split.annotations} <= {"cat", "dog"}
    for video in split.videos:
        masks = [entry.segmentations for entry in split.annotations if entry.video_id == video.id]
        for t, file in enumerate(video.file_names):
            given = read_label_png(tmp_path / "out" / "Annotations" / file.replace("jpg", "png")) > 0
            listed = np.zeros_like(given)
            for mask in masks:
                listed |= np.zeros_like(given) if (rle := mask[t]) is None else decode_rle(rle)
            assert (listed >= given).all()


def test_a_source_selects_the_images(clips: ModuleType, tmp_path: Path) -> None:
    stored = stills(tmp_path)
    data = json.loads(stored.annotations.read_text())
    for image, source in zip(data["images"], ("first", "second"), strict=True):
        image["source"] = source
    stored.annotations.write_text(json.dumps(data))
    clips.write_clips(stored.annotations, stored.images, tmp_path / "out", num=3, seed=0, source="second")
    split = read_youtube_vis(tmp_path / "out" / "objects.json")
    names = {category.id: category.name for category in split.categories}
    assert {names[entry.category_id] for entry in split.annotations or ()} == {"dog"}
