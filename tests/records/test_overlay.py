"""Overlays: masks, outlines and tags at every size of frame."""

from __future__ import annotations

import numpy as np
import pytest

from tests.records.result_factory import CATEGORIES, make_instance
from vis_cli.records.overlay import draw_overlay
from vis_cli.records.palette import instance_color
from vis_cli.records.types import InstanceSequence


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def box_mask(height: int, width: int, y: int, x: int, h: int, w: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def draw(frame: np.ndarray, *instances: InstanceSequence) -> np.ndarray:
    return draw_overlay(frame, instances, 0, CATEGORIES)


def test_mask_is_blended_and_outlined_and_the_rest_untouched() -> None:
    frame, mask = grey(36, 40), box_mask(36, 40, 10, 8, 12, 9)
    picture = draw(frame, make_instance(1, [mask]))
    color = np.array(instance_color(1))
    assert (frame == 90).all()
    inner = box_mask(36, 40, 11, 9, 10, 7)
    outline = mask & ~inner
    np.testing.assert_array_equal(picture[outline], np.broadcast_to(color, (outline.sum(), 3)))
    blended = np.round(0.6 * 90 + 0.4 * color).astype(int)
    np.testing.assert_array_equal(picture[inner], np.broadcast_to(blended, (inner.sum(), 3)))
    np.testing.assert_array_equal(picture[~mask], frame[~mask])  # too small a frame for the tag


def test_outline_grows_with_the_frame() -> None:
    picture = draw(grey(1080, 1920), make_instance(1, [box_mask(1080, 1920, 500, 500, 300, 300)]))
    row = (picture[650, 500:650] == instance_color(1)).all(axis=1)
    assert row.tolist() == [True] * 3 + [False] * 147


def test_a_mask_at_the_border_is_outlined_there_too() -> None:
    picture = draw(grey(20, 20), make_instance(1, [np.ones((20, 20), bool)]))
    assert tuple(picture[10, 0]) == tuple(picture[0, 10]) == tuple(picture[19, 10]) == instance_color(1)
    assert tuple(picture[10, 10]) != instance_color(1)


def test_higher_scores_lie_on_top() -> None:
    low, high = (make_instance(i, [box_mask(30, 30, 5, 5, 20, 20)], score=i / 4) for i in (1, 2))
    for picture in (draw(grey(30, 30), low, high), draw(grey(30, 30), high, low)):
        assert tuple(picture[5, 5]) == instance_color(2)
    same = [make_instance(i, [box_mask(30, 30, 5, 5, 20, 20)]) for i in (1, 2)]
    assert tuple(draw(grey(30, 30), *same)[5, 5]) == instance_color(1)


def test_absent_and_empty_masks_draw_nothing() -> None:
    absent, empty = make_instance(1, [None]), make_instance(2, [np.zeros((300, 400), bool)])
    np.testing.assert_array_equal(draw(grey(300, 400), absent, empty), grey(300, 400))
    np.testing.assert_array_equal(draw(grey(300, 400)), grey(300, 400))


def test_the_frame_of_the_index_is_drawn() -> None:
    instance = make_instance(1, [None, box_mask(20, 20, 5, 5, 9, 9)])
    assert (draw_overlay(grey(20, 20), [instance], 0, CATEGORIES) == 90).all()
    assert not (draw_overlay(grey(20, 20), [instance], 1, CATEGORIES) == 90).all()


def tag_box(picture: np.ndarray, frame: np.ndarray, mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return y, x, height, width of what was drawn outside the mask."""
    ys, xs = np.nonzero((picture != frame).any(axis=-1) & ~mask)
    return int(ys.min()), int(xs.min()), int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1


def test_tag_is_a_filled_box_with_ink_above_the_mask() -> None:
    frame, mask = grey(360, 640), box_mask(360, 640, 200, 100, 50, 400)
    picture = draw(frame, make_instance(1, [mask]))
    y, x, height, width = tag_box(picture, frame, mask)
    assert (y + height, x) == (200, 100)
    assert 12 <= height <= 30
    assert 60 <= width <= 200
    tag = picture[y : y + height, x : x + width].reshape(-1, 3)
    assert (tag == instance_color(1)).all(axis=1).mean() > 0.6
    assert (tag < 40).all(axis=1).sum() > 30  # black ink on a light colour


def test_ink_is_white_on_a_dark_tag() -> None:
    dark = next(i for i in range(1, 100) if sum(instance_color(i)) < 300 and instance_color(i)[1] < 60)
    frame, mask = grey(360, 640), box_mask(360, 640, 200, 100, 50, 400)
    y, x, height, width = tag_box(draw(frame, make_instance(dark, [mask])), frame, mask)
    tag = draw(frame, make_instance(dark, [mask]))[y : y + height, x : x + width].reshape(-1, 3)
    assert (tag > 220).all(axis=1).sum() > 30


def test_tag_says_category_id_and_score() -> None:
    """Another category, id width or score changes the tag; the same ones do not."""
    mask = box_mask(360, 640, 200, 100, 50, 400)
    texts = [(7, 0.92), (7, 0.924), (3, 0.92), (7, 0.93)]
    tags = [draw(grey(360, 640), make_instance(1, [mask], category_id=c, score=s))[:200] for c, s in texts]
    np.testing.assert_array_equal(tags[0], tags[1])
    assert (tags[0] != tags[2]).any()
    assert (tags[0] != tags[3]).any()
    repeated = draw(grey(360, 640), make_instance(257, [mask], score=0.92))[:200]  # of the same colour as 1
    assert (tags[0] != repeated).any()


def test_tag_of_an_instance_without_a_category_is_its_id() -> None:
    """The tag is as wide as one digit, and does not change with the score."""
    frame, mask = grey(360, 640), box_mask(360, 640, 200, 100, 50, 400)
    pictures = [draw(frame, make_instance(2, [mask], category_id=None, score=score)) for score in (1.0, 0.5)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    *_, height, width = tag_box(pictures[0], frame, mask)
    assert width < 2 * height
    other = draw(frame, make_instance(258, [mask], category_id=None))  # of the same colour as 2
    assert tag_box(other, frame, mask)[3] > width


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 630), (350, 630), (350, 0)])
def test_tag_stays_inside_the_frame(y: int, x: int) -> None:
    frame, mask = grey(360, 640), box_mask(360, 640, y, x, 10, 10)
    expected = draw(frame, make_instance(1, [box_mask(360, 640, 200, 100, 50, 400)]))
    size = tag_box(expected, frame, box_mask(360, 640, 200, 100, 50, 400))[2:]
    picture = draw(frame, make_instance(1, [mask]))
    top, left, height, width = tag_box(picture, frame, np.zeros_like(mask))
    assert top >= 0
    assert left >= 0
    assert width == size[1]
    assert size[0] <= height <= size[0] + 10


def test_tags_lie_over_all_masks() -> None:
    frame = grey(360, 640)
    low, high = box_mask(360, 640, 200, 100, 50, 50), box_mask(360, 640, 150, 80, 200, 400)
    picture = draw(frame, make_instance(1, [low], score=0.1), make_instance(2, [high], score=0.9))
    assert (picture[185:200, 100:150] == instance_color(1)).all(axis=-1).mean() > 0.4


def test_tags_grow_with_the_frame() -> None:
    heights = []
    for scale in (1, 3):
        shape = (360 * scale, 640 * scale)
        mask = box_mask(*shape, shape[0] // 2, 10, shape[0] // 4, shape[1] // 2)
        heights.append(tag_box(draw(grey(*shape), make_instance(1, [mask])), grey(*shape), mask)[2])
    assert heights[1] == pytest.approx(3 * heights[0], rel=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 300), (300, 2)])
def test_tiny_frames_are_drawn(shape: tuple[int, int]) -> None:
    picture = draw(grey(*shape), make_instance(1, [np.ones(shape, bool)]))
    assert picture.shape == (*shape, 3)
    assert (picture == instance_color(1)).all()


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        draw(grey(20, 30), make_instance(1, [np.ones((30, 20), bool)]))
