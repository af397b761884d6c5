"""Tests of pasted objects: which are drawn, where they start, what they hide and what hides them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vis_cli.training.copy_paste import Paste, Place, apply_paste, draw_pastes
from vis_cli.training.cutouts import Cutout, CutoutBank, cut_out
from vis_cli.training.pseudo_video import STRONG
from vis_cli.training.transforms import Motion, scale_matrix, shift_matrix

from .boxes import BLUE, GREEN, RED, Box, make_bank, make_picture

SIZE = (120, 160)
BOXES = [Box("cat", (10, 20, 60, 90), RED), Box("dog", (80, 30, 150, 70), GREEN)]
NO_BANK = CutoutBank({})
STILL = Motion(np.zeros((1, 7)), np.zeros((1, 4, 4, 2), np.float32))


def paste_of(matrix: np.ndarray, *, behind: int = 0) -> Paste:
    cutout = Cutout(np.dstack([np.full((20, 20, 3), BLUE, np.uint8), np.full((20, 20), 255, np.uint8)]), 3)
    return Paste(cutout, (matrix,), STILL, behind)


@pytest.mark.parametrize(("behind", "owner", "colour"), [(0, 7, BLUE), (1, 1, RED), (2, 7, BLUE)])
def test_a_paste_hides_originals_but_the_one_it_is_behind(
    behind: int, owner: int, colour: tuple[int, int, int]
) -> None:
    picture = make_picture(BOXES, SIZE)
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(50, 50), behind=behind), frame=0, instance_id=7)

    assert id_map[60, 55] == owner  # inside the red box, whose right side is at x = 60
    assert tuple(image[60, 55]) == colour
    assert id_map[60, 66] == 7  # beside it
    assert tuple(image[60, 66]) == BLUE
    assert id_map[60, 75] == 0
    assert np.count_nonzero(id_map == 7) == pytest.approx(400 if owner == 7 else 200, abs=25)


def test_a_paste_out_of_view_changes_nothing() -> None:
    picture = make_picture(BOXES, SIZE)
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(300, 0)), frame=0, instance_id=7)

    assert np.array_equal(image, picture.image)
    assert np.array_equal(id_map, picture.id_map)


def test_a_paste_partly_in_view_is_cut_off() -> None:
    picture = make_picture([], SIZE)
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(-10, -5)), frame=0, instance_id=7)

    assert np.array_equal(id_map[:15, :10], np.full((15, 10), 7))
    assert np.count_nonzero(id_map) == 150


def draw_many(
    bank: CutoutBank, max_pastes: int = 4, places: list[Place] | None = None, **limits: float
) -> list[list[Paste]]:
    changed = {"flock": 0.0, "twin": 0.0, "same_class": 0.0, "same_cutout": 0.0, "behind": 0.0, **limits}
    config = replace(STRONG.paste, max_pastes=max_pastes, **changed)
    places = [Place(1, 1, (10, 20, 150, 170))] if places is None else places
    return [
        draw_pastes(
            config,
            bank,
            make_picture(BOXES, SIZE),
            places,
            num_frames=2,
            canvas=(200, 200),
            rng=np.random.default_rng(seed),
        )
        for seed in range(60)
    ]


def shown_side(paste: Paste) -> float:
    """Return the longer side of a paste in the first frame, in pixels."""
    return float(np.sqrt(abs(np.linalg.det(paste.matrices[0][:2, :2]))) * max(paste.cutout.rgba.shape[:2]))


def test_the_number_of_pastes_is_drawn_from_none_to_the_most(tmp_path: Path) -> None:
    drawn = draw_many(make_bank(tmp_path, {3: BLUE}), max_pastes=3)

    assert {len(pastes) for pastes in drawn} == {0, 1, 2, 3}


def test_an_empty_bank_pastes_nothing() -> None:
    assert not any(draw_many(NO_BANK, flock=1.0))


def test_same_class_pastes_are_of_the_class_already_there(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, {1: RED, 2: GREEN, 3: BLUE})

    alike = [paste.cutout.label for pastes in draw_many(bank, same_class=1.0) for paste in pastes]
    free = [paste.cutout.label for pastes in draw_many(bank) for paste in pastes]

    assert set(alike) == {1}
    assert set(free) == {1, 2, 3}


def test_the_same_cutout_comes_again(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, {label: (20 * label, 20, 20) for label in range(1, 11)})

    for pastes in draw_many(bank, same_cutout=1.0):
        assert len({paste.cutout.label for paste in pastes}) <= 1


def test_a_twin_is_cut_out_of_the_picture_itself(tmp_path: Path) -> None:
    drawn = draw_many(make_bank(tmp_path, {3: BLUE}), twin=1.0)
    pastes = [paste for found in drawn for paste in found]

    for paste in pastes:
        assert paste.cutout.label == 1
        height, width = paste.cutout.rgba.shape[:2]
        red, green, _, alpha = paste.cutout.rgba[height // 2, width // 2]
        assert alpha == 255
        assert red > green
    assert pastes


def test_a_flock_is_large_in_number_and_small_in_size(tmp_path: Path) -> None:
    drawn = draw_many(make_bank(tmp_path, {3: BLUE}), max_pastes=5, flock=1.0)
    sides = [shown_side(paste) for pastes in drawn for paste in pastes]

    assert all(len(pastes) == 5 for pastes in drawn)
    assert 0.08 * 200 < np.median(sides) < 0.3 * 200


def test_a_flock_is_small_beside_a_large_rival(tmp_path: Path) -> None:
    drawn = draw_many(make_bank(tmp_path, {1: RED}), max_pastes=1, flock=1.0, rival=1.0)

    largest = STRONG.paste.flock_side[1] * 200
    assert all(shown_side(paste) <= largest for pastes in drawn for paste in pastes)


def test_pastes_behind_an_original_come_first(tmp_path: Path) -> None:
    orders = [[paste.behind for paste in pastes] for pastes in draw_many(make_bank(tmp_path, {3: BLUE}), behind=0.5)]

    assert {1, 0} == {behind for order in orders for behind in order}
    assert all(order == sorted(order, reverse=True) for order in orders)


def test_pastes_move_each_on_its_own_path(tmp_path: Path) -> None:
    pastes = next(pastes for pastes in draw_many(make_bank(tmp_path, {3: BLUE})) if len(pastes) >= 2)
    paths = [paste.matrices[1] @ np.linalg.inv(paste.matrices[0]) for paste in pastes[:2]]

    assert not np.allclose(paths[0], np.eye(3), atol=1e-3)
    assert not np.allclose(paths[0], paths[1], atol=1e-3)


def test_a_rival_is_about_as_large_as_the_object_it_resembles(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, {1: RED})
    for pastes in draw_many(bank, max_pastes=1, rival=1.0, places=[Place(1, 1, (60, 60, 40, 30))]):
        for paste in pastes:
            assert 0.45 * 40 < shown_side(paste) < 1.3 * 40


def test_a_cut_out_has_a_rim_and_no_pinholes() -> None:
    mask = Box("", (40, 50, 60, 80)).mask(SIZE).astype(np.uint8)
    mask[65, 50] = 0

    rgba = cut_out(make_picture(BOXES, SIZE).image, mask, 4).rgba

    assert rgba.shape == (36, 26, 4)
    assert (rgba[3:33, 3:23, 3] == 255).all()
    assert rgba[..., 3].sum() == 255 * 600


def test_an_empty_bank_cannot_be_drawn_from() -> None:
    with pytest.raises(ValueError, match="empty"):
        NO_BANK.draw([1], np.random.default_rng(0))


def test_scaled_cutouts_cover_what_their_matrix_says() -> None:
    image, id_map = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), np.uint16)

    apply_paste(
        image, id_map, id_map.copy(), paste_of(shift_matrix(10, 20) @ scale_matrix(2.0, 1.5)), frame=0, instance_id=1
    )

    assert cv2.boundingRect((id_map > 0).astype(np.uint8)) == (10, 20, 40, 30)
