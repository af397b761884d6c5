"""Tests of colour changes and of blur, noise and compression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vis_cli.training.photometric import ColourLimits, ColourShift, change_colours

from .boxes import WHITE, Box, draw

NO_COLOUR = ColourLimits(clip=0.0, frame=0.0, grey=0.0, blur=0.0, noise=0.0, jpeg=0.0)


def gradient() -> np.ndarray:
    ramp = np.linspace(40, 200, 48, dtype=np.uint8)
    return np.dstack([np.tile(ramp, (32, 1)), np.tile(ramp[::-1], (32, 1)), np.full((32, 48), 90, np.uint8)])


def test_no_colour_change_leaves_the_frames_alone() -> None:
    (changed,) = change_colours([gradient()], NO_COLOUR, np.random.default_rng(0))

    assert np.abs(changed.astype(int) - gradient()).max() <= 1


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (ColourShift(0.1, 0.0, 0.0, 0.0), (125.5, 125.5, 125.5)),
        (ColourShift(0.0, 0.5, 0.0, 0.0), (91.0, 91.0, 91.0)),  # away from 118
        (ColourShift(0.0, 0.0, -1.0, 0.0), (100.0, 100.0, 100.0)),
    ],
)
def test_colour_shifts_of_a_grey_pixel(shift: ColourShift, expected: tuple[float, float, float]) -> None:
    grey = np.full((1, 1, 3), 100, np.uint8)

    np.testing.assert_allclose(shift.apply(grey)[0, 0], expected, atol=1.0)


def test_hue_turns_colours_and_keeps_their_luma() -> None:
    turned = ColourShift(0.0, 0.0, 0.0, 0.5).apply(np.array([[[150, 90, 80]]], np.uint8))[0, 0].astype(float)

    assert np.abs(turned - [150, 90, 80]).max() > 10
    assert turned @ [0.299, 0.587, 0.114] == pytest.approx(np.array([150, 90, 80]) @ [0.299, 0.587, 0.114], abs=1.5)


def test_a_grey_clip_has_no_colour() -> None:
    frames = change_colours([gradient()] * 2, replace(NO_COLOUR, grey=1.0, clip=0.3), np.random.default_rng(1))

    assert all(np.ptp(frame.astype(int), axis=-1).max() <= 2 for frame in frames)


def test_the_clips_colour_is_common_and_the_frames_differ_mildly() -> None:
    common = change_colours([gradient()] * 2, replace(NO_COLOUR, clip=0.5), np.random.default_rng(2))
    apart = change_colours([gradient()] * 2, replace(NO_COLOUR, frame=0.1), np.random.default_rng(2))

    assert np.array_equal(*common)
    assert np.abs(common[0].astype(int) - gradient()).max() > 5
    assert 0 < np.abs(apart[0].astype(int) - apart[1]).mean() < 20


@pytest.mark.parametrize("damage", ["blur", "noise", "jpeg"])
def test_damage_changes_little_and_keeps_the_shape(damage: str) -> None:
    image = draw([Box("", (10, 10, 30, 25), WHITE)], (40, 50))
    changed = [
        change_colours([image], replace(NO_COLOUR, **{damage: 1.0}), np.random.default_rng(seed))[0]
        for seed in range(8)
    ]

    assert all(frame.shape == image.shape and frame.dtype == np.uint8 for frame in changed)
    differences = [np.abs(frame.astype(int) - image).mean() for frame in changed]
    assert max(differences) < 12
    assert max(differences) > 0.5
