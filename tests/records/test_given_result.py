"""Masks of an earlier result as given masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.records.given_names import assign_categories
from vis_cli.records.given_result import read_frames, read_result_masks, require_result_size
from vis_cli.records.result_json import write_result
from vis_cli.records.types import Category, InstanceSequence

from .result_factory import CATEGORIES, make_instance, make_result

SIZE = (4, 6)


def square(row: int, column: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[row : row + 2, column : column + 2] = True
    return mask


def write(path: Path, *instances: InstanceSequence) -> Path:
    write_result(make_result(instances, size=SIZE, num_frames=3), path)
    return path


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write(
        tmp_path / "clip.json",
        make_instance(3, [None, square(0, 0), square(0, 1)], score=0.9),
        make_instance(8, [square(2, 2), square(0, 0), None], score=0.6),
        make_instance(9, [square(0, 0)] * 3, score=0.1, confident=False),
    )


def ids(labels: np.ndarray) -> list[int]:
    return sorted(set(labels.ravel().tolist()))


def test_a_long_video_has_ids_above_the_labels_of_a_png(tmp_path: Path) -> None:
    result = write(
        tmp_path / "long.json", make_instance(300, [square(0, 0)] * 3), make_instance(65535, [square(2, 2)] * 3)
    )
    (labels,) = read_result_masks(result).masks.values()
    assert sorted(np.unique(labels)) == [0, 300, 65535]


def test_the_first_mask_of_each_confident_instance(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_result_masks(stored, messages=Reporter())
    assert {frame: ids(labels) for frame, labels in found.masks.items()} == {0: [0, 8], 1: [0, 3]}
    np.testing.assert_array_equal(found.masks[1] == 3, square(0, 0))
    assert {id_: category.name for id_, category in found.categories.items()} == {3: "cat", 8: "cat"}
    assert "1 instance not used, because their score is low" in " ".join(capsys.readouterr().err.split())


def test_the_masks_of_some_frames(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_result_masks(stored, at=(1, 2), messages=Reporter())
    assert {frame: ids(labels) for frame, labels in found.masks.items()} == {1: [0, 3], 2: [0, 3]}  # 3 is better
    assert list(found.categories) == [3]
    hidden = "objects that others with higher scores cover in these frames, not used: 8"
    assert hidden in " ".join(capsys.readouterr().err.split())
    found = read_result_masks(stored, at=(2,), messages=Reporter())
    assert list(found.masks) == [2]
    assert "objects without a mask in these frames, not used: 8" in " ".join(capsys.readouterr().err.split())


def test_results_that_cannot_be_used(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"--masks-at: .*clip.json has no frame 3. Use frames from 0 to 2."):
        read_result_masks(stored, at=(3,))
    absent = write(tmp_path / "absent.json", make_instance(1, [square(0, 0), None, None]))
    with pytest.raises(VisError, match="no instance has a mask in these frames"):
        read_result_masks(absent, at=(1,))
    with pytest.raises(VisError, match=r"the result has no confident instance. Use another result, or omit --masks."):
        read_result_masks(write(tmp_path / "none.json"))
    high = write(tmp_path / "high.json", make_instance(65536, [square(0, 0)] * 3))
    with pytest.raises(VisError, match=r"the id 65536 of .* not from 1 to 65535. Use --masks-at with frames that"):
        read_result_masks(high)
    found = read_result_masks(stored)
    require_result_size(found.video, stored, width=6, height=4)
    with pytest.raises(VisError, match=r"the result is for a video of 6x4, but the video is 4x6"):
        require_result_size(found.video, stored, width=4, height=6)


def test_lists_of_frames() -> None:
    assert read_frames("300, 0,300") == (0, 300)
    for text in ("", "1,", "a", "-1", "1.5", "nan"):
        with pytest.raises(VisError, match=r"--masks-at: '.*' is not a frame number. Use frame numbers counted from 0"):
            read_frames(text)


def test_categories_are_joined_by_name() -> None:
    detected = make_instance(4, [square(0, 0)], score=0.8)
    given = [make_instance(id_, [square(0, 0)], category_id=None, category_scores={}) for id_ in (1, 2, 3)]
    result = make_result([*given, detected], size=SIZE, num_frames=1)
    named = assign_categories(result, {1: Category(1, "cat"), 2: Category(3, "dog"), 3: Category(50, "ox")})
    assert named.categories == (*CATEGORIES, Category(1, "dog"), Category(50, "ox"))
    assert [(item.id, item.category_id) for item in named.instances] == [(1, 7), (2, 1), (3, 50), (4, 7)]
    assert named.instances[3] == detected
