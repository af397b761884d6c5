"""Every spelling of a mask in a COCO file is read or rejected."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.records.result_factory import make_mask
from vis_cli.errors import VisError
from vis_cli.records.rle import decode_rle, encode_mask, rle_area
from vis_cli.records.segmentation_json import parse_segmentation, parse_segmentations

MASK = make_mask(["......", "..##..", "...#..", "......"])


def random_masks(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((9, 13)) < rng.choice([0.02, 0.3, 0.98]) for _ in range(count)]


def test_all_spellings_of_a_mask_are_read() -> None:
    rle = encode_mask(MASK)
    assert parse_segmentation(None, 4, 6, "x") is None
    assert parse_segmentation([], 4, 6, "x") is None
    assert parse_segmentation(dict(rle), 4, 6, "x") == rle
    assert parse_segmentation({"size": [4, 6], "counts": [9, 1, 3, 2, 9]}, 4, 6, "x") == rle
    square = parse_segmentation([[1, 1, 3, 1, 3, 3, 1, 3]], 4, 6, "x")
    assert square is not None
    np.testing.assert_array_equal(decode_rle(square), make_mask(["......", ".##...", ".##...", "......"]))


def test_polygons_of_one_object_are_united() -> None:
    both = parse_segmentation([[0, 0, 1, 0, 1, 1, 0, 1], [4, 2, 6, 2, 6, 4, 4, 4]], 4, 6, "x")
    assert both is not None
    assert rle_area(both) == 1 + 4


@pytest.mark.parametrize("counts", [[9, 1, 0, 0, 3, 2, 9, 0], "empty runs as text"])
def test_runs_of_no_length_are_mended(counts: object) -> None:
    if isinstance(counts, str):
        runs = {"size": [4, 6], "counts": [9, 1, 0, 0, 3, 2, 9, 0]}
        counts = coco_mask.frPyObjects(runs, 4, 6)["counts"].decode()
    assert parse_segmentation({"size": [4, 6], "counts": counts}, 4, 6, "x") == encode_mask(MASK)


def test_long_and_falling_runs_are_understood() -> None:
    mask = np.zeros((300, 400), bool)
    mask[5:290, 3:390:7] = True  # runs above 5 bits, differences of either sign
    mask[:, 200:] = True
    assert parse_segmentation(dict(encode_mask(mask)), 300, 400, "x") == encode_mask(mask)


def test_counts_of_a_full_background_as_text() -> None:
    """The texts below differ from this one, 24 in two characters, by one fault each."""
    assert parse_segmentation({"size": [4, 6], "counts": "h0"}, 4, 6, "x") == encode_mask(np.zeros((4, 6), bool))


@pytest.mark.parametrize(
    "counts",
    [
        *("", "garbage!", "é", "0", "09", "P"),
        "h",  # more characters are promised
        "h0P",  # likewise, after the whole mask
        "(0",  # characters below and above the 64 legal ones, with the same low bits
        "hp",
        "hPPPPPPP0",  # a number of too many characters
        "0n0J",  # runs 0, 30, -6
        *([9, 1], [], [0, 30, -6], [1.5, 22.5], [10**30], [-(10**30)], ["24"], 24, None),
    ],
)
def test_damaged_counts_are_refused(counts: object) -> None:
    with pytest.raises(VisError, match=r"a\.json: instances\[2\]: the RLE counts of the mask do not fill 6x4 pixels"):
        parse_segmentation({"size": [4, 6], "counts": counts}, 4, 6, "a.json: instances[2]")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"size": [6, 4], "counts": "04"}, r"size of the mask is \[6, 4\], the size of the video is \[4, 6\]"),
        ({"counts": "04"}, "Use null, polygons"),
        ("04", "Use null, polygons"),
        ([[1, 1, 2, 2]], "at least 3 corners"),
        ([[1, 1, 2, 2, 3, 3, 4]], "at least 3 corners"),
        ([1, 1, 2, 2, 3, 3], "at least 3 corners"),
        ([[1, 1, 2, 2, 3, "3"]], "a polygon is .*Use finite numbers"),
        ([[1, 1, 2, 2, 3, float("inf")]], "a polygon is .*Use finite numbers"),
    ],
)
def test_what_is_no_mask_is_refused(data: object, message: str) -> None:
    with pytest.raises(VisError, match=f"^here: .*{message}"):
        parse_segmentation(data, 4, 6, "here")


def test_many_masks_at_once_equal_one_by_one() -> None:
    masks = [*random_masks(12, seed=5), np.zeros((9, 13), bool), np.ones((9, 13), bool)]
    tall = np.zeros((9, 13), bool)
    tall[:, 3:9] = True  # runs of more than one character
    data: list[object] = [None, *map(encode_mask, masks), None, encode_mask(tall)]
    expected = tuple(parse_segmentation(item, 9, 13, "x") for item in data)
    assert parse_segmentations(data, 9, 13, "x") == expected == tuple(data)
    assert parse_segmentations([None, None], 9, 13, "x") == (None, None)
    assert parse_segmentations([], 9, 13, "x") == ()


def test_many_masks_may_mix_all_spellings() -> None:
    rle = encode_mask(MASK)
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    data = [rle, [], {"size": [4, 6], "counts": [9, 1, 3, 2, 9]}, square, {"size": [4, 6], "counts": [24, 0]}]
    found = parse_segmentations(data, 4, 6, "x")
    assert found == tuple(parse_segmentation(item, 4, 6, "x") for item in data)


CUT = encode_mask(MASK)["counts"][:-1]


@pytest.mark.parametrize("counts", ["", "0", "h", "\x7f", "é", CUT, encode_mask(MASK)["counts"] + "0", 7, None])
def test_one_broken_mask_among_many_is_named(counts: object) -> None:
    data = [encode_mask(MASK), {"size": [4, 6], "counts": counts}, encode_mask(~MASK)]
    with pytest.raises(VisError, match=r"^x\.segmentations\[1\]: the RLE counts of the mask do not fill"):
        parse_segmentations(data, 4, 6, "x")
    with pytest.raises(VisError, match=r"^x\.segmentations\[0\]: the size of the mask is \[6, 4\]"):
        parse_segmentations([encode_mask(MASK.T), *data], 4, 6, "x")


@pytest.mark.parametrize(
    "counts",
    [[2**32 + 24], [2**32, 24 - 2**32], [-1, 25], [24, -1, 1], [10**400], [25], [23], [1.5, 22.5], [None, 24], []],
    ids=str,
)
def test_lists_of_counts_that_do_not_fill_the_image(counts: list[object]) -> None:
    with pytest.raises(VisError, match="do not fill 6x4 pixels"):
        parse_segmentation({"size": [4, 6], "counts": counts}, 4, 6, "x")


def test_texts_of_counts_of_33_bits_and_more() -> None:
    for number in (2**32, 2**33 + 24, 2**34, 2**63):
        text = ""
        while number:  # COCO's five bits a character
            number, low = number >> 5, number & 0x1F
            text += chr(48 + (low | (0x20 if number or low & 0x10 else 0)))
        with pytest.raises(VisError, match="do not fill 6x4 pixels"):
            parse_segmentation({"size": [4, 6], "counts": text + "0"}, 4, 6, "x")
