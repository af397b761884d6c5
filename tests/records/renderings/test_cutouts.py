"""Mattes and cut-outs."""

from __future__ import annotations

import numpy as np

from tests.records.result_factory import make_instance
from vis_cli.records.renderings.cutouts import FRINGE, AlphaPainter, BackgroundPainter, MattePainter

SIZE = (40, 60)
LEFT, RIGHT = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
LEFT[10:20, 5:15] = True
RIGHT[15:30, 12:22] = True
FRAME = np.random.default_rng(0).integers(1, 256, (*SIZE, 3)).astype(np.uint8)
INSTANCES = [make_instance(1, [LEFT, None]), make_instance(2, [RIGHT, None])]


def test_a_matte_is_the_union_of_the_masks() -> None:
    matte = MattePainter(INSTANCES).draw(FRAME, 0)
    np.testing.assert_array_equal(matte, np.where(LEFT | RIGHT, 255, 0))
    assert matte.dtype == np.uint8


def test_alpha_is_the_matte_and_colours_stay_up_to_the_fringe() -> None:
    image = AlphaPainter(INSTANCES).draw(FRAME, 0)
    union = LEFT | RIGHT
    np.testing.assert_array_equal(image[..., 3], np.where(union, 255, 0))
    np.testing.assert_array_equal(image[union][:, :3], FRAME[union])
    row = image[12, :, :3].any(axis=-1)  # in this row, the object ends at column 14
    assert np.flatnonzero(row).max() == max(14, 21) + FRINGE
    np.testing.assert_array_equal(image[12, :23, :3], FRAME[12, :23])


def test_a_background() -> None:
    image = BackgroundPainter(INSTANCES, (1, 2, 3)).draw(FRAME, 0)
    union = LEFT | RIGHT
    np.testing.assert_array_equal(image[union], FRAME[union])
    assert (image[~union] == (1, 2, 3)).all()


def test_frames_without_the_objects() -> None:
    for instances in (INSTANCES, []):
        assert not MattePainter(instances).draw(FRAME, 1).any()
        assert not AlphaPainter(instances).draw(FRAME, 1).any()
        assert (BackgroundPainter(instances, (1, 2, 3)).draw(FRAME, 1) == (1, 2, 3)).all()
