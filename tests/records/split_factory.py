"""A small YouTube-VIS split; used by the tests of its reader, of the exports and of the checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.records.result_factory import make_mask

MASK = make_mask(["......", "..##..", "...#..", "......"])
SQUARE = make_mask(["......", ".##...", ".##...", "......"])


def split_data() -> dict[str, Any]:
    """Return a split of two videos of 6x4 pixels and one object."""
    return {
        "info": {"description": "made for tests"},
        "videos": [
            {"id": 7, "width": 6, "height": 4, "length": 3, "file_names": [f"clip/{i:05d}.jpg" for i in (0, 5, 10)]},
            {"id": 9, "width": 6, "height": 4, "length": 1, "file_names": ["val/other/00000.jpg"]},
        ],
        "categories": [
            {"id": 26, "name": "Giant Panda", "supercategory": "object"},
            {"id": 4, "name": "person", "supercategory": "object"},
        ],
        "annotations": [
            {
                "id": 1,
                "video_id": 7,
                "category_id": 4,
                "iscrowd": 1,
                "width": 6,
                "height": 4,
                "length": 3,
                "segmentations": [
                    {"size": [4, 6], "counts": [9, 1, 3, 2, 9]},
                    None,
                    [[1, 1, 3, 1, 3, 3, 1, 3]],
                ],
                "areas": [3, None, 4.5],
                "bboxes": [[2, 1, 2, 2], None, [1, 1, 2, 2]],
            }
        ],
    }


def write_split(tmp_path: Path, change: Callable[[dict[str, Any]], object] = lambda data: None) -> Path:
    data = split_data()
    change(data)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path
