"""Names that come from files: none leaves its folder, none is written twice, and all are printed in one line."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.split_factory import split_data, write_split
from vis_cli.errors import VisError
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.davis_submission import write_davis_submission
from vis_cli.records.exports.mots import frame_numbers, write_mots
from vis_cli.records.result_matching import SplitSequences, read_split
from vis_cli.records.selection import Selection
from vis_cli.records.youtube_vis import read_youtube_vis

UNSAFE = [
    *("x/../00000.jpg", "../00000.jpg", "/etc/00000.jpg", "x/../../00000.jpg", "..", "", "x/\0.jpg", "x/\x1b[2J.jpg"),
    *("x/\udce9.jpg", "x/\u202egpj.jpg", "C:/x/0.jpg", "..\\x\\0.jpg", "x/" + "0" * 5000 + ".jpg", "x/a\n.jpg"),
]


def write_names(folder: Path, *videos: list[str]) -> Path:
    data = split_data()
    del data["annotations"]
    data["videos"] = [
        {"id": index, "width": 6, "height": 4, "file_names": names} for index, names in enumerate(videos, start=1)
    ]
    path = folder / "names.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_an_unsafe_name_of_a_split_is_rejected(tmp_path: Path, name: str) -> None:
    for names in ([name], ["x/1.jpg", name]):
        with pytest.raises(VisError, match=r"names\.json: videos\[0\]: unsafe name") as caught:
            read_youtube_vis(write_names(tmp_path, names))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


def test_windows_paths_are_read_as_meant(tmp_path: Path) -> None:
    (video,) = read_youtube_vis(write_names(tmp_path, ["train\\dog\\0.jpg", "train\\dog\\1.jpg"])).videos
    assert video.name == "dog"
    assert video.file_names == ("train/dog/0.jpg", "train/dog/1.jpg")


@pytest.mark.parametrize(
    "videos",
    [
        [["vid_a/a.jpg", "vid_a/a.png"]],
        [["vid_a/a.jpg", "vid_a/A.jpg"]],
        [["vid_a/\u00e9.jpg", "vid_a/e\u0301.jpg"]],
        [["Dog/0.jpg"], ["dog/0.jpg"]],
        [["\u00e9/0.jpg"], ["e\u0301/0.jpg"]],
    ],
    ids=ascii,
)
def test_names_that_would_be_one_file_are_reported(tmp_path: Path, videos: list[list[str]]) -> None:
    with pytest.raises(VisError, match="so an export has one file for both"):
        read_split(write_names(tmp_path, *videos))


@pytest.mark.parametrize("out", ["out", "out.zip", "out.d/"])
@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "/tmp/x", "x" * 300, "a\0b", "\udcff", "\x1b[2J"], ids=ascii)
def test_the_name_of_a_video_in_a_result(tmp_path: Path, name: str, out: str) -> None:
    made = make_result()
    result = dataclasses.replace(made, video=dataclasses.replace(made.video, name=name))
    for write in (write_davis_submission, write_mots):
        with pytest.raises(VisError) as caught:
            write([result], None, tmp_path / "deep" / out, selection=Selection())
        assert str(caught.value).isprintable()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("names", [("Clip", "clip"), ("\u00e9", "e\u0301")], ids=ascii)
def test_results_whose_names_some_file_systems_do_not_tell_apart(tmp_path: Path, names: tuple[str, str]) -> None:
    results = [make_result(name=name) for name in names]
    for write in (write_davis_submission, write_mots):
        with pytest.raises(VisError, match="case or Unicode form"):
            write(results, None, tmp_path / "out.zip", selection=Selection())


def test_an_export_writes_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    split = SplitSequences(tmp_path, (SequenceFrames("..", 6, 4, ("../00000.jpg",)),))
    for out in ("deep/out", "deep/out.zip"):
        with pytest.raises(VisError, match="leaves its folder"):
            write_davis_submission([], split, tmp_path / out, selection=Selection())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_frames_of_a_split_give_the_names_of_a_zip(tmp_path: Path) -> None:
    mask = make_mask(["......", "..##..", "...#..", "......"])
    result = make_result([make_instance(1, [mask] * 3)], num_frames=3)
    split = read_split(write_split(tmp_path))
    write_davis_submission([result], split, tmp_path / "a.zip", selection=Selection())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        expected = ["clip/00000.png", "clip/00005.png", "clip/00010.png", "other/00000.png"]
        assert archive.namelist() == expected


def test_frame_numbers_of_mots() -> None:
    def numbers(*names: str) -> list[int]:
        return frame_numbers(SequenceFrames("v", 6, 4, tuple(f"v/{name}.jpg" for name in names)))

    assert numbers("00005", "00010") == [5, 10]
    assert numbers("a", "5") == [0, 1]
    assert numbers("1" * 5000, "5") == [0, 1]  # a name, not a number
    with pytest.raises(VisError, match="frame numbers: 5 is used 2 times"):
        numbers("5", "05")
