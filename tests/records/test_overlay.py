"""Overlays: fills, outlines and tags at every size of frame, in the colours of the instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.records.result_factory import make_instance, make_result
from vis_cli.records import overlay
from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.overlay import FILL_OPACITY, WEAK_FILL_OPACITY, Frame, OverlayPainter
from vis_cli.records.palette import PALETTE, Color
from vis_cli.records.tag_layout import Placement
from vis_cli.records.types import Category, InstanceSequence

Rectangle = tuple[int, int, int, int]  # y, x, height, width


def grey(height: int, width: int, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def box_mask(height: int, width: int, y: int, x: int, h: int, w: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def painter(
    size: tuple[int, int], instances: Sequence[InstanceSequence], *, shown: Sequence[InstanceSequence] | None = None,
    given_masks: str | None = None, categories: tuple[Category, ...] | None = None,
) -> OverlayPainter:  # fmt: skip
    num_frames = max((len(instance.segmentations) for instance in instances), default=1)
    result = make_result(instances, size=size, num_frames=num_frames, given_masks=given_masks)
    if categories is not None:
        result = make_result(instances, size=size, num_frames=num_frames, categories=categories)
    return OverlayPainter(result, instances if shown is None else shown)


def draw(frame: np.ndarray, *instances: InstanceSequence, given_masks: str | None = None) -> Frame:
    return painter(frame.shape[:2], instances, given_masks=given_masks).draw(frame, 0)


def filled(value: int, color: Color, opacity: float = FILL_OPACITY) -> np.ndarray:
    return np.round((1 - opacity) * value + opacity * np.array(color)).astype(int)


def is_color(picture: np.ndarray, color: np.ndarray | Color) -> np.ndarray:
    return (picture == np.array(color)).all(axis=-1)


class TestMasks:
    def test_mask_is_filled_and_outlined_and_the_rest_untouched(self) -> None:
        frame, mask = grey(36, 40), box_mask(36, 40, 10, 8, 12, 9)
        picture = draw(frame, make_instance(1, [mask]))
        assert (frame == 90).all()
        inner = box_mask(36, 40, 11, 9, 10, 7)
        assert is_color(picture[mask & ~inner], PALETTE[0]).all()
        assert is_color(picture[inner], filled(90, PALETTE[0])).all()
        np.testing.assert_array_equal(picture[~mask], frame[~mask])  # too small a frame for the tag

    @pytest.mark.parametrize(
        ("height", "expected"), [(36, 1), (240, 1), (360, 2), (480, 2), (720, 3), (1080, 4), (2160, 9)]
    )
    def test_outline_grows_with_the_frame(self, height: int, expected: int) -> None:
        size = (height, 16 * height // 9)
        mask = box_mask(*size, height // 4, height // 4, height // 2, height // 2)
        picture = draw(grey(*size), make_instance(1, [mask]))
        row = is_color(picture[height // 2, height // 4 : height // 4 + height // 3], PALETTE[0])
        assert row.tolist() == [True] * expected + [False] * (len(row) - expected)

    def test_a_mask_at_the_border_is_outlined_there_too(self) -> None:
        picture = draw(grey(20, 20), make_instance(1, [np.ones((20, 20), bool)]))
        assert tuple(picture[10, 0]) == tuple(picture[0, 10]) == tuple(picture[19, 10]) == PALETTE[0]
        assert tuple(picture[10, 10]) != PALETTE[0]

    def test_absent_and_empty_masks_draw_nothing(self) -> None:
        absent, empty = make_instance(1, [None]), make_instance(2, [np.zeros((300, 400), bool)])
        np.testing.assert_array_equal(draw(grey(300, 400), absent, empty), grey(300, 400))
        np.testing.assert_array_equal(draw(grey(300, 400)), grey(300, 400))

    def test_the_frame_of_the_index_is_drawn(self) -> None:
        instance = make_instance(1, [None, box_mask(20, 20, 5, 5, 9, 9)])
        drawer = painter((20, 20), [instance])
        assert (drawer.draw(grey(20, 20), 0) == 90).all()
        assert not (drawer.draw(grey(20, 20), 1) == 90).all()

    def test_a_frame_that_cannot_be_written_to_is_drawn(self) -> None:
        frame = grey(300, 400)
        frame.flags.writeable = False
        assert (draw(frame, make_instance(1, [np.ones((300, 400), bool)])) != 90).any()

    @pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 300), (300, 2)])
    def test_tiny_frames_are_drawn(self, shape: tuple[int, int]) -> None:
        picture = draw(grey(*shape), make_instance(1, [np.ones(shape, bool)]))
        assert picture.shape == (*shape, 3)
        assert is_color(picture, PALETTE[0]).all()

    def test_a_frame_of_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match="differ in size"):
            painter((30, 20), [make_instance(1, [np.ones((30, 20), bool)])]).draw(grey(20, 30), 0)


class TestOverlap:
    LOW, HIGH = box_mask(60, 80, 10, 10, 40, 30), box_mask(60, 80, 20, 25, 20, 50)  # they overlap in 15 columns

    def draw(
        self, *, frame: np.ndarray | None = None, low: float = 0.4, high: float = 0.8
    ) -> tuple[Frame, dict[int, Color]]:
        instances = [make_instance(1, [self.LOW], score=low), make_instance(2, [self.HIGH], score=high)]
        colors = assign_colors(instances, 60)
        return draw(grey(60, 80) if frame is None else frame, *instances), colors

    def test_each_fill_has_the_color_of_one_instance(self) -> None:
        """No pixel mixes two colours: the whole picture consists of the frame, two fills and two outlines."""
        picture, colors = self.draw()
        allowed = [(90, 90, 90), *colors.values(), *(tuple(filled(90, color)) for color in colors.values())]
        assert np.any([is_color(picture, color) for color in allowed], axis=0).all()

    def test_the_upper_instance_has_the_higher_score(self) -> None:
        picture, colors = self.draw()
        assert tuple(picture[30, 30]) == tuple(filled(90, colors[2]))
        picture, colors = self.draw(low=0.8, high=0.4)
        assert tuple(picture[30, 30]) == tuple(filled(90, colors[1]))

    def test_equal_scores_keep_their_order(self) -> None:
        picture, colors = self.draw(low=0.5, high=0.5)
        assert tuple(picture[30, 30]) == tuple(filled(90, colors[1]))

    def test_the_hidden_part_of_the_lower_instance_is_its_outline(self) -> None:
        picture, colors = self.draw()
        hidden = self.LOW & self.HIGH
        outline = is_color(picture, colors[1]) & hidden
        np.testing.assert_array_equal(np.flatnonzero(outline[30]), [39])  # its right side
        assert not is_color(picture[hidden], filled(90, colors[1])).any()

    def test_the_outline_of_the_upper_instance_is_complete(self) -> None:
        picture, colors = self.draw()
        inner = box_mask(60, 80, 21, 26, 18, 48)
        assert is_color(picture[self.HIGH & ~inner], colors[2]).all()

    def test_fills_keep_the_texture_of_the_frame(self) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture, colors = self.draw(frame=frame)
        inner = box_mask(60, 80, 21, 41, 18, 30)
        expected = (1 - FILL_OPACITY) * frame[inner] + FILL_OPACITY * np.array(colors[2])
        np.testing.assert_allclose(picture[inner], expected, atol=0.51)

    def test_weak_instances_are_below_confident_ones(self) -> None:
        weak = make_instance(1, [self.LOW], score=0.9, confident=False)
        picture = draw(grey(60, 80), weak, make_instance(2, [self.HIGH], score=0.3))
        color = assign_colors([weak, make_instance(2, [self.HIGH], score=0.3)], 60)[2]
        assert tuple(picture[30, 30]) == tuple(filled(90, color))


class TestWeak:
    MASK = box_mask(360, 640, 100, 100, 200, 400)

    def test_fill_is_fainter_and_the_outline_dashed(self) -> None:
        weak, strong = (draw(grey(360, 640), make_instance(1, [self.MASK], confident=c)) for c in (False, True))
        assert tuple(weak[200, 150]) == tuple(filled(90, PALETTE[0], WEAK_FILL_OPACITY))
        assert tuple(strong[200, 150]) == tuple(filled(90, PALETTE[0]))
        left = [is_color(picture[110:290, 100], PALETTE[0]).mean() for picture in (weak, strong)]
        assert left == [pytest.approx(0.5, abs=0.1), 1]

    def test_the_tag_is_translucent_and_not_in_the_color_of_the_instance(self) -> None:
        weak = [draw(grey(360, 640, v), make_instance(1, [self.MASK], confident=False)) for v in (90, 200)]
        assert is_color(weak[0][:99], PALETTE[0]).sum() == 0
        tag = (weak[0] != 90).any(axis=-1)[:99] & (weak[1] != 200).any(axis=-1)[:99]
        assert tag.sum() > 500
        assert (weak[0][:99][tag].astype(int) < weak[1][:99][tag]).mean() > 0.9  # the frame is visible through it


class TestColors:
    def test_a_selection_keeps_the_colors(self) -> None:
        masks = [box_mask(60, 80, 5, 5 + 10 * i, 20, 12) for i in range(6)]
        instances = [make_instance(i, [mask], score=1 - i / 10) for i, mask in enumerate(masks, start=1)]
        picture = painter((60, 80), instances, shown=instances[4:5]).draw(grey(60, 80), 0)
        assert tuple(picture[5, 45]) == assign_colors(instances, 60)[5]
        assert (picture[:, :40] == 90).all()

    def test_the_color_is_the_same_in_all_frames(self) -> None:
        masks = [box_mask(60, 80, 5, 5 + 20 * i, 20, 12) for i in range(3)]
        instances = [make_instance(1, masks), make_instance(2, [masks[0], None, masks[0]], score=0.5)]
        drawer = painter((60, 80), instances)
        corners = [tuple(drawer.draw(grey(60, 80), i)[5, 5 + 20 * i]) for i in range(3)]
        assert len(set(corners)) == 1


def tag_box(picture: np.ndarray, frame: np.ndarray, mask: np.ndarray) -> Rectangle:
    """Return y, x, height, width of what was drawn outside the mask."""
    ys, xs = np.nonzero((picture != frame).any(axis=-1) & ~mask)
    return int(ys.min()), int(xs.min()), int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1


class TestTags:
    MASK = box_mask(360, 640, 200, 100, 50, 400)

    def box(self, instance: InstanceSequence, **options: str) -> Rectangle:
        frame = grey(360, 640)
        return tag_box(draw(frame, instance, **options), frame, self.MASK)

    def test_tag_is_a_filled_box_with_ink_above_the_mask(self) -> None:
        frame = grey(360, 640)
        picture = draw(frame, make_instance(1, [self.MASK]))
        y, x, height, width = tag_box(picture, frame, self.MASK)
        assert 1 <= 200 - (y + height) <= 4
        assert x + width / 2 == pytest.approx(300, abs=4)
        assert 12 <= height <= 30
        assert 60 <= width <= 200
        tag = picture[y : y + height, x : x + width].reshape(-1, 3)
        assert is_color(tag, PALETTE[0]).mean() > 0.6
        assert (tag < 40).all(axis=1).sum() > 30  # black ink on a light colour

    def test_tag_consists_of_category_id_and_score(self) -> None:
        """Another category, id or score changes the tag; the same ones do not."""
        tags = [
            draw(grey(360, 640), make_instance(i, [self.MASK], category_id=c, score=s))[:200]
            for i, c, s in [(1, 7, 0.92), (1, 7, 0.924), (1, 3, 0.92), (1, 7, 0.93), (2, 7, 0.92)]
        ]
        np.testing.assert_array_equal(tags[0], tags[1])
        for other in tags[2:]:
            assert (tags[0] != other).any()

    def test_tag_of_an_instance_without_a_category_is_its_id(self) -> None:
        """The tag is as wide as one digit, and does not change with the score."""
        pictures = [draw(grey(360, 640), make_instance(2, [self.MASK], category_id=None, score=s)) for s in (1.0, 0.5)]
        np.testing.assert_array_equal(pictures[0], pictures[1])
        *_, height, width = tag_box(pictures[0], grey(360, 640), self.MASK)
        assert width < 2 * height
        assert self.box(make_instance(258, [self.MASK], category_id=None))[3] > width

    def test_tags_of_given_objects_have_no_score(self) -> None:
        with_score = self.box(make_instance(1, [self.MASK]))
        without = [self.box(make_instance(1, [self.MASK], score=score), given_masks="ab") for score in (0.9, 0.1)]
        assert without[0] == without[1]
        assert without[0][3] < 0.7 * with_score[3]

    def test_names_outside_of_ascii(self) -> None:
        """A name that the font contains is drawn. Of another name, only the id is."""
        widths = []
        for name in ("Hundchen", "Hündchen", "狗"):
            drawer = painter((360, 640), [make_instance(1, [self.MASK])], categories=(Category(7, name),))
            widths.append(tag_box(drawer.draw(grey(360, 640), 0), grey(360, 640), self.MASK)[3])
        assert widths[0] == widths[1]
        assert widths[2] == self.box(make_instance(1, [self.MASK], category_id=None))[3]

    @pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 630), (350, 630), (350, 0)])
    def test_tag_stays_inside_the_frame(self, y: int, x: int) -> None:
        frame, mask = grey(360, 640), box_mask(360, 640, y, x, 10, 10)
        size = self.box(make_instance(1, [self.MASK]))[2:]
        _, _, height, width = tag_box(draw(frame, make_instance(1, [mask])), frame, mask)
        assert (height, width) == size

    def test_the_tag_is_at_the_largest_part_of_the_mask(self) -> None:
        mask = box_mask(360, 640, 300, 500, 40, 100) | box_mask(360, 640, 30, 20, 10, 10)
        frame = grey(360, 640)
        y, x, _, _ = tag_box(draw(frame, make_instance(1, [mask])), frame, mask)
        assert y > 250
        assert x > 450

    def test_the_tag_stays_at_a_part_while_another_is_not_much_larger(self) -> None:
        """Two parts are the larger one in turn."""
        left, right = box_mask(360, 640, 200, 20, 60, 140), box_mask(360, 640, 200, 440, 60, 140)
        grown = [box_mask(360, 640, 200, x, 60, 168) for x in (20, 440)]
        instance = make_instance(1, [left | grown[1], grown[0] | right, left | grown[1]])
        drawer = painter((360, 640), [instance])
        placed = record_placements(drawer)
        for index in range(3):
            drawer.draw(grey(360, 640), index)
        assert all(placements[0].box[0] > 400 for placements in placed)

    def test_tags_lie_over_all_masks(self) -> None:
        """The tag of a small object that a larger one surrounds."""
        low, high = box_mask(360, 640, 150, 300, 40, 40), np.ones((360, 640), bool)
        instances = [make_instance(1, [low], score=0.1), make_instance(2, [high], score=0.9)]
        picture = draw(grey(360, 640), *instances)
        color = assign_colors(instances, 360)[1]
        assert is_color(picture, color).sum() > 160 + 500  # more than the outline

    def test_a_tag_that_moved_away_has_a_leader_line(self) -> None:
        """A large object surrounds a small one, so the tag of the small one moves outside of both."""
        small, large = box_mask(360, 640, 175, 315, 10, 10), box_mask(360, 640, 120, 260, 120, 120)
        instances = [make_instance(1, [small], category_id=None), make_instance(2, [large], score=0.5)]
        drawer = painter((360, 640), instances)
        placed = record_placements(drawer)
        picture = drawer.draw(grey(360, 640), 0).astype(int)
        leader, (x0, y0, x1, y1) = placed[0][0].leader, placed[0][0].box
        assert leader is not None
        assert not large[y0:y1, x0:x1].any()
        (start_x, start_y), (end_x, end_y) = leader
        assert small[end_y, end_x]
        color = np.array(assign_colors(instances, 360)[1])
        for share in (0.2, 0.5, 0.8, 1):  # along the line
            x, y = round(start_x + share * (end_x - start_x)), round(start_y + share * (end_y - start_y))
            around = picture[y - 1 : y + 2, x - 1 : x + 2]
            assert np.abs(around - color).sum(axis=-1).min() < 60

    @pytest.mark.parametrize(("scale", "growth"), [(3, 2.1), (6, 3.3)])
    def test_tags_grow_with_the_frame(self, scale: int, growth: float) -> None:
        """Less than the frame: (1080 / 360) ** (2 / 3) is 2.1."""
        heights = []
        for factor in (1, scale):
            shape = (360 * factor, 640 * factor)
            mask = box_mask(*shape, shape[0] // 2, 10, shape[0] // 4, shape[1] // 2)
            heights.append(tag_box(draw(grey(*shape), make_instance(1, [mask])), grey(*shape), mask)[2])
        assert heights[1] == pytest.approx(growth * heights[0], rel=0.1)

    def test_crowds_have_short_tags(self) -> None:
        """Ten instances need more than 8 % of the frame for full tags, and 40 for tags with categories."""
        levels = []
        for count in (1, 10, 40):
            masks = [box_mask(240, 320, 20 + 50 * (i // 10), 4 + 31 * (i % 10), 20, 10) for i in range(count)]
            drawer = painter((240, 320), [make_instance(i, [mask]) for i, mask in enumerate(masks, start=1)])
            placed = record_placements(drawer)
            drawer.draw(grey(240, 320), 0)
            levels.append([placement.level for placement in placed[0]])
        assert set(levels[0]) == {0}
        assert min(levels[1]) == 1
        assert set(levels[2]) == {2}

    def test_small_frames_have_no_tags(self) -> None:
        frame, mask = grey(95, 400), box_mask(95, 400, 40, 100, 30, 100)
        np.testing.assert_array_equal(draw(frame, make_instance(1, [mask]))[~mask], frame[~mask])


def record_placements(drawer: OverlayPainter) -> list[list[Placement]]:
    """Return a list to which each frame adds the places of its tags."""
    placed, place = [], drawer._layout.place

    def recording(*arguments):
        placements = place(*arguments)
        placed.append([placement for placement in placements if placement is not None])
        return placements

    drawer._layout.place = recording
    return placed


def test_tags_are_steady_and_apart_in_a_moving_crowd() -> None:
    """Of 12 walkers over 60 frames, no tags overlap, and fewer than 5 % of the tags jump from frame to frame."""
    rng, size, num_frames = np.random.default_rng(1), (360, 640), 60
    starts, speeds = rng.uniform((60, 20), (250, 580), (12, 2)), rng.uniform(-2, 2, (12, 2))
    walks = [[start + t * speed for t in range(num_frames)] for start, speed in zip(starts, speeds, strict=True)]
    instances = [
        make_instance(i, [box_mask(*size, max(0, int(y)), max(0, int(x)), 60, 24) for y, x in walk], score=1 - i / 20)
        for i, walk in enumerate(walks, start=1)
    ]
    drawer = painter(size, instances)
    placed = record_placements(drawer)
    for index in range(num_frames):
        drawer.draw(grey(*size), index)
    jumps = 0
    for index, frame in enumerate(placed):
        assert len(frame) == 12
        boxes = np.array([placement.box for placement in frame])
        apart = (boxes[:, None, :2] >= boxes[None, :, 2:]).any(axis=-1)
        assert (apart | apart.T | np.eye(12, dtype=bool)).all()
        if index:
            before = np.array([placement.box for placement in placed[index - 1]])
            jumps += (np.abs(boxes - before)[:, :2].max(axis=1) > 18).sum()
    assert jumps < 0.05 * 12 * num_frames


def test_each_mask_is_decoded_once_per_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    decode = overlay.decode_in_box
    monkeypatch.setattr(overlay, "decode_in_box", lambda rle: calls.append(rle) or decode(rle))
    mask = box_mask(360, 640, 100, 100, 50, 60)
    drawer = painter((360, 640), [make_instance(i, [mask, mask]) for i in (1, 2, 3)])
    for index in (0, 1):
        drawer.draw(grey(360, 640), index)
    assert len(calls) == 6
