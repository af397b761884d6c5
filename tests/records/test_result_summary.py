"""Counts of NAME.json without its masks: the same as of the complete result, or None."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.result_summary import read_summary, summarize_result
from vis_cli.records.types import Category, InstanceSequence

MASK = make_mask(["..##", "...#"])
NAMES = (Category(3, ',"segmentations":['), Category(7, ']}]}\n{"id":'), Category(8, ',"instances":[,"categories":['))


def write(path: Path, *instances: InstanceSequence) -> bytes:
    write_result(make_result(instances, num_frames=3, size=(2, 4), categories=NAMES), path)
    return path.read_bytes()


INSTANCES = (
    make_instance(1, [MASK] * 3, score=0.75, category_scores={3: 0.5, 7: 0.75}),
    make_instance(2, [None, MASK, None], score=1.0, confident=False),
    make_instance(9, [None] * 3, score=0.0, category_id=None),
)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_agrees_with_the_complete_result(tmp_path: Path, number: int) -> None:
    path = tmp_path / "clip.json"
    write(path, *INSTANCES[:number])
    found = read_summary(path)
    assert found == summarize_result(read_result(path))
    assert found is not None
    assert (found.num_frames, len(found.instances)) == (3, number)
    assert [one.score for one in found.instances] == [0.75, 1.0, 0.0][:number]
    assert [one.confident for one in found.instances] == [True, False, True][:number]
    assert [one.category for one in found.instances] == [NAMES[1].name, NAMES[1].name, None][:number]


def test_an_incomplete_file_is_read_completely(tmp_path: Path) -> None:
    path = tmp_path / "clip.json"
    data = write(path, *INSTANCES)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert read_summary(path) is None, size
    path.write_bytes(data + b"\0" * 20)
    assert read_summary(path) is None
    assert read_summary(tmp_path / "missing.json") is None


def test_other_forms_are_read_completely(tmp_path: Path) -> None:
    path = tmp_path / "clip.json"
    data = write(path, *INSTANCES)
    for other in (
        json.dumps(json.loads(data), indent=1).encode(),
        data.replace(b'"schema":4', b'"schema":3'),
        data.replace(b'"confident":', b'"sure":'),
        data.replace(b'"score":0.75', b'"score":"x"'),
        data.replace(b',"instances":[', b',"others":[', 1),
        data.replace(b'"num_frames":3', b'"num_frames":"3"'),
        data.replace(b',"categories":[', b',"classes":[', 1),
        data.replace(b'"category_id":7', b'"category_id":4', 1),
    ):
        assert other != data
        path.write_bytes(other)
        assert read_summary(path) is None, other


def test_masks_are_not_parsed(tmp_path: Path) -> None:
    """A result of hours has hundreds of MB of masks."""
    path = tmp_path / "clip.json"
    data = write(path, *INSTANCES)
    masks = data.index(b',"segmentations":[') + 18
    path.write_bytes(data[:masks] + b"no JSON" + data[masks:])
    found = read_summary(path)
    assert found is not None
    assert len(found.instances) == 3
