"""A DAVIS submission: one PNG for every frame of every sequence, nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.records.davis_factory import write_davis
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.errors import VisError
from vis_cli.records.bundle import read_bundle
from vis_cli.records.davis import decode_label_png, read_label_png
from vis_cli.records.davis_submission import write_davis_submission
from vis_cli.records.result_matching import read_split
from vis_cli.records.selection import Selection

LEFT = make_mask(["####..", "####..", "......", "......"])
RIGHT = make_mask(["..####", "......", "......", "......"])
ALL = Selection()


def test_one_png_a_frame(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [LEFT, None]), make_instance(2, [RIGHT, RIGHT], score=0.1)], num_frames=2)
    report = write_davis_submission([result], None, tmp_path, selection=ALL)
    assert (report.num_videos, report.num_entries, report.num_left_out) == (1, 2, 0)
    assert sorted(path.name for path in (tmp_path / "clip").iterdir()) == ["00000.png", "00001.png"]
    np.testing.assert_array_equal(read_label_png(tmp_path / "clip/00000.png"), np.where(LEFT, 1, 2 * RIGHT))
    np.testing.assert_array_equal(read_label_png(tmp_path / "clip/00001.png"), 2 * RIGHT)
    with Image.open(tmp_path / "clip/00000.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_the_best_of_a_video_alone(tmp_path: Path) -> None:
    result = make_result([make_instance(1, [LEFT]), make_instance(2, [RIGHT], score=0.1)])
    report = write_davis_submission([result], None, tmp_path, selection=Selection(top=1))
    assert (report.num_entries, report.num_left_out) == (1, 1)
    np.testing.assert_array_equal(read_label_png(tmp_path / "clip/00000.png"), 1 * LEFT)


@pytest.mark.parametrize("top", [None, 24])
def test_never_more_than_twenty(tmp_path: Path, top: int | None) -> None:
    masks = [np.arange(24).reshape(4, 6) == i for i in range(24)]
    result = make_result([make_instance(i + 1, [mask], score=(i + 1) / 24) for i, mask in enumerate(masks)])
    report = write_davis_submission([result], None, tmp_path, selection=Selection(top=top))
    labels = read_label_png(tmp_path / "clip/00000.png")
    assert labels.ravel().tolist() == [0] * 4 + list(range(20, 0, -1))
    assert (report.num_entries, report.num_left_out) == (20, 4)


def test_a_zip_for_a_split_has_black_frames_where_nothing_was_found(tmp_path: Path) -> None:
    split = read_split(write_davis(tmp_path))
    result = make_result([make_instance(1, [LEFT, RIGHT])], name="dog", num_frames=2)
    report = write_davis_submission([result], split, tmp_path / "a.zip", selection=ALL)
    assert report.videos_without_result == ("cat",)
    with read_bundle(tmp_path / "a.zip") as bundle:
        assert bundle.names == ("dog/00000.png", "dog/00005.png", "cat/00000.png")
        labels = {name: decode_label_png(bundle.read(name), name) for name in bundle.names}
    np.testing.assert_array_equal(labels["dog/00005.png"], 1 * RIGHT)
    assert labels["cat/00000.png"].tolist() == [[0] * 6] * 4


def test_no_instances_at_all(tmp_path: Path) -> None:
    write_davis_submission([make_result(num_frames=2)], None, tmp_path, selection=ALL)
    assert read_label_png(tmp_path / "clip/00001.png").tolist() == [[0] * 6] * 4


def test_a_result_of_another_length_leaves_no_zip(tmp_path: Path) -> None:
    split = read_split(write_davis(tmp_path))
    with pytest.raises(VisError, match=r"dog: the result has 3 frames of 6x4 pixels, .* lists 2 frames of 6x4 pixels"):
        write_davis_submission([make_result(name="dog", num_frames=3)], split, tmp_path / "a.zip", selection=ALL)
    assert not (tmp_path / "a.zip").exists()


def test_given_ids_stay(tmp_path: Path) -> None:
    instances = [make_instance(3, [LEFT], score=0.1), make_instance(30, [RIGHT & ~LEFT], score=0.9)]
    report = write_davis_submission([make_result(instances, given_masks="ab")], None, tmp_path, selection=ALL)
    np.testing.assert_array_equal(read_label_png(tmp_path / "clip/00000.png"), np.where(LEFT, 3, 30 * (RIGHT & ~LEFT)))
    assert report.relabelled == ()


@pytest.mark.parametrize("top", [None, 24, 22])
def test_the_limit_of_twenty_is_for_proposals(tmp_path: Path, top: int | None) -> None:
    masks = [np.arange(24).reshape(4, 6) == i for i in range(24)]
    instances = [make_instance(10 * i + 1, [mask], score=(24 - i) / 24) for i, mask in enumerate(masks)]
    result = make_result(instances, given_masks="ab")
    report = write_davis_submission([result], None, tmp_path, selection=Selection(top=top))
    expected = [10 * i + 1 for i in range(24)][: top or 24]
    assert read_label_png(tmp_path / "clip/00000.png").ravel().tolist() == expected + [0] * (24 - len(expected))
    assert (report.num_entries, report.num_left_out) == (len(expected), 24 - len(expected))


def test_given_ids_that_are_no_label_are_reported(tmp_path: Path) -> None:
    instances = [make_instance(1, [LEFT]), make_instance(255, [RIGHT & ~LEFT], score=0.1)]
    report = write_davis_submission([make_result(instances, given_masks="ab")], None, tmp_path, selection=ALL)
    np.testing.assert_array_equal(read_label_png(tmp_path / "clip/00000.png"), np.where(LEFT, 1, 2 * (RIGHT & ~LEFT)))
    assert report.relabelled == ("clip: 255 as 2",)


def test_more_objects_than_labels(tmp_path: Path) -> None:
    instances = [make_instance(i, [LEFT]) for i in range(1, 256)]
    with pytest.raises(VisError, match="255 objects, the limit is 254"):
        write_davis_submission([make_result(instances, given_masks="ab")], None, tmp_path, selection=ALL)
