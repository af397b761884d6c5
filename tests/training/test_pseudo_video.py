"""Tests of clips made of pictures: masks move with what they mask, pasted objects hide and are hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vis_cli.records.rle import encode_mask
from vis_cli.training.annotations import Still, StillObject
from vis_cli.training.copy_paste import Paste, Place, apply_paste, draw_pastes
from vis_cli.training.cutouts import Cutout, CutoutBank, Picture, cut_out
from vis_cli.training.photometric import ColourLimits, ColourShift, change_colours
from vis_cli.training.pseudo_video import PAPER, STRONG, PseudoVideoConfig, RenderedClip, render_clip
from vis_cli.training.structures import ClipTargets
from vis_cli.training.targets import FrameObjects, choose_guided, frame_targets
from vis_cli.training.transforms import Motion, scale_matrix, shift_matrix

from .boxes import BLUE, GREEN, RED, WHITE, Box, draw

SIZE = (120, 160)
BOXES = [Box("cat", (10, 20, 60, 90), RED), Box("dog", (80, 30, 150, 70), GREEN)]
OBJECTS = FrameObjects({1: 1, 2: 2}, frozenset())
NO_BANK = CutoutBank({})
NO_COLOUR = ColourLimits(clip=0.0, frame=0.0, grey=0.0, blur=0.0, noise=0.0, jpeg=0.0)
GEOMETRY = replace(STRONG, colour=NO_COLOUR, paste=replace(STRONG.paste, colour=0.0))  # colours tell what is what
STILL = Motion(np.zeros((1, 7)), np.zeros((1, 4, 4, 2), np.float32))


def make_picture(boxes: list[Box], size: tuple[int, int] = SIZE) -> Picture:
    id_map = np.zeros(size, np.uint16)
    for i, box in enumerate(boxes, 1):
        id_map[box.mask(size)] = i
    return Picture(draw(boxes, size), id_map)


def make_bank(folder: Path, colours: dict[int, tuple[int, int, int]]) -> CutoutBank:
    """Return a bank of one box a label."""
    candidates = {}
    for label, colour in colours.items():
        box = Box("", (30, 30, 70, 60), colour)
        path = folder / f"cutout-{label}.png"
        cv2.imwrite(str(path), draw([box], (100, 100))[..., ::-1])
        item = StillObject("", False, encode_mask(box.mask((100, 100))), 1200, (30, 30, 40, 30))
        candidates[label] = [(Still(path, 100, 100, "", (item,)), item)]
    return CutoutBank(candidates)


def render(
    seed: int,
    config: PseudoVideoConfig = GEOMETRY,
    *,
    picture: Picture | None = None,
    objects: FrameObjects = OBJECTS,
    bank: CutoutBank = NO_BANK,
    num_frames: int = 3,
    canvas: tuple[int, int] = (128, 160),
) -> RenderedClip:
    pictures = [picture or make_picture(BOXES)] * num_frames
    return render_clip(pictures, objects, bank, config, canvas=canvas, rng=np.random.default_rng(seed))


def looks_like(image: torch.Tensor, colour: tuple[int, int, int]) -> np.ndarray:
    """Return where a (3, H, W) image has about this colour."""
    return (np.abs(image.permute(1, 2, 0).numpy().astype(int) - colour) < 100).all(-1)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / max((a | b).sum(), 1)


def make_targets(labels: dict[int, int]) -> ClipTargets:
    """Return targets of instances id -> label without a shape."""
    count = len(labels)
    ids, values = torch.tensor(list(labels), dtype=torch.int64), torch.tensor(list(labels.values()), dtype=torch.int64)
    return ClipTargets(torch.zeros(count, 4), values, torch.zeros(count, 2, 2, dtype=torch.uint8), ids)


@pytest.mark.parametrize("size", [SIZE, (480, 640)])  # the larger one is averaged down first
def test_every_mask_stays_on_its_object(size: tuple[int, int]) -> None:
    factor = size[0] // SIZE[0]
    boxes = [replace(box, corners=tuple(factor * corner for corner in box.corners)) for box in BOXES]
    ious = []
    for seed in range(20):
        clip = render(seed, picture=make_picture(boxes, size))
        for image, targets in zip(clip.images, clip.targets, strict=True):
            for mask, value in zip(targets.masks.numpy(), targets.instance_ids.tolist(), strict=True):
                if mask.sum() > 400:
                    ious.append(mask_iou(mask > 0, looks_like(image, BOXES[value - 1].colour)))

    assert len(ious) > 40
    assert np.mean(ious) > 0.93
    assert np.min(ious) > 0.75


def test_pasted_objects_have_masks_of_what_is_seen_of_them(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, {3: BLUE})
    config = replace(GEOMETRY, paste=replace(GEOMETRY.paste, most=4, flock=1.0, same_class=0.0, twin=0.0))
    ious = []
    for seed in range(10):
        clip = render(seed, config, bank=bank)
        for image, targets in zip(clip.images, clip.targets, strict=True):
            assert int(targets.masks.sum(0).max()) == 1
            pasted = targets.masks[targets.labels == 3].sum(0).numpy() > 0
            ious.append(mask_iou(pasted, looks_like(image, BLUE)))

    assert np.mean(ious) > 0.8


def test_pasted_objects_keep_their_new_ids_in_all_frames(tmp_path: Path) -> None:
    config = replace(GEOMETRY, paste=replace(GEOMETRY.paste, most=5, flock=1.0, twin=0.0))
    clip = render(1, config, bank=make_bank(tmp_path, {1: RED, 3: BLUE}))
    labels: dict[int, int] = {}
    for targets in clip.targets:
        for value, label in zip(targets.instance_ids.tolist(), targets.labels.tolist(), strict=True):
            assert labels.setdefault(value, label) == label

    assert set(labels) <= set(range(1, 8))
    assert len([value for value in labels if value > 2]) >= 3


def test_boxes_are_tight() -> None:
    for targets in render(0).targets:
        for box, mask in zip(targets.boxes.int().tolist(), targets.masks, strict=True):
            rows, columns = torch.nonzero(mask, as_tuple=True)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_the_papers_generator_starts_with_the_picture_or_its_mirror_image_and_only_turns() -> None:
    picture = make_picture(BOXES)
    mirrored = []
    for seed in range(12):
        clip = render(seed, PAPER, picture=picture, canvas=SIZE)
        first = clip.images[0].permute(1, 2, 0).numpy()
        mirrored.append(np.array_equal(first, picture.image[:, ::-1]))
        assert mirrored[-1] or np.array_equal(first, picture.image)
        angle = turned_by(clip.targets[2], clip.targets[0])
        assert abs(angle) <= 30.5
    assert any(mirrored)
    assert not all(mirrored)


def turned_by(after: ClipTargets, before: ClipTargets) -> float:
    """Return the angle in degrees between the long sides of the red box, always whole in view."""
    angles = []
    for targets in (after, before):
        outline, _ = cv2.findContours(targets.masks[0].numpy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        (_, _), (width, height), angle = cv2.minAreaRect(outline[0])
        angles.append(angle if width > height else angle + 90.0)
    return (angles[0] - angles[1] + 90.0) % 180.0 - 90.0


def test_a_clip_is_a_function_of_its_seed(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, {1: RED, 3: BLUE})
    first, again, other = (render(seed, STRONG, bank=bank) for seed in (5, 5, 6))

    assert torch.equal(first.images, again.images)
    assert torch.equal(first.guided_ids, again.guided_ids)
    assert all(torch.equal(a.masks, b.masks) for a, b in zip(first.targets, again.targets, strict=True))
    assert not torch.equal(first.images, other.images)


def test_later_frames_differ_more_from_the_first() -> None:
    drift = np.array(
        [
            [float((clip.images[t].int() - clip.images[0].int()).abs().float().mean()) for t in (1, 2, 3)]
            for clip in (render(seed, num_frames=4) for seed in range(12))
        ]
    )

    assert (np.diff(drift.mean(0)) > 0).all()


def test_a_picture_without_objects_gives_a_clip_without_targets() -> None:
    clip = render(0, picture=make_picture([]), objects=FrameObjects({}, frozenset()))

    assert clip.images.shape == (3, 3, 128, 160)
    assert clip.images.dtype == torch.uint8
    for targets, ignore in zip(clip.targets, clip.ignore, strict=True):
        assert targets.boxes.shape == ignore.shape == (0, 4)
        assert targets.masks.shape == (0, 128, 160)
    assert clip.guided_ids.shape == (0,)


def test_what_lies_outside_never_doubles_an_object() -> None:
    config = replace(GEOMETRY, zoom=(0.5, 0.5), focus=0.0)
    picture = make_picture([Box("cat", (60, 40, 100, 80), RED)])
    for seed in range(12):
        clip = render(seed, config, picture=picture, objects=FrameObjects({1: 1}, frozenset()))
        for image, targets in zip(clip.images, clip.targets, strict=True):
            red = looks_like(image, RED)
            near = cv2.dilate(targets.masks.sum(0).numpy().astype(np.uint8), np.ones((5, 5), np.uint8))
            assert not (red & (near == 0)).any()


def paste_of(matrix: np.ndarray, *, behind: int = 0) -> Paste:
    cutout = Cutout(np.dstack([np.full((20, 20, 3), BLUE, np.uint8), np.full((20, 20), 255, np.uint8)]), 3)
    return Paste(cutout, (matrix,), STILL, behind)


@pytest.mark.parametrize(("behind", "owner", "colour"), [(0, 7, BLUE), (1, 1, RED), (2, 7, BLUE)])
def test_a_paste_hides_originals_but_the_one_it_is_behind(
    behind: int, owner: int, colour: tuple[int, int, int]
) -> None:
    picture = make_picture(BOXES)
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(50, 50), behind=behind), frame=0, instance_id=7)

    assert id_map[60, 55] == owner  # inside the red box, whose right side is at x = 60
    assert tuple(image[60, 55]) == colour
    assert id_map[60, 66] == 7  # beside it
    assert tuple(image[60, 66]) == BLUE
    assert id_map[60, 75] == 0
    assert np.count_nonzero(id_map == 7) == pytest.approx(400 if owner == 7 else 200, abs=25)


def test_a_paste_out_of_view_changes_nothing() -> None:
    picture = make_picture(BOXES)
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(300, 0)), frame=0, instance_id=7)

    assert np.array_equal(image, picture.image)
    assert np.array_equal(id_map, picture.id_map)


def test_a_paste_partly_in_view_is_cut_off() -> None:
    picture = make_picture([])
    image, id_map = picture.image.copy(), picture.id_map.copy()

    apply_paste(image, id_map, picture.id_map, paste_of(shift_matrix(-10, -5)), frame=0, instance_id=7)

    assert np.array_equal(id_map[:15, :10], np.full((15, 10), 7))
    assert np.count_nonzero(id_map) == 150


def draw_many(bank: CutoutBank, most: int = 4, places: list[Place] | None = None, **limits: float) -> list[list[Paste]]:
    changed = {"flock": 0.0, "twin": 0.0, "same_class": 0.0, "same_cutout": 0.0, "behind": 0.0, **limits}
    config = replace(STRONG.paste, most=most, **changed)
    places = [Place(1, 1, (10, 20, 50, 70))] if places is None else places
    return [
        draw_pastes(
            config,
            bank,
            make_picture(BOXES),
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
    drawn = draw_many(make_bank(tmp_path, {3: BLUE}), most=3)

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
    drawn = draw_many(make_bank(tmp_path, {3: BLUE}), most=5, flock=1.0)
    sides = [shown_side(paste) for pastes in drawn for paste in pastes]

    assert all(len(pastes) == 5 for pastes in drawn)
    assert 0.08 * 200 < np.median(sides) < 0.3 * 200


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
    for pastes in draw_many(bank, most=1, rival=1.0, places=[Place(1, 1, (60, 60, 40, 30))]):
        for paste in pastes:
            assert 0.45 * 40 < shown_side(paste) < 1.3 * 40


def test_a_cut_out_has_a_rim_and_no_pinholes() -> None:
    mask = Box("", (40, 50, 60, 80)).mask(SIZE).astype(np.uint8)
    mask[65, 50] = 0

    rgba = cut_out(make_picture(BOXES).image, mask, 4).rgba

    assert rgba.shape == (36, 26, 4)
    assert (rgba[3:33, 3:23, 3] == 255).all()
    assert rgba[..., 3].sum() == 255 * 600


def test_an_empty_bank_cannot_be_drawn_from() -> None:
    with pytest.raises(ValueError, match="empty"):
        NO_BANK.draw([1], np.random.default_rng(0))


def test_crowds_and_slivers_are_ignored_and_unknown_values_are_background() -> None:
    id_map = np.zeros((40, 40), np.uint16)
    id_map[0:10, 0:10], id_map[20:40, 20:22], id_map[12:15, 0:5], id_map[30:34, 0:8], id_map[0:5, 30:40] = 1, 2, 3, 4, 9

    targets, ignore = frame_targets(
        id_map, FrameObjects({1: 5, 2: 6, 3: 7}, frozenset({4})), smallest_area=16, smallest_side=3
    )

    assert targets.instance_ids.tolist() == [1]
    assert targets.labels.tolist() == [5]
    assert targets.boxes.tolist() == [[0, 0, 10, 10]]
    assert ignore.tolist() == [[20, 20, 22, 40], [0, 12, 5, 15], [0, 30, 8, 34]]


def test_an_object_of_unknown_class_gets_label_one() -> None:
    targets, _ = frame_targets(
        np.ones((9, 9), np.uint16), FrameObjects({1: 0}, frozenset()), smallest_area=1, smallest_side=1
    )

    assert targets.labels.tolist() == [1]


def guided_sets(draws: int, *frames: dict[int, int], most: int = 5) -> list[list[int]]:
    targets = [make_targets(labels) for labels in frames]
    return [choose_guided(targets, most, np.random.default_rng(seed)).tolist() for seed in range(draws)]


def test_guided_objects_are_of_the_first_frame_sorted_and_limited() -> None:
    chosen = guided_sets(200, {i: i for i in range(1, 9)}, {i: i for i in range(1, 12)}, most=3)

    assert {len(ids) for ids in chosen} == {1, 2, 3}
    assert all(ids == sorted(set(ids)) and max(ids) <= 8 for ids in chosen)
    assert {value for ids in chosen for value in ids} == set(range(1, 9))


def test_a_neighbour_of_the_same_class_is_mostly_not_guided() -> None:
    chosen = guided_sets(300, {1: 4, 2: 4}, {1: 4, 2: 4})

    assert sum(len(ids) == 1 for ids in chosen) > 220
    assert any(len(ids) == 2 for ids in chosen)


def test_a_guided_object_is_seen_again_if_any_is() -> None:
    assert all(3 in ids for ids in guided_sets(40, {1: 1, 2: 2, 3: 3}, {3: 3, 4: 4}))
    assert all(ids == [6] for ids in guided_sets(5, {6: 1}, {}))


def test_nothing_in_the_first_frame_means_nothing_guided() -> None:
    assert guided_sets(1, {}, {1: 1}) == [[]]


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


def test_scaled_cutouts_cover_what_their_matrix_says() -> None:
    image, id_map = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), np.uint16)

    apply_paste(
        image, id_map, id_map.copy(), paste_of(shift_matrix(10, 20) @ scale_matrix(2.0, 1.5)), frame=0, instance_id=1
    )

    assert cv2.boundingRect((id_map > 0).astype(np.uint8)) == (10, 20, 40, 30)
