"""Masks of a span that behave like a tuple with one entry per frame."""

from __future__ import annotations

import pytest

from tests.records.result_factory import make_mask
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.segmentations import Segmentations, segmentations_of

A, B = encode_mask(make_mask([".#"])), encode_mask(make_mask(["##"]))

ALL: list[tuple[Rle | None, ...]] = [
    (),
    (None,),
    (A,),
    (None, None, A, None, B, None),
    (A, None, B),
    (None, B),
    (A, None, None),
]


@pytest.mark.parametrize("masks", ALL)
def test_behaves_like_the_tuple(masks: tuple[Rle | None, ...]) -> None:
    stored = segmentations_of(masks)
    assert (len(stored), tuple(stored)) == (len(masks), masks)
    assert stored == masks == stored == segmentations_of(masks)
    for index in range(-len(masks), len(masks)):
        assert stored[index] == masks[index]
    for index in (-len(masks) - 1, len(masks)):
        with pytest.raises(IndexError):
            stored[index]
    for part in (slice(None), slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(-2, None)):
        assert stored[part] == masks[part]
        assert isinstance(stored[part], Segmentations)
    assert any(stored) == any(masks)
    assert tuple(reversed(stored)) == masks[::-1]


def test_only_the_span_is_stored() -> None:
    stored = segmentations_of([None, None, A, None, B, None])
    assert (stored.first_frame, stored.last_frame, stored.span) == (2, 4, (A, None, B))
    empty = segmentations_of([None, None])
    assert (len(empty), empty.first_frame, empty.last_frame, empty.span) == (2, None, None, ())


def test_masks_of_a_part_of_the_video() -> None:
    assert segmentations_of([None, A], num_frames=5, first=2) == (None, None, None, A, None)
    assert segmentations_of([], num_frames=2) == (None, None)


@pytest.mark.parametrize(
    "other", [(A,), (None, A), (A, None, A), (A, None, B, None), (None, A, None, B), [A, None, B], None, "x"]
)
def test_differs(other: object) -> None:
    assert segmentations_of((A, None, B)) != other
    if isinstance(other, tuple):
        assert segmentations_of((A, None, B)) != segmentations_of(other)


@pytest.mark.parametrize(("first", "num_masks"), [(None, 1), (0, 0), (-1, 1), (2, 2), (0, 4)])
def test_a_span_outside_of_the_video(first: int | None, num_masks: int) -> None:
    with pytest.raises(ValueError, match="do not fit into 3 frames"):
        Segmentations(3, first, [A] * num_masks)
