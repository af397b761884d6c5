"""Tests of clips made of pictures: masks move with what they mask, pasted objects hide and are hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vis_cli.training.cutouts import CutoutBank, LabelledImage
from vis_cli.training.photometric import ColourLimits
from vis_cli.training.pseudo_video import PAPER, PAPER_VIDEO, STRONG, PseudoVideoConfig, RenderedClip, render_clip
from vis_cli.training.structures import ClipTargets
from vis_cli.training.targets import FrameObjects
from vis_cli.training.transforms import Motion

from .boxes import BLUE, GREEN, GREY, RED, Box, make_bank, make_picture

SIZE = (120, 160)
BOXES = [Box("cat", (10, 20, 60, 90), RED), Box("dog", (80, 30, 150, 70), GREEN)]
OBJECTS = FrameObjects({1: 1, 2: 2}, frozenset())
MEAN = [124, 116, 104]  # colour of ImageNet
NO_BANK = CutoutBank({})
NO_COLOUR = ColourLimits(clip=0.0, frame=0.0, grey=0.0, blur=0.0, noise=0.0, jpeg=0.0)
GEOMETRY = replace(STRONG, colour=NO_COLOUR, paste=replace(STRONG.paste, colour=0.0))  # colours tell what is what
STILL = Motion(np.zeros((1, 7)), np.zeros((1, 4, 4, 2), np.float32))


def render(
    seed: int,
    config: PseudoVideoConfig = GEOMETRY,
    *,
    picture: LabelledImage | None = None,
    objects: FrameObjects = OBJECTS,
    bank: CutoutBank = NO_BANK,
    num_frames: int = 3,
    canvas: tuple[int, int] = (128, 160),
) -> RenderedClip:
    pictures = [picture or make_picture(BOXES, SIZE)] * num_frames
    return render_clip(pictures, objects, bank, config, canvas=canvas, rng=np.random.default_rng(seed))


def looks_like(image: torch.Tensor, colour: tuple[int, int, int]) -> np.ndarray:
    """Return where a (3, H, W) image has about this colour."""
    return (np.abs(image.permute(1, 2, 0).numpy().astype(int) - colour) < 100).all(-1)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / max((a | b).sum(), 1)


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
    config = replace(GEOMETRY, paste=replace(GEOMETRY.paste, max_pastes=4, flock=1.0, same_class=0.0, twin=0.0))
    ious = []
    for seed in range(10):
        clip = render(seed, config, bank=bank)
        for image, targets in zip(clip.images, clip.targets, strict=True):
            assert int(targets.masks.sum(0).max()) == 1
            pasted = targets.masks[targets.labels == 3].sum(0).numpy() > 0
            ious.append(mask_iou(pasted, looks_like(image, BLUE)))

    assert np.mean(ious) > 0.8


def test_pasted_objects_keep_their_new_ids_in_all_frames(tmp_path: Path) -> None:
    config = replace(GEOMETRY, paste=replace(GEOMETRY.paste, max_pastes=5, flock=1.0, twin=0.0))
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


def test_the_papers_three_frames_are_the_picture_or_its_mirror_image_and_its_turns_by_30_degrees() -> None:
    picture = make_picture(BOXES, SIZE)
    mirrored, orders = [], set()
    for seed in range(12):
        clip = render(seed, PAPER, picture=picture, canvas=SIZE, num_frames=3)
        images = [image.permute(1, 2, 0).numpy() for image in clip.images]
        mirrored.append(any(np.array_equal(image, picture.image[:, ::-1]) for image in images))
        plain = [i for i, image in enumerate(images) if any(np.array_equal(image, p) for p in both_ways(picture))]
        assert len(plain) == 1
        orders.add(plain[0])
        angles = [turned_by(targets, clip.targets[plain[0]]) for targets in clip.targets]
        assert sorted(angles) == pytest.approx([-30.0, 0.0, 30.0], abs=1.0)
    assert any(mirrored)
    assert not all(mirrored)
    assert orders == {0, 1, 2}


def both_ways(picture: LabelledImage) -> list[np.ndarray]:
    """Return the picture and its mirror image."""
    return [picture.image, picture.image[:, ::-1]]


@pytest.mark.parametrize("config", [replace(PAPER, turns=(0.0,)), PAPER_VIDEO])
@pytest.mark.parametrize("size", [(160, 120), (80, 60), (120, 160), (50, 200)])  # portrait, small, 4:3, very wide
def test_the_papers_generator_shows_the_whole_picture_with_the_mean_colour_around_it(
    config: PseudoVideoConfig, size: tuple[int, int]
) -> None:
    (height, width), canvas = size, (72, 128)
    corners = [(x, y, x + 10, y + 10) for x in (0, width - 10) for y in (0, height - 10)]
    picture = make_picture([Box("cat", corner, RED) for corner in corners], size)
    objects = FrameObjects(dict.fromkeys(range(1, 5), 1), frozenset())
    scale = min(canvas[0] / height, canvas[1] / width)
    left, top = (canvas[1] - scale * width) / 2, (canvas[0] - scale * height) / 2
    covered = np.zeros(canvas, bool)
    covered[round(top) : round(top + scale * height), round(left) : round(left + scale * width)] = True
    around = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    for seed in range(4):
        clip = render(seed, config, picture=picture, objects=objects, canvas=canvas)
        for image, targets in zip(clip.images.numpy(), clip.targets, strict=True):
            assert targets.instance_ids.tolist() == [1, 2, 3, 4]
            assert targets.masks.sum((1, 2)).tolist() == pytest.approx([(10 * scale) ** 2] * 4, rel=0.35)
            assert around.any()
            assert (image[:, around] == np.array(MEAN)[:, None]).all()


def test_the_papers_turned_frames_have_the_mean_colour_around_them_too() -> None:
    for seed in range(4):
        clip = render(seed, PAPER, picture=make_picture([], SIZE), objects=FrameObjects({}, frozenset()), canvas=SIZE)
        assert sorted(clip.images[:, :, 0, 0].tolist()) == [[GREY] * 3, MEAN, MEAN]


def test_the_papers_generator_guides_by_all_that_the_last_frame_shows() -> None:
    clip = render(0, PAPER, picture=make_picture(BOXES, SIZE), canvas=SIZE, num_frames=2)
    shared = set(clip.targets[0].instance_ids.tolist()) & set(clip.targets[1].instance_ids.tolist())
    assert shared
    assert clip.guided_ids.tolist() == sorted(shared)


def turned_by(after: ClipTargets, before: ClipTargets) -> float:
    """Return the angle in degrees between the long sides of the red box, always whole in view."""
    angles = []
    for targets in (after, before):
        outline, _ = cv2.findContours(targets.masks[0].numpy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        (_, _), (width, height), angle = cv2.minAreaRect(outline[0])
        angles.append(angle if width > height else angle + 90.0)
    return (angles[0] - angles[1] + 90.0) % 180.0 - 90.0


def test_the_object_in_focus_is_brought_to_the_size_drawn_but_not_magnified_without_end() -> None:
    still = replace(PAPER, turns=(), zoom=(0.5, 1.0), focus=1.0, fill_probability=1.0)

    def longer_side(fill: float) -> float:
        clip = render(3, replace(still, fill=(fill, fill)), picture=make_picture(BOXES[:1], SIZE), num_frames=1)
        x0, y0, x1, y1 = clip.targets[0].boxes[0].tolist()
        return max(x1 - x0, y1 - y0)

    assert longer_side(0.3) == pytest.approx(0.3 * 128, abs=2)
    assert longer_side(0.6) == pytest.approx(0.6 * 128, abs=2)
    tiny = make_picture([Box("cat", (75, 55, 85, 65), RED)], SIZE)
    clip = render(3, replace(still, fill=(0.9, 0.9)), picture=tiny, num_frames=1)
    assert (clip.targets[0].boxes[0, 2:] - clip.targets[0].boxes[0, :2]).tolist() == pytest.approx([30, 30], abs=2)


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
    clip = render(0, picture=make_picture([], SIZE), objects=FrameObjects({}, frozenset()))

    assert clip.images.shape == (3, 3, 128, 160)
    assert clip.images.dtype == torch.uint8
    for targets, ignore in zip(clip.targets, clip.ignore, strict=True):
        assert targets.boxes.shape == ignore.shape == (0, 4)
        assert targets.masks.shape == (0, 128, 160)
    assert clip.guided_ids.shape == (0,)


def test_what_lies_outside_never_doubles_an_object() -> None:
    config = replace(GEOMETRY, zoom=(0.5, 0.5), focus=0.0)
    picture = make_picture([Box("cat", (60, 40, 100, 80), RED)], SIZE)
    for seed in range(12):
        clip = render(seed, config, picture=picture, objects=FrameObjects({1: 1}, frozenset()))
        for image, targets in zip(clip.images, clip.targets, strict=True):
            red = looks_like(image, RED)
            near = cv2.dilate(targets.masks.sum(0).numpy().astype(np.uint8), np.ones((5, 5), np.uint8))
            assert not (red & (near == 0)).any()


def test_a_picture_shown_much_smaller_is_averaged() -> None:
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (480, 640, 3))

    clip = render(0, PAPER, picture=LabelledImage(noise, np.zeros((480, 640), np.uint16)), canvas=SIZE)

    assert float(clip.images[0].float().std()) < 45  # 32: the mean of 4x4 pixels; 64 were it interpolated between 4


def test_what_is_behind_an_original_stays_behind_it_whatever_lies_in_front(tmp_path: Path) -> None:
    halves = [Box("cat", (0, 0, 80, 120), RED), Box("dog", (80, 0, 160, 120), GREEN)]  # they hide every background
    config = replace(
        PAPER, turns=(), paste=replace(STRONG.paste, max_pastes=5, flock=1.0, behind=1.0, flock_side=(0.3, 0.6))
    )
    picture, bank, seen = make_picture(halves, SIZE), make_bank(tmp_path, {3: BLUE}), 0
    for seed in range(12):
        plain = render(seed, config, picture=picture, canvas=SIZE, num_frames=1).targets[0].masks.numpy()
        targets = render(seed, config, picture=picture, bank=bank, canvas=SIZE, num_frames=1).targets[0]
        for mask in targets.masks[targets.instance_ids > 2].numpy():
            shares = [(mask & half).sum() / mask.sum() for half in plain]
            assert min(shares) < 0.1
            seen += 1

    assert seen > 10
