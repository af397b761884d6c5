"""Tests of the geometry of pseudo-videos."""

from __future__ import annotations

import numpy as np
import pytest

from vis_cli.training.transforms import (
    MotionLimits,
    bounding_region,
    draw_motion,
    pose_matrix,
    sampling_maps,
    scale_matrix,
    shift_matrix,
    view_matrix,
)

NO_WARP = np.zeros((4, 4, 2), np.float32)
LIMITS = MotionLimits(rotation=30.0, scale=0.2, shear=0.1, translation=0.25, perspective=0.1, elastic=0.02, jitter=0.0)


def apply(matrix: np.ndarray, x: float, y: float) -> tuple[float, float]:
    moved = matrix @ np.array([x, y, 1.0])
    return moved[0] / moved[2], moved[1] / moved[2]


def test_sampling_maps_of_the_identity_are_the_pixels_of_the_region() -> None:
    map_x, map_y = sampling_maps(np.eye(3), (3, 5, 24, 15), NO_WARP)

    assert map_x.shape == map_y.shape == (10, 21)
    np.testing.assert_allclose(map_x, np.tile(np.arange(3, 24), (10, 1)), atol=1e-4)
    np.testing.assert_allclose(map_y, np.tile(np.arange(5, 15)[:, None], (1, 21)), atol=1e-4)


def test_sampling_maps_follow_an_affine_map_exactly_to_the_border() -> None:
    inverse = np.array([[0.8, -0.3, 12.0], [0.25, 1.1, -7.0], [0.0, 0.0, 1.0]])

    map_x, map_y = sampling_maps(inverse, (0, 0, 50, 33), NO_WARP)

    for x, y in [(0, 0), (49, 0), (0, 32), (49, 32), (20, 9)]:
        source_x, source_y = apply(inverse, x + 0.5, y + 0.5)
        assert map_x[y, x] == pytest.approx(source_x - 0.5, abs=1e-3)
        assert map_y[y, x] == pytest.approx(source_y - 0.5, abs=1e-3)


def test_sampling_maps_follow_a_perspective_to_a_tenth_of_a_pixel() -> None:
    inverse = np.array([[1.0, 0.1, 0.0], [0.0, 1.0, 3.0], [2e-4, -3e-4, 1.0]])

    map_x, map_y = sampling_maps(inverse, (0, 0, 200, 160), NO_WARP)

    for x, y in [(0, 0), (199, 0), (101, 77), (199, 159)]:
        source_x, source_y = apply(inverse, x + 0.5, y + 0.5)
        assert map_x[y, x] == pytest.approx(source_x - 0.5, abs=0.1)
        assert map_y[y, x] == pytest.approx(source_y - 0.5, abs=0.1)


def test_a_constant_warp_shifts_by_fractions_of_the_region() -> None:
    warp = np.empty((4, 4, 2), np.float32)
    warp[..., 0], warp[..., 1] = 0.1, -0.2

    map_x, map_y = sampling_maps(np.eye(3), (10, 0, 50, 30), warp)

    np.testing.assert_allclose(map_x[0], np.arange(10, 50) + 4.0, atol=1e-3)
    np.testing.assert_allclose(map_y[:, 0], np.arange(30) - 6.0, atol=1e-3)


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        ([np.pi / 2, 0, 0, 0, 0, 0, 0], (50.0, 50.0)),  # a quarter turn about (50, 40)
        ([0, np.log(2), 0, 0, 0, 0, 0], (70.0, 40.0)),
        ([0, 0, 0, 0.1, -0.2, 0, 0], (70.0, 24.0)),  # of a canvas 100 wide and 80 high
        ([0, 0, 0, 0, 0, 1.0, 0], (50.0 + 10.0 / 1.1, 40.0)),
    ],
)
def test_pose_matrix_moves_about_the_center(pose: list[float], expected: tuple[float, float]) -> None:
    assert apply(pose_matrix(np.array(pose, float), (50.0, 40.0), (80, 100)), 60.0, 40.0) == pytest.approx(expected)


def test_pose_matrix_shears_along_x() -> None:
    matrix = pose_matrix(np.array([0, 0, 0.5, 0, 0, 0, 0]), (50.0, 40.0), (80, 100))

    assert apply(matrix, 50.0, 60.0) == pytest.approx((60.0, 60.0))


