"""Blur, pixelate and grey-out: what remains of the pixels of an object."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.overlay import Frame
from vis_cli.records.renderings.coverage import Coverage, Region
from vis_cli.records.renderings.painter import Look
from vis_cli.records.renderings.redaction import GREY, Hide, Redactor, blur, grey_out, pixelate

HEIGHT, WIDTH = 48, 64
EXACT = Look(coverage=Coverage(dilation=0, hold=0, margin=0, gap=0), blocks=2)
MODES = [blur, pixelate, grey_out]


def noise(seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def box(x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.parametrize("hide", MODES)
class TestEachMode:
    def test_only_pixels_of_the_instances_change(self, hide: Hide) -> None:
        first, second = box(3, 5, 16, 20), box(40, 28, 24, 20)  # the second one touches the border
        instances = [make_instance(1, [first]), make_instance(2, [second])]
        result = make_result(instances, size=(HEIGHT, WIDTH))
        frame = noise()
        image = Redactor(result, instances, EXACT, hide).draw(frame, 0)
        np.testing.assert_array_equal(frame, noise())
        covered = first | second
        np.testing.assert_array_equal(image[~covered], frame[~covered])
        assert (image[covered] != frame[covered]).any(axis=-1).mean() > 0.95

    def test_no_instances_and_absent_instances(self, hide: Hide) -> None:
        absent = make_instance(1, [None])
        for instances in ([], [absent]):
            result = make_result(instances, size=(HEIGHT, WIDTH))
            np.testing.assert_array_equal(Redactor(result, instances, EXACT, hide).draw(noise(), 0), noise())

    @pytest.mark.parametrize("size", [(1, 1), (3, 5), (63, 47)])
    def test_regions_at_each_corner(self, hide: Hide, size: tuple[int, int]) -> None:
        width, height = size
        for x, y in ((0, 0), (WIDTH - width, 0), (0, HEIGHT - height), (WIDTH - width, HEIGHT - height)):
            region = Region(x, y, np.ones((height, width), np.uint8))
            assert hide(noise(), region, 10).shape == (height, width, 3)


def test_grey() -> None:
    instances = [make_instance(1, [box(3, 5, 16, 20)])]
    image = Redactor(make_result(instances, size=(HEIGHT, WIDTH)), instances, EXACT, grey_out).draw(noise(), 0)
    assert (image[box(3, 5, 16, 20)] == GREY).all()


def test_blocks_have_their_mean_colour_on_a_grid_of_the_frame() -> None:
    frame = noise()
    image = pixelate(frame, Region(4, 6, np.ones((20, 20), np.uint8)), 8)
    for x0, x1 in ((4, 8), (8, 16), (16, 24)):
        part = image[2:10, x0 - 4 : x1 - 4].reshape(-1, 3)  # rows 8 to 16 of the frame
        assert (part == part[0]).all()
        mean = frame[8:16, x0 // 8 * 8 : x0 // 8 * 8 + 8].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(part[0], mean, atol=1)


def test_a_blur_has_no_detail_of_the_size_of_a_block() -> None:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, ::4] = frame[:, 1::4] = 255  # stripes of 2 pixels
    image = blur(frame, Region(8, 8, np.ones((32, 40), np.uint8)), 8)
    assert int(image.max()) - int(image.min()) <= 2
    assert image.mean() == pytest.approx(127.5, abs=2)


def test_a_plain_area_keeps_its_colour() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), (200, 40, 90), np.uint8)
    for hide in (blur, pixelate):
        assert (hide(frame, Region(50, 30, np.ones((18, 14), np.uint8)), 12) == (200, 40, 90)).all()


def test_a_block_is_a_fraction_of_the_largest_mask_of_the_object() -> None:
    sides: list[int] = []

    def note(frame: Frame, region: Region, block: int) -> NDArray[np.uint8]:
        sides.append(block)
        return grey_out(frame, region, block)

    large, small = box(0, 0, 41, 20), box(0, 0, 3, 3)
    instances = [make_instance(1, [small, large]), make_instance(2, [small, small])]
    result = make_result(instances, size=(HEIGHT, WIDTH), num_frames=2)
    painter = Redactor(result, instances, Look(EXACT.background, EXACT.coverage, blocks=8), note)
    painter.draw(noise(), 0)
    assert sides == [6, 2]  # 41 / 8, and at least 2 pixels
