"""Tests of `vis_cli.records.inputs`: what a user types and which videos that means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.video_factory import make_entry, make_video
from vis_cli.errors import VisError
from vis_cli.files.names import natural_key
from vis_cli.records.inputs import files_left_out, find_inputs, is_folder
from vis_cli.records.media_folder import (
    IMAGE_SUFFIXES,
    UNREADABLE_IMAGES,
    UNREADABLE_VIDEOS,
    VIDEO_SUFFIXES,
    suffix_problem,
)
from vis_cli.records.video import open_video


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_natural_order() -> None:
    names = ["b", "a10", "a2", "A1", "a02", "a", "10", "9", "a1b2", "a1b10"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "A1", "a1b2", "a1b10", "a02", "a2", "a10", "b"]


def test_a_file_is_itself_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "clip.dat")
    assert find_inputs([tmp_path / "clip.dat"]) == [tmp_path / "clip.dat"]
    assert find_inputs([str(tmp_path / "clip.dat")]) == [tmp_path / "clip.dat"]


def test_folder_of_videos_is_each_of_them(tmp_path: Path) -> None:
    touch(tmp_path, "v10.mp4", "v2.MOV", "v1.mkv", "poster.jpg", "notes.txt", ".v3.tmp-1.mp4", "out/v1.mp4")
    assert find_inputs([tmp_path]) == [tmp_path / "v1.mkv", tmp_path / "v2.MOV", tmp_path / "v10.mp4"]


def test_folder_of_images_is_one_video(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.PNG", "masks/1.png")
    assert find_inputs([tmp_path]) == [tmp_path]


def test_folder_of_frame_folders_is_each_of_them(tmp_path: Path) -> None:
    touch(tmp_path, "bear/0.jpg", "car10/0.png", "car9/0.webp", "empty/notes.txt", ".cache/0.jpg", "readme.txt")
    assert find_inputs([tmp_path]) == [tmp_path / "bear", tmp_path / "car9", tmp_path / "car10"]


def test_folder_that_is_named_like_a_video_is_no_video_file(tmp_path: Path) -> None:
    touch(tmp_path, "frames.mp4/0.jpg", "more.avi/0.jpg")
    assert find_inputs([tmp_path]) == [tmp_path / "frames.mp4", tmp_path / "more.avi"]


def test_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/v10.mp4", "a/v9.mp4", "a/x.txt", "b/deep/v1.mp4")
    assert find_inputs([f"{tmp_path}/a/*.mp4"]) == [tmp_path / "a/v9.mp4", tmp_path / "a/v10.mp4"]
    monkeypatch.chdir(tmp_path)
    assert find_inputs(["**/v?.mp4"]) == [Path("a/v9.mp4"), Path("b/deep/v1.mp4")]


def test_pattern_of_folders_takes_what_they_hold(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/clip.mp4", "c/notes.txt")
    assert find_inputs([f"{tmp_path}/*"]) == [tmp_path / "a", tmp_path / "b/clip.mp4"]


def test_a_path_that_exists_is_no_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "clip[1].mp4", "clip1.mp4")
    assert find_inputs([tmp_path / "clip[1].mp4"]) == [tmp_path / "clip[1].mp4"]


def test_what_is_named_twice_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    monkeypatch.chdir(tmp_path)
    assert find_inputs(["b.mp4", "./b.mp4", tmp_path, "*.mp4"]) == [Path("b.mp4"), tmp_path / "a.mp4"]


@pytest.mark.parametrize("name", ["gone.mp4", "*.mp4", "gone/deeper.mp4", "x" * 400])
def test_nothing_that_matches_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(VisError) as caught:
        find_inputs([tmp_path / name])
    assert f"{tmp_path / name}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_with_nothing_to_see_is_one_line(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(VisError, match="no videos or images in this folder"):
        find_inputs([tmp_path])


def test_an_empty_text_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path, "a.mp4"))
    with pytest.raises(VisError, match=r"its name is empty\. Check the shell variables"):
        find_inputs([""])
    assert find_inputs(["."]) == [Path("a.mp4")]


def test_videos_deeper_in_a_folder_are_hinted_at(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c/clip.mp4")
    with pytest.raises(VisError, match=r"'(.*)'\.$") as caught:
        find_inputs([tmp_path])
    assert find_inputs([str(caught.value).split("'")[1]]) == [tmp_path / "a/b/c/clip.mp4"]


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize(
    ("entries", "videos", "left_out"),
    [
        ("v.mp4 masks/1.png frames/1.jpg frames/2.jpg notes/a.txt out/v.mp4 .old/1.jpg", "v.mp4", "frames masks out"),
        ("0.jpg 1.jpg 2.jpg preview.mp4 thumb.gif", ".", ""),  # FrameFolder reports these
        ("poster.jpg v1.mp4 v2.mp4", "v1.mp4 v2.mp4", "poster.jpg"),
        ("v1.jpg v1.mp4 v2.jpg v2.mp4", "v1.mp4 v2.mp4", "v1.jpg v2.jpg"),
        ("v1.mp4 photo.heic", "v1.mp4", "photo.heic"),
        ("a/0.png b/0.png sheet.png", "a b", "sheet.png"),
        ("a/0.png b/0.png sheet.heic", "a b", "sheet.heic"),
        ("a/0.png b/v.mp4 c/notes.txt", "a", "b"),
        ("a/0.png 0.png 1.png", ".", ""),
        ("0.heic 1.heic", ".", ""),  # FrameFolder rejects these
        ("a/0.heic b/0.png", "a b", ""),
        ("v.mp4.part v2.mp4", "v2.mp4", "v.mp4.part"),
        ("v.mp4 w.mp4 x.ts.part y.mp4.crdownload", "v.mp4 w.mp4", "x.ts.part y.mp4.crdownload"),
        ("v.mp4 x.braw y.r3d", "v.mp4", "x.braw y.r3d"),
        ("v.mp4 w.mp4 x.cr2 y.tga z.jpg.part", "v.mp4 w.mp4", "x.cr2 y.tga z.jpg.part"),
        ("preview.mp4 0.heic 1.heic", ".", ""),  # FrameFolder rejects these
        ("x.braw y.r3d z.mp4.part", "x.braw y.r3d z.mp4.part", ""),  # inputs that fail
        ("0.jpg 1.jpg x.braw y.mov.part", ".", ""),  # FrameFolder reports these
        ("a/0.png b/0.png x.braw y.braw", "a b", "x.braw y.braw"),
        ("v.mp4 x.targa", "v.mp4", "x.targa"),
        ("v.mp4 x.icb", "v.mp4", "x.icb"),
        ("v.mp4 x.vda", "v.mp4", "x.vda"),
        ("v.mp4 x.vst", "v.mp4", "x.vst"),
        ("v.mp4 x.fits", "v.mp4", "x.fits"),
        ("v.mp4 Thumbs.db desktop.ini .DS_Store notes.txt", "v.mp4", ""),
    ],
)
def test_mixed_folders_skip_no_media_without_its_name(tmp_path: Path, entries: str, videos: str, left_out: str) -> None:
    touch(tmp_path, *entries.split())
    found = [str(path.relative_to(tmp_path)) for path in find_inputs([tmp_path])]
    assert found == videos.split()
    assert sorted(names(files_left_out(str(tmp_path)))) == left_out.split()
    assert sorted(names(files_left_out(f"{tmp_path}*"))) == left_out.split()


def test_image_of_an_unknown_suffix_next_to_videos_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "v.mp4", "notes")
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    assert names(files_left_out(tmp_path)) == ["photo"]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("ts", "mpeg2video"), ("m2ts", "mpeg2video"), ("asf", "mpeg4"), ("flv", "flv"), ("mkv", "mpeg4")],
)
def test_a_video_with_an_unknown_suffix_next_to_videos_is_named(tmp_path: Path, suffix: str, codec: str) -> None:
    touch(tmp_path, "v.mp4")
    make_video(tmp_path, f"a.{suffix}", codec=codec).rename(tmp_path / "recording")
    assert names(files_left_out(tmp_path)) == ["recording"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("x.ts.part", "the download is incomplete. Finish the download."),
        ("x.braw", ".braw files are not decoded. Convert the video to MP4 (H.264)."),
        ("x.R3D", ".R3D files are not decoded. Convert the video to MP4 (H.264)."),
        ("x.tga", ".tga files are not decoded. Convert the file to JPEG or PNG."),
        ("x.mp4", None),
    ],
)
def test_the_remedy_fits_the_format(name: str, cause: str | None) -> None:
    problem = suffix_problem(Path(name))
    assert (problem and str(problem)) == (cause and f"cannot read {name}: {cause}")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_named_like_a_video_is_an_input_that_fails(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "a.mp4")
    make_entry(tmp_path / "b.mp4", kind)
    assert names(find_inputs([tmp_path])) == ["a.mp4", "b.mp4"]
    with pytest.raises(VisError, match=r"b\.mp4"):
        open_video(tmp_path / "b.mp4")


def test_broken_link_to_a_folder_of_frames_is_an_input_that_fails(tmp_path: Path) -> None:
    touch(tmp_path, "a/0.png")
    make_entry(tmp_path / "b", "link")
    assert names(find_inputs([tmp_path])) == ["a", "b"]
    with pytest.raises(VisError, match=r"/b: "):
        open_video(tmp_path / "b")


@pytest.mark.parametrize("name", ["http://host/clip.mp4", "rtsp://host:554/live", "-"])
def test_what_is_no_file_is_named_for_what_it_is(name: str) -> None:
    with pytest.raises(VisError, match=r"(URLs are not opened|standard input).*pass the file"):
        find_inputs([name])


def test_nothing_typed_leaves_nothing_out(tmp_path: Path) -> None:
    assert files_left_out("") == files_left_out("gone") == files_left_out("x" * 400) == []


def test_a_name_that_no_file_system_takes_is_no_folder(tmp_path: Path) -> None:
    assert [is_folder(tmp_path), is_folder("x" * 400), is_folder("a\0b")] == [True, False, False]


def test_nothing_asked_is_nothing_found() -> None:
    assert find_inputs([]) == []


def test_suffixes_are_written_as_they_are_compared() -> None:
    suffixes = [*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *UNREADABLE_IMAGES, *UNREADABLE_VIDEOS]
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
    assert len(set(suffixes)) == len(suffixes)
