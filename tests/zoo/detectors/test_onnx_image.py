"""The input of ONNX detectors: size, position, padding, channel order and normalization, with values by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.zoo.detectors.onnx_image import Placement, image_mask, make_input, place
from vis_cli.zoo.detectors.onnx_layouts import LAYOUTS, Layout

RED = (200, 100, 50)


def layout(name: str, **entries: Any) -> Layout:
    return dataclasses.replace(LAYOUTS[name], **({"input_size": (64, 96)} | entries))


def flat(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), RED, np.uint8)


def test_yolox_gets_bgr_from_0_to_255_with_padding_below() -> None:
    own = layout("yolox-raw")
    placement = place((100, 200), own)
    assert placement == Placement((100, 200), (64, 96), (48, 96), (0, 0))
    values = make_input(flat(100, 200), placement, own, dtype="float32", has_batch=True)
    assert (values.shape, values.dtype) == ((1, 3, 64, 96), np.float32)
    assert np.unique(values[0, :, :48].reshape(3, -1), axis=1).tolist() == [[50], [100], [200]]
    assert np.unique(values[0, :, 48:]).tolist() == [114]


def test_a_portrait_frame_has_its_padding_on_the_right() -> None:
    assert place((200, 100), layout("yolox-raw")) == Placement((200, 100), (64, 96), (64, 32), (0, 0))


def test_rows_have_the_image_in_the_middle() -> None:
    own = layout("rows")
    placement = place((100, 200), own)
    assert placement.offset == (8, 0)
    values = make_input(flat(100, 200), placement, own, dtype="float32", has_batch=True)
    assert values[0, :, 8, 0] == pytest.approx(np.array(RED) / 255)
    assert values[0, :, 7, 0] == pytest.approx(114 / 255)
    assert values[0, :, 56, 0] == pytest.approx(114 / 255)


def test_rf_detr_gets_the_normalization_of_imagenet() -> None:
    own = layout("rf-detr")
    values = make_input(flat(100, 200), place((100, 200), own), own, dtype="float32", has_batch=True)
    expected = [(200 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (50 / 255 - 0.406) / 0.225]
    assert values.shape == (1, 3, 64, 96)
    assert np.allclose(values[0].reshape(3, -1).T, expected, atol=1e-5)


def test_mean_and_std_are_in_rgb_order_also_for_bgr() -> None:
    own = layout("rf-detr", channels="bgr")
    values = make_input(flat(10, 10), place((10, 10), own), own, dtype="float32", has_batch=True)
    assert values[0, 2, 0, 0] == pytest.approx((200 / 255 - 0.485) / 0.229)


def test_channels_last_without_batch() -> None:
    own = layout("rt-detr", axes="NHWC")
    values = make_input(flat(10, 10), place((10, 10), own), own, dtype="float16", has_batch=False)
    assert (values.shape, values.dtype) == ((64, 96, 3), np.float16)
    assert values[0, 0] == pytest.approx(np.array(RED) / 255, abs=1e-3)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [((480, 640), (800, 1067)), ((640, 480), (1067, 800)), ((300, 900), (444, 1333)), ((900, 300), (1333, 444))],
)
def test_fit_keeps_the_aspect_ratio_without_padding(frame: tuple[int, int], expected: tuple[int, int]) -> None:
    placement = place(frame, LAYOUTS["detr"])
    assert placement == Placement(frame, expected, expected, (0, 0))


def test_torchvision_gets_the_frame_unchanged() -> None:
    pixels = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    own = LAYOUTS["torchvision"]
    values = make_input(pixels, place((2, 4), own), own, dtype="float32", has_batch=False)
    assert values.transpose(1, 2, 0) == pytest.approx(pixels / 255)


def test_a_frame_of_one_row_stays_visible() -> None:
    assert place((1, 1000), layout("yolox-raw")).image_size == (1, 96)
    assert place((1, 5000), LAYOUTS["detr"]).image_size == (1, 1333)


def test_the_resized_image_has_the_nearest_size() -> None:
    """0.48 * 105 = 50.4 rows, and 0.48 * 107 = 51.36, but 0.48 * 103 = 49.44 and 0.48 * 104 = 49.92."""
    sizes = {height: place((height, 200), layout("yolox-raw")).image_size[0] for height in (103, 104, 105, 107)}
    assert sizes == {103: 49, 104: 50, 105: 50, 107: 51}


def test_boxes_return_by_the_size_of_the_resized_image() -> None:
    """A frame of 101x200 has 48.48 rows in the input, so 48: the factor back is 101 / 48."""
    placement = place((101, 200), layout("yolox-raw"))
    assert placement.image_size == (48, 96)
    boxes = placement.to_frame(np.array([[0, 0, 96, 48], [9.6, 4.8, 48, 24]], np.float32))
    assert boxes == pytest.approx(np.array([[0, 0, 200, 101], [20, 10.1, 100, 50.5]]), abs=1e-4)


def test_the_mask_of_the_image() -> None:
    mask = image_mask(place((100, 200), layout("rows")))
    assert (mask.shape, mask.dtype) == ((1, 64, 96), np.int64)
    assert mask[0].any(axis=1).nonzero()[0].tolist() == list(range(8, 56))


def test_antialias_averages_all_pixels() -> None:
    """Columns of 0 and 240: the mean is 120. OpenCV's filter reads only two of eight columns."""
    pixels = np.zeros((64, 768, 3), np.uint8)
    pixels[:, ::8] = 240
    for antialias, expected in ((True, 30), (False, 0)):
        own = layout("rt-detr", antialias=antialias, pixel_range=255)
        values = make_input(pixels, place((64, 768), own), own, dtype="float32", has_batch=True)
        assert values.mean() == pytest.approx(expected, abs=1)
