"""Tests of `vis_cli.records.container`: which files are opened, and which stream of a file is used."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from tests.records.video_factory import make_video, numbers_in, picture, two_streams
from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_IMAGE_PIXELS
from vis_cli.records.container import FORMATS
from vis_cli.records.video import open_video
from vis_cli.records.video_file import VideoFile

LISTS = {"concat", "concatf", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sdp", "tty", "vapoursynth"}


@pytest.mark.parametrize("stream", [0, 1])
def test_the_stream_that_the_user_chooses(tmp_path: Path, stream: int) -> None:
    video = open_video(two_streams(tmp_path / "dash.mp4"), stream=stream)
    expected = (list(range(4)), list(range(10, 16)))[stream]
    assert numbers_in(video.iter_frames()) == expected
    assert (video.width, video.height) == ((64, 48), (128, 96))[stream]
    assert video.warnings == []


def test_several_streams_are_reported_without_a_choice(tmp_path: Path) -> None:
    video = open_video(two_streams(tmp_path / "dash.mp4"))
    number = 1 if video.width == 128 else 0
    assert f"stream {number} ({video.width}x{video.height}) of 2 video streams is used" in video.warnings[0]
    assert "--stream" in video.warnings[0]


def test_a_stream_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"video stream 2 of .*dash\.mp4: the file has 2 video streams"):
        open_video(two_streams(tmp_path / "dash.mp4"), stream=2)
    (tmp_path / "a.png").touch()
    with pytest.raises(VisError, match=r"a\.png: images have no streams"):
        open_video(tmp_path / "a.png", stream=0)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {clip}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD><Period/></MPD>',
        "v=0\nm=video 5004 RTP/AVP 96\n",
        "[playlist]\nFile1={clip}\n",
    ],
    ids=["ffconcat", "hls", "dash", "sdp", "pls"],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.ffconcat"])
def test_a_list_of_other_files_is_not_opened(tmp_path: Path, text: str, name: str) -> None:
    clip = make_video(tmp_path)
    (tmp_path / name).write_text(text.format(clip=clip.name))
    with pytest.raises(VisError, match=rf"{name}: the file is a list of other files"):
        VideoFile(tmp_path / name)


def test_an_image_pattern_is_not_opened(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.bmp").write_bytes(b"BM")
    (tmp_path / "%d.tga").write_bytes(b"\0\0\2" + bytes(9) + b"\1\0\1\0\x18\0abc")
    with pytest.raises(VisError, match=r"%d\.tga"):
        VideoFile(tmp_path / "%d.tga")


def test_no_format_on_the_list_opens_other_files() -> None:
    assert set(FORMATS).isdisjoint(LISTS)
    assert not [name for name in FORMATS if name.endswith("_pipe")]


@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_what_is_no_regular_file_is_named_for_what_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mp4"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "gone")
    cause = {
        "pipe": "the path is a pipe",
        "device": "the path is a device",
        "link": "the target of the symbolic link does not exist",
    }
    with pytest.raises(VisError, match=rf"cannot read .*clip\.mp4: {cause[kind]}"):
        open_video(path)


def test_frames_above_the_limit_are_rejected_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path)
    monkeypatch.setattr("vis_cli.records.container.MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with pytest.raises(VisError, match=r"the frames are 64x48, the limit is 3,071 pixels"):
        VideoFile(path)
    assert MAX_IMAGE_PIXELS == 2**27


def test_too_many_frames_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vis_cli.records.video_file.MAX_FRAMES", 5)
    with pytest.raises(VisError, match="more than 5 frames"):
        VideoFile(make_video(tmp_path)).count_frames()


def test_a_video_keeps_its_frames_next_to_a_larger_cover(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        cover = output.add_stream("mjpeg", rate=10)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        output.mux(stream.encode(None))
        output.mux(cover.encode(av.VideoFrame.from_ndarray(picture(20, (640, 480)), format="rgb24")))
        output.mux(cover.encode(None))
    with av.open(str(path)) as container:
        assert [bool(stream.disposition & Disposition.attached_pic) for stream in container.streams.video].count(True)
    video = VideoFile(path)
    assert (video.width, video.height, video.warnings) == (64, 48, [])
    assert numbers_in(video.iter_frames()) == [0, 1, 2, 3, 4]
    with pytest.raises(VisError, match="the file has 1 video stream"):
        VideoFile(path, stream=1)
