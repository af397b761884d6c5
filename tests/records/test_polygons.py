"""Polygons that reach far beyond the image: the pixels inside are right, and no edge is walked to its end."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.records.split_factory import split_data
from vis_cli.errors import VisError
from vis_cli.records import segmentation_json
from vis_cli.records.polygons import clip_polygon, outline_length
from vis_cli.records.rle import decode_rle
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.youtube_vis import read_youtube_vis

SIZE = HEIGHT, WIDTH = 40, 60


def fill(*polygons: list[float]) -> np.ndarray:
    found = parse_segmentation(list(polygons), HEIGHT, WIDTH, "x")
    assert found is not None
    return decode_rle(found)


def test_a_polygon_within_reach_fills_what_pycocotools_fills() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        polygon = rng.uniform(-WIDTH, 2 * WIDTH, 8).tolist()
        expected = coco_mask.decode(coco_mask.frPyObjects([polygon], HEIGHT, WIDTH))[..., 0]
        np.testing.assert_array_equal(fill(polygon), expected)


def test_a_polygon_beyond_reach_fills_the_same_but_for_its_edge() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        polygon = rng.uniform(-30 * WIDTH, 30 * WIDTH, 8).tolist()
        expected = coco_mask.decode(coco_mask.frPyObjects([polygon], HEIGHT, WIDTH))[..., 0]
        assert np.count_nonzero(fill(polygon) != expected) <= HEIGHT + WIDTH  # a pixel along each edge


def test_a_polygon_around_the_image_fills_it() -> None:
    for far in (1e3, 1e8, 1e300, 1e308):
        assert fill([-far, -far, far, -far, far, far, -far, far]).all()


def test_a_polygon_far_away_fills_nothing() -> None:
    assert not fill([1e8, 1e8, 2e8, 1e8, 2e8, 2e8]).any()
    both = fill([1e8, 1e8, 2e8, 1e8, 2e8, 2e8], [1, 1, 5, 1, 5, 5, 1, 5])
    np.testing.assert_array_equal(both, fill([1, 1, 5, 1, 5, 5, 1, 5]))


def test_one_far_corner() -> None:
    spike = fill([10, 10, -1e308, 10, 10, 20])  # a triangle to the left: rows 10 to 20 at its right side
    assert spike[11:19, :9].all()
    assert not spike[:9].any()
    assert not spike[22:].any()
    assert not spike[:, 11:].any()


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 10**400, True, None, "1", [1]])
def test_a_corner_that_is_not_a_number(number: object) -> None:
    with pytest.raises(VisError, match=r"a polygon is .*Use finite numbers"):
        parse_segmentation([[0, 0, number, 0, 3, 3, 0, 3]], HEIGHT, WIDTH, "x")


def test_the_polygons_of_a_file(tmp_path: Path) -> None:
    data = split_data()
    data["annotations"][0]["segmentations"][2] = [[0, 0, 1e8, 0, 3, 3, 0, 3]]
    (tmp_path / "a.json").write_text(json.dumps(data))
    annotations = read_youtube_vis(tmp_path / "a.json").annotations
    assert annotations is not None
    found = annotations[0].segmentations[2]
    assert found is not None
    assert decode_rle(found)[1].all()


def test_outlines_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation_json, "MAX_OUTLINE", 100_000)
    zigzag = [x for _ in range(2000) for x in (0.0, 0.0, 50.0, 30.0)]
    assert outline_length(zigzag) == 4000 * 50
    with pytest.raises(VisError, match=r"200,000 pixels long, the limit is 100,000"):
        fill(zigzag)


def test_a_polygon_within_reach_is_not_touched() -> None:
    polygon = [-3, -3, 50.5, 2, 7, 90]
    assert clip_polygon(polygon, HEIGHT, WIDTH) == polygon
