"""PicoDet-S as a detector of boxes: its file, its boxes in a frame, and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vis_cli.errors import VisError
from vis_cli.network.picodet import PicoDet
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import KeyFrame, ModelInfo
from vis_cli.records.video import open_video
from vis_cli.zoo import included_files
from vis_cli.zoo.detectors import picodet_detector
from vis_cli.zoo.detectors.picodet_detector import PicoDetDetector, identify_picodet, load_picodet, picodet_file
from vis_cli.zoo.weights_file import write_tensors

CAT = Path(__file__).parents[3] / "sample_videos" / "cat.mp4"
CPU = torch.device("cpu")


def other_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(picodet_detector, "picodet_file", lambda: path)
    monkeypatch.setattr(included_files, "zoo_dir", lambda: path.parent)


def test_the_cat_is_found_where_it_is() -> None:
    frame = next(iter(open_video(CAT).iter_frames()))
    found = load_picodet(CPU).detect(KeyFrame(0, frame), mask_size=(8, 8))
    best = int(found.scores.argmax())
    assert coco_categories()[found.labels[best] - 1].name == "cat"
    assert found.scores[best] > 0.5
    assert found.boxes[best] == pytest.approx([278, 98, 499, 250], abs=4)  # pixels of the frame, which is not a square
    assert found.masks == (None,) * len(found.scores)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 3), (32, 32)])
def test_a_frame_of_any_size_is_read(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = load_picodet(CPU).detect(KeyFrame(0, pixels), mask_size=size)
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 0::2] <= size[1]).all()
    assert (found.boxes[:, 1::2] <= size[0]).all()


def test_a_low_score_is_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PicoDet().eval()
    found_boxes = torch.tensor([[0.0, 0.0, 208.0, 416.0]] * 2), torch.zeros(2, 80)
    found_boxes[1][0, 3], found_boxes[1][1, 4] = 0.9, picodet_detector.MIN_SCORE
    monkeypatch.setattr(PicoDet, "forward", lambda self, image: found_boxes)
    found = PicoDetDetector(model, ModelInfo("x", "")).detect(
        KeyFrame(0, np.zeros((10, 40, 3), np.uint8)), mask_size=(1, 1)
    )
    assert found.labels.tolist() == [4]
    assert found.boxes.tolist() == [[0.0, 0.0, 20.0, 10.0]]


def test_the_file_has_a_hash_and_a_calibration() -> None:
    detector = load_picodet(CPU)
    assert detector.info == identify_picodet()
    assert detector.info.name == "picodet-s"
    assert detector.calibration is not None
    assert detector.calibration[0] > 0


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other_file(monkeypatch, tmp_path / "detector.safetensors")
    for use in (identify_picodet, lambda: load_picodet(CPU)):
        with pytest.raises(VisError, match="weights of picodet-s are missing") as caught:
            use()
        assert str(caught.value).endswith(included_files.REINSTALL)


def test_a_damaged_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "detector.safetensors"
    path.write_bytes(picodet_file().read_bytes()[:1000])
    other_file(monkeypatch, path)
    with pytest.raises(VisError, match=r"detector\.safetensors"):
        load_picodet(CPU)
    path.write_bytes(picodet_file().read_bytes()[:-1000])
    with pytest.raises(VisError, match=rf"detector\.safetensors.*\. {included_files.REINSTALL}$"):
        load_picodet(CPU)


DAMAGED = ["", "null", "[1]", '"ab"', "[1, [2]]", "[" * 9999, '["a", "b"]', "[-1, 0]", "[1e400, 0]", "[1, NaN]"]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_calibration_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    path = tmp_path / "detector.safetensors"
    write_tensors(path, PicoDet().state_dict(), {"calibration": text})
    other_file(monkeypatch, path)
    assert load_picodet(CPU).calibration is None
