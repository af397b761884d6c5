"""The validation of a run: the evaluators' own figures of a model, on a small split."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands.conftest import make_found
from tests.network.factories import make_model
from tests.records.davis_factory import write_davis
from tests.records.video_factory import make_images
from vis_cli.errors import VisError
from vis_cli.records.davis import write_label_png
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import VideoResult
from vis_cli.records.video import Video
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.training.config import ValidationConfig
from vis_cli.training.validation import check_validation, validate
from vis_cli.zoo.weights import LoadedModel

IMAGES, SIZE = ("00000.jpg", "00001.jpg", "00002.jpg"), (64, 48)  # width, height
QUARTER = np.zeros((48, 64), bool)
QUARTER[:24, :32] = True


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, SegmentSettings, bool]]:
    """Replace the segmenter by one that finds the upper left quarter, and return what it was asked."""
    asked: list[tuple[str, SegmentSettings, bool]] = []

    class FakeSegmenter:
        def __init__(self, model: LoadedModel, *, config: SegmentSettings, run: RunSettings) -> None:
            assert (model.info.name, run.device) == ("tiny", "cpu")
            self._config = config

        def segment(self, video: Video, *, guidance: object) -> VideoResult:
            asked.append((video.name, self._config, guidance is not None))
            return make_found(video, len(IMAGES), 1, self._config)

    monkeypatch.setattr("vis_cli.training.validation.Segmenter", FakeSegmenter)
    return asked


def make_split(folder: Path, masks: dict[str, np.ndarray]) -> ValidationConfig:
    """Write a video for each mask, which holds the one cat of all its frames."""
    for name in masks:
        make_images(folder / "frames" / name, IMAGES, SIZE)
    videos = [
        {"id": i, "width": SIZE[0], "height": SIZE[1], "file_names": [f"{name}/{image}" for image in IMAGES]}
        for i, name in enumerate(masks)
    ]
    annotations = [
        {"id": i, "video_id": i, "category_id": 1, "iscrowd": 0, "segmentations": [encode_mask(mask)] * len(IMAGES)}
        for i, mask in enumerate(masks.values())
    ]
    data = {"videos": videos, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "val.json").write_text(json.dumps(data))
    return ValidationConfig("video", str(folder / "val.json"), str(folder / "frames"))


def measure(config: ValidationConfig) -> dict[str, float]:
    return validate(config, make_model(), device="cpu")


def test_videos_are_measured_by_ap(tmp_path: Path, segmented: list[tuple[str, SegmentSettings, bool]]) -> None:
    figures = measure(make_split(tmp_path, {"right": QUARTER, "wrong": ~QUARTER}))
    assert next(iter(figures)) == "ap"
    assert figures["ap"] == figures["ap50"] == pytest.approx(0.5, abs=0.01)
    assert [name for name, _, _ in segmented] == ["right", "wrong"]


def test_some_sequences_may_be_enough(tmp_path: Path, segmented: list[tuple[str, SegmentSettings, bool]]) -> None:
    config = make_split(tmp_path, {"right": QUARTER, "wrong": ~QUARTER})
    only = ValidationConfig("video", config.annotations, config.images, sequences=("right",), preset="ovis")
    assert measure(only)["ap"] == pytest.approx(1.0)
    assert [(name, settings.max_instances) for name, settings, _ in segmented] == [("right", 20)]
    with pytest.raises(VisError, match=r"sequences contains left, but .* has no such video"):
        measure(ValidationConfig("video", config.annotations, config.images, sequences=("left",)))


def test_a_split_is_looked_at_before_it_is_measured(tmp_path: Path) -> None:
    config = make_split(tmp_path, {"right": QUARTER})
    check_validation(config)
    with pytest.raises(VisError, match=r"sequences contains left, but .* has no such video"):
        check_validation(dataclasses.replace(config, sequences=("left",)))
    (tmp_path / "frames" / "right" / IMAGES[0]).unlink()
    with pytest.raises(VisError, match="right: has 2 images, but"):
        check_validation(config)
    (tmp_path / "val.json").write_text(json.dumps({"videos": [], "categories": []}))
    with pytest.raises(VisError, match=r"val\.json: no annotations"):
        check_validation(config)


def test_a_davis_split_is_looked_at_before_it_is_measured(tmp_path: Path) -> None:
    config = ValidationConfig("davis", images=str(write_davis(tmp_path)))
    check_validation(config)
    with pytest.raises(
        VisError, match=r"ImageSets/2017/vall\.txt does not exist\. Use .* `split` in a training config"
    ):
        check_validation(dataclasses.replace(config, split="vall"))
    with pytest.raises(VisError, match="eel: the sequence is not in val"):
        check_validation(dataclasses.replace(config, sequences=("eel",)))
    with pytest.raises(
        VisError, match=r"neither Annotations/480p nor .*\. Pass the DAVIS folder of the semi-supervised task"
    ):
        check_validation(dataclasses.replace(config, semi_supervised=True))


@pytest.mark.parametrize("semi_supervised", [False, True])
def test_davis_is_measured_by_j_and_f(
    semi_supervised: bool, tmp_path: Path, segmented: list[tuple[str, SegmentSettings, bool]]
) -> None:
    stems = [Path(image).stem for image in IMAGES]
    masks = "Annotations" if semi_supervised else "Annotations_unsupervised"
    root = write_davis(tmp_path, masks=f"{masks}/480p", sequences={"dog": stems})
    make_images(root / "JPEGImages" / "480p" / "dog", IMAGES, SIZE)
    for stem in stems:
        write_label_png(QUARTER.astype(np.uint8), root / masks / "480p" / "dog" / f"{stem}.png")
    figures = measure(ValidationConfig("davis", images=str(root), semi_supervised=semi_supervised))
    assert figures == {"j_and_f": pytest.approx(1.0), "j": pytest.approx(1.0), "f": pytest.approx(1.0)}
    assert [(name, guided) for name, _, guided in segmented] == [("dog", semi_supervised)]
