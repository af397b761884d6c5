"""Datumaro's JSON. test_receivers reads it with Datumaro itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.records.result_factory import make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.datumaro import write_datumaro
from vis_cli.records.rle import decode_rle

from .factory import HARD_NAMES, SIZE, hard_names, ring, two_objects, write


def test_exact_masks_with_track_ids(tmp_path: Path) -> None:
    write(write_datumaro, tmp_path / "out", two_objects(), choice=Choice(every=2), images=True)
    assert sorted(path.name for path in (tmp_path / "out/images/default").iterdir()) == [
        "clip_000000.jpg",
        "clip_000002.jpg",
    ]
    data = json.loads((tmp_path / "out/annotations/default.json").read_text())
    assert [label["name"] for label in data["categories"]["label"]["labels"]] == ["giant_panda", "cat"]
    first, second = data["items"]
    assert (first["id"], first["attr"], first["image"]) == (
        "clip_000000",
        {"frame": 0},
        {"path": "clip_000000.jpg", "size": list(SIZE)},
    )
    np.testing.assert_array_equal(decode_rle(first["annotations"][0]["rle"]), ring())
    assert [(a["label_id"], a["attributes"]) for a in second["annotations"]] == [
        (1, {"track_id": 1, "score": 0.75}),
        (0, {"track_id": 4, "score": 0.5}),
    ]


def test_empty_masks_are_absent(tmp_path: Path) -> None:
    write(write_datumaro, tmp_path / "t.json", two_objects(), make_result(name="nothing"))
    data = json.loads((tmp_path / "t.json").read_text())
    assert [len(item["annotations"]) for item in data["items"]] == [1, 1, 2, 1, 0]


def test_names(tmp_path: Path) -> None:
    write(write_datumaro, tmp_path / "t.json", hard_names())
    data = json.loads((tmp_path / "t.json").read_text())
    assert [label["name"] for label in data["categories"]["label"]["labels"]] == list(HARD_NAMES)
