"""Contact sheets: one thumbnail per instance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.overlay import Frame
from vis_cli.records.renderings.contact_sheet import BACKGROUND, GAP, THUMBNAIL, ContactSheet
from vis_cli.records.types import InstanceSequence, VideoResult

SIZE = (90, 120)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))  # of the frames


def box(x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def frames() -> Iterator[Frame]:
    for colour in COLOURS:
        yield np.full((*SIZE, 3), colour, np.uint8)


def sheet_of(instances: list[InstanceSequence]) -> tuple[VideoResult, ContactSheet]:
    result = make_result(instances, size=SIZE, num_frames=3)
    return result, ContactSheet(result, instances)


def middle(image: NDArray[np.uint8], column: int) -> list[int]:
    """Return the colour in the middle of a thumbnail of the first row."""
    x = GAP + column * (THUMBNAIL[0] + GAP) + THUMBNAIL[0] // 2
    return [int(value) for value in image[GAP + THUMBNAIL[1] // 2, x]]


def test_a_thumbnail_shows_the_frame_with_the_largest_mask() -> None:
    first = make_instance(1, [box(10, 10, 20, 20), box(10, 10, 30, 30), None])
    second = make_instance(2, [None, box(60, 40, 20, 20), box(60, 40, 40, 40)])
    _, sheet = sheet_of([first, second])
    image = sheet.draw(frames())
    assert sheet.last_frame == 2
    assert [middle(image, 0), middle(image, 1)] == [list(COLOURS[1]), list(COLOURS[2])]


def test_the_surroundings_are_dimmed_and_tags_differ() -> None:
    instances = [make_instance(i, [box(50, 35, 20, 20), None, None], score=i / 10) for i in (1, 2)]
    _, sheet = sheet_of(instances)
    image = sheet.draw(frames())
    corner = image[GAP + 3, GAP + 3]
    np.testing.assert_allclose(corner, np.array(COLOURS[0]) * 0.35, atol=2)
    tags = [image[GAP + THUMBNAIL[1] :, GAP + i * (THUMBNAIL[0] + GAP) :][:, : THUMBNAIL[0]] for i in (0, 1)]
    assert all((tag != BACKGROUND).any() for tag in tags)
    assert (tags[0] != tags[1]).any()


@pytest.mark.parametrize("count", [0, 1, 2, 5, 12])
def test_the_size_of_the_sheet(count: int) -> None:
    _, sheet = sheet_of([make_instance(i + 1, [box(5, 5, 9, 9), None, None]) for i in range(count)])
    image = sheet.draw(frames())
    assert image.dtype == np.uint8
    columns, rows = (image.shape[1] - GAP) // (THUMBNAIL[0] + GAP), image.shape[0] // (THUMBNAIL[1] + GAP)
    assert columns * rows >= max(1, count)
    assert columns * (rows - 1) < max(1, count)


def test_instances_without_a_visible_mask_have_only_a_tag() -> None:
    _, sheet = sheet_of([make_instance(1, [None, np.zeros(SIZE, np.bool_), None])])
    assert sheet.last_frame == -1
    assert middle(sheet.draw(iter(())), 0) == [BACKGROUND] * 3


def test_no_instances() -> None:
    _, sheet = sheet_of([])
    assert (sheet.draw(frames()) != BACKGROUND).any()


@pytest.mark.parametrize("mask", [box(0, 0, 120, 90), box(0, 0, 1, 1), box(119, 0, 1, 90), box(0, 89, 120, 1)])
def test_objects_at_the_border(mask: NDArray[np.bool_]) -> None:
    _, sheet = sheet_of([make_instance(1, [mask, None, None])])
    assert sheet.draw(frames()).shape[1] == THUMBNAIL[0] + 2 * GAP
