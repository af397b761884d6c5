"""PicoDet-S against the published weights in ncnn, and its boxes by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch

from vis_cli.network import picodet
from vis_cli.network.picodet import INPUT_SIDE, NUM_BINS, NUM_CLASSES, STRIDES, PicoDet
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.video import open_video
from vis_cli.zoo.detectors.picodet_detector import picodet_file
from vis_cli.zoo.included_detectors import PICODET_PARAMETERS
from vis_cli.zoo.weights_file import read_tensors

ROOT = Path(__file__).parents[2]
# Boxes with a score above 0.35 in frames of the sample videos, by ncnn 1.0.20261020 with the published weights:
# name of the category, score, and x1, y1, x2, y2 in pixels of the input of 416x416.
GOLDEN = json.loads((ROOT / "tests" / "golden" / "picodet.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def network() -> PicoDet:
    model = PicoDet().eval()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict(read_tensors(picodet_file(), shapes))
    return model


def test_the_number_of_parameters_is_the_listed_number() -> None:
    assert sum(parameter.numel() for parameter in PicoDet().parameters()) == PICODET_PARAMETERS


def test_an_image_has_one_box_per_cell() -> None:
    boxes, scores = PicoDet().eval()(torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE))
    num_cells = sum((-(-INPUT_SIDE // stride)) ** 2 for stride in STRIDES)
    assert boxes.shape == (num_cells, 4)
    assert scores.shape == (num_cells, NUM_CLASSES)


@pytest.mark.parametrize("frame", GOLDEN)
def test_boxes_and_scores_agree_with_another_program(network: PicoDet, frame: str) -> None:
    name, index = frame.split("/")
    pixels = list(open_video(ROOT / "sample_videos" / f"{name}.mp4").iter_frames())[int(index)]
    square = cv2.resize(pixels, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR)
    with torch.inference_mode():
        boxes, scores = network(torch.from_numpy(square).permute(2, 0, 1)[None].float())
    cells, classes = torch.nonzero(scores > 0.3, as_tuple=True)
    found = torch.cat([classes[:, None], scores[cells, classes][:, None], boxes[cells]], dim=1)
    labels = [category.name for category in coco_categories()]
    assert len(GOLDEN[frame]) > 10
    for category, *values in GOLDEN[frame]:
        expected = torch.tensor([labels.index(category), *values])
        limits = torch.tensor([0.0, 1e-3, 0.05, 0.05, 0.05, 0.05])
        assert ((found - expected).abs() <= limits).all(dim=1).any(), (category, values)


def test_a_box_is_a_centre_and_four_expected_distances() -> None:
    logits = torch.full((4 * NUM_BINS, 2, 3), -50.0)
    for side, distance in enumerate((1, 2, 3, 4)):  # left, top, right, bottom
        logits[side * NUM_BINS + distance] = 50.0
    logits[1, 1, 2] = logits[2, 1, 2] = 50.0  # left: 1 or 2, both equally likely
    boxes = picodet._boxes(logits, 8)
    assert boxes.shape == (6, 4)
    assert boxes[0].tolist() == [-4.0, -12.0, 28.0, 36.0]  # centre (4, 4)
    assert boxes[5].tolist() == pytest.approx([20 - 12, 12 - 16, 20 + 24, 12 + 32])  # row 1, column 2
