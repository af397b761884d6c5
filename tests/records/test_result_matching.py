"""Results matched with the sequences of a split, and the frames of those that have none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.records.davis_factory import VAL, write_davis, write_picture
from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.split_factory import write_split
from vis_cli.errors import VisError
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.result_matching import ResultMatcher, own_frames, read_split
from vis_cli.records.selection import Selection

MASK = make_mask(["......"] * 4)


def test_a_split_in_either_layout(tmp_path: Path) -> None:
    clip, other = read_split(write_split(tmp_path)).sequences
    assert clip.frame_names == ("00000", "00005", "00010")
    assert other == SequenceFrames("other", 6, 4, ("val/other/00000.jpg",))
    root = write_davis(tmp_path)
    assert [sequence.name for sequence in read_split(root / VAL).sequences] == ["dog", "cat"]
    assert [sequence.name for sequence in read_split(root).sequences] == ["cat", "dog"]


def test_matches_are_counted(tmp_path: Path) -> None:
    matcher = ResultMatcher(read_split(write_split(tmp_path)), Selection(top=1))
    instances = [make_instance(1, [MASK], score=0.4), make_instance(2, [MASK], score=0.5)]
    match = matcher.match(make_result(instances, name="other"))
    assert (match.sequence.name, [instance.id for instance in match.instances]) == ("other", [2])
    assert [sequence.name for sequence in matcher.unmatched()] == ["clip"]
    report = matcher.report(1)
    assert (report.num_videos, report.num_entries, report.num_left_out) == (1, 1, 1)
    assert report.videos_without_result == ("clip",)


def test_without_a_split_a_result_is_its_own_sequence() -> None:
    matcher = ResultMatcher(None, Selection())
    match = matcher.match(make_result(num_frames=2))
    assert match.sequence == SequenceFrames("clip", 6, 4, ("clip/00000.jpg", "clip/00001.jpg"))
    assert matcher.unmatched() == []
    with pytest.raises(VisError, match="clip: two results have this video"):
        matcher.match(make_result(num_frames=2))


@pytest.mark.parametrize("name", ["../clip", "/clip", "..", ""])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(VisError, match=r"unsafe name|cannot name a file or folder"):
        ResultMatcher(None, Selection()).match(make_result(name=name))


def test_frames_keep_the_names_that_the_result_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1.png", "2.png"):
        write_picture(tmp_path / "clip" / name)
    monkeypatch.chdir(tmp_path)  # the images of an unrelated folder of the stored name
    video = dataclasses.replace(make_result(num_frames=2).video, path=Path("clip"))
    assert own_frames(video).frame_names == ("00000", "00001")
    named = dataclasses.replace(video, frame_names=("9.png", "10.png"))
    assert own_frames(named).file_names == ("clip/9.png", "clip/10.png")


@pytest.mark.parametrize("name", ["../9.png", "/9.png", ""])
def test_a_stored_frame_name_that_would_lead_elsewhere_is_rejected(name: str) -> None:
    video = dataclasses.replace(make_result().video, frame_names=(name,))
    with pytest.raises(VisError, match="clip: frame names: unsafe name"):
        own_frames(video)