def test_a_motion_starts_at_rest_grows_evenly_and_stays_within_its_limits() -> None:
    for seed in range(20):
        motion = draw_motion(LIMITS, 4, np.random.default_rng(seed))

        assert not motion.poses[0].any()
        assert not motion.warps[0].any()
        np.testing.assert_allclose(motion.poses[1], motion.poses[3] / 3)
        np.testing.assert_allclose(motion.warps[1], motion.warps[3] / 3, rtol=1e-5)
        assert (np.abs(motion.poses[3]) <= LIMITS.bounds()).all()


def test_the_limits_are_reached_now_and_then() -> None:
    last = np.abs([draw_motion(LIMITS, 2, np.random.default_rng(seed)).poses[1] for seed in range(300)])

    assert (last.max(0) > 0.8 * LIMITS.bounds()).all()
    assert np.deg2rad(30.0) == pytest.approx(LIMITS.bounds()[0])


def test_jitter_spares_the_first_frame() -> None:
    limits = MotionLimits(
        rotation=10.0, scale=0.0, shear=0.0, translation=0.1, perspective=0.0, elastic=0.0, jitter=0.5
    )

    poses = draw_motion(limits, 3, np.random.default_rng(0)).poses

    assert not poses[0].any()
    assert not np.allclose(poses[1], poses[2] / 2)


def test_a_motion_of_one_frame_is_rest() -> None:
    motion = draw_motion(LIMITS, 1, np.random.default_rng(0))

    assert motion.poses.shape == (1, 7)
    assert not motion.poses.any()


def test_zoom_one_just_covers_the_canvas() -> None:
    view = view_matrix((100, 200), (50, 50), zoom=1.0, flip=False, focus=(100.0, 50.0), at=(0.5, 0.5))

    assert apply(view, 100.0, 50.0) == pytest.approx((25.0, 25.0))
    assert apply(view, 0.0, 100.0)[1] == pytest.approx(50.0)


def test_the_view_uncovers_no_canvas_to_reach_its_focus() -> None:
    view = view_matrix((100, 200), (50, 50), zoom=1.0, flip=False, focus=(0.0, 0.0), at=(0.5, 0.5))

    assert apply(view, 0.0, 0.0) == pytest.approx((0.0, 0.0))


def test_a_picture_smaller_than_the_canvas_stays_inside() -> None:
    view = view_matrix((100, 100), (80, 80), zoom=0.5, flip=False, focus=(0.0, 100.0), at=(1.0, 0.0))

    assert apply(view, 100.0, 0.0) == pytest.approx((80.0, 0.0))


def test_a_whole_picture_stands_in_the_middle_and_a_larger_one_at_its_focus() -> None:
    fitting, larger = (
        view_matrix((100, 50), (80, 120), zoom=zoom, flip=False, focus=(0.0, 0.0), at=(0.0, 0.0), whole=True)
        for zoom in (1.0, 2.0)
    )

    assert apply(fitting, 0.0, 0.0) == pytest.approx((40.0, 0.0))
    assert apply(fitting, 50.0, 100.0) == pytest.approx((80.0, 80.0))
    assert apply(larger, 0.0, 0.0) == pytest.approx((20.0, 0.0))
    assert apply(larger, 50.0, 100.0) == pytest.approx((100.0, 160.0))


def test_a_flipped_view_mirrors_the_canvas() -> None:
    straight, mirrored = (
        view_matrix((60, 90), (40, 40), zoom=1.5, flip=flip, focus=(30.0, 30.0), at=(0.3, 0.6))
        for flip in (False, True)
    )

    x, y = apply(straight, 33.0, 21.0)
    assert apply(mirrored, 33.0, 21.0) == pytest.approx((40.0 - x, y))


def test_bounding_region_covers_the_moved_picture_within_the_canvas() -> None:
    matrix = shift_matrix(10.0, 20.0) @ scale_matrix(2.0, 1.0)

    assert bounding_region(matrix, (30, 20), (100, 100), 0.0) == (9, 19, 51, 51)
    assert bounding_region(matrix, (30, 20), (40, 40), 0.0) == (9, 19, 40, 40)
    assert bounding_region(matrix, (30, 20), (100, 100), 0.5) == (0, 4, 71, 66)


def test_bounding_region_is_none_out_of_view() -> None:
    assert bounding_region(shift_matrix(200.0, 0.0), (30, 20), (100, 100), 0.0) is None
    assert bounding_region(shift_matrix(0.0, -50.0), (30, 20), (100, 100), 0.1) is None
