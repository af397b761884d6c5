"""Copies of H.264 streams: which streams are copied, and that their frames keep their order and times."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from vis_cli.records import stream_copy
from vis_cli.records.coded_frame import CodedFrame
from vis_cli.records.stream_copy import CodedPacket, StreamCopy, plan_copy
from vis_cli.records.video import iter_readers, open_video

from .video_factory import frame_times, make_video, numbers_in

UNEVEN_MS = (80, 120, 140, 280, 290, 380, 500, 510, 580, 680, 720, 780, 980, 990, 1080, 1180, 1380, 1390, 1480, 1580)
B_FRAMES = {"bf": "3", "g": "8", "x264-params": "b-adapt=0:scenecut=0"}


def copy_all(path: Path) -> tuple[StreamCopy, bool]:
    video = open_video(path)
    copy = plan_copy(video, 480)
    assert copy is not None
    for read in iter_readers(video):
        assert isinstance(read, CodedFrame)
        copy.add(read)
    return copy, copy.is_exact(video)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
def test_a_copy_has_the_frames_and_times_of_its_source(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path, name, num_frames=20, pts_ms=UNEVEN_MS, sound="aac", options=B_FRAMES)
    copy, is_exact = copy_all(source)
    assert any(packet.pts > packet.dts for packet in copy.packets)  # B-frames
    assert sum(packet.is_key for packet in copy.packets) == 3
    assert is_exact
    assert copy.write(tmp_path / "copy.mp4")
    shown = open_video(tmp_path / "copy.mp4")
    assert numbers_in(shown.iter_frames()) == list(range(20))
    assert not shown.has_audio
    expected = [(ms - UNEVEN_MS[0]) / 1000 for ms in UNEVEN_MS]
    assert [float(time) for time in frame_times(tmp_path / "copy.mp4")[:-1]] == pytest.approx(expected, abs=1e-9)
    with av.open(str(source)) as before, av.open(str(tmp_path / "copy.mp4")) as after:
        packets = [[bytes(packet) for packet in file.demux(video=0)] for file in (before, after)]
        assert packets[0] == packets[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-adapt=0:scenecut=0"}},
        {"options": {"x264-params": "keyint=6:intra-refresh=1:bframes=0"}},
        {"pix_fmt": "yuv444p"},
        {"pix_fmt": "yuvj420p"},
        {"options": {"x264-params": "interlaced=1"}},
        {"codec": "mpeg4"},
        {"name": "clip.mkv"},
        {"name": "clip.ts"},
        {"name": "clip.avi"},
        {"matrix": (0, 1, -1, 0)},
        {"size": (512, 512)},
    ],
)
def test_other_streams_are_encoded_again(tmp_path: Path, changes: dict[str, object]) -> None:
    source = make_video(tmp_path, **({"num_frames": 20} | changes))  # type: ignore[arg-type]
    video = open_video(source)
    copy = plan_copy(video, 480)
    if copy is not None:
        for read in iter_readers(video):
            assert isinstance(read, CodedFrame)
            copy.add(read)
        assert not copy.is_exact(video)


def test_a_part_is_encoded_again(tmp_path: Path) -> None:
    source = make_video(tmp_path)
    assert plan_copy(open_video(source, start=2), 480) is None
    assert plan_copy(open_video(source), 480) is not None


def test_large_streams_and_distant_key_frames_are_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = open_video(make_video(tmp_path, num_frames=12, options={"g": "6", "x264-params": "scenecut=0"}))
    monkeypatch.setattr(stream_copy, "MAX_KEY_DISTANCE", 6)
    assert plan_copy(video, 480) is not None
    monkeypatch.setattr(stream_copy, "MAX_KEY_DISTANCE", 5)
    assert plan_copy(video, 480) is None
    monkeypatch.setattr(stream_copy, "MAX_KEY_DISTANCE", 6)
    monkeypatch.setattr(stream_copy, "MAX_BITS_PER_SECOND", 1000)
    assert plan_copy(video, 480) is None


def test_other_frames_than_the_packets_are_not_exact(tmp_path: Path) -> None:
    video = open_video(make_video(tmp_path, num_frames=5))
    copy = plan_copy(video, 480)
    assert copy is not None
    for read in list(iter_readers(video))[:-1]:
        assert isinstance(read, CodedFrame)
        copy.add(read)
    assert not copy.is_exact(video)


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        ([(0, -2, True), (3, -1, False), (1, 0, False), (4, 1, True)], True),
        ([(0, -2, False), (3, -1, False)], False),  # no key frame at the start
        ([(0, 0, True), (1, 0, False)], False),  # decoding time twice
        ([(0, 1, True)], False),  # shown before it is decoded
        ([(0, -2, True), (4, -1, True), (3, 0, False)], False),  # a frame after a key frame is shown before it
        ([(0, -2, True), (5, -1, False), (4, 0, True)], False),  # a frame before a key frame is shown after it
    ],
)
def test_order_of_packets(packets: list[tuple[int, int, bool]], expected: bool) -> None:
    assert stream_copy._can_seek([CodedPacket(*packet) for packet in packets]) is expected


@pytest.mark.parametrize(
    ("types", "expected"), [((5,), True), ((9, 6, 5), True), ((1,), False), ((7, 8, 1), False), ((), False)]
)
def test_idr(types: tuple[int, ...], expected: bool) -> None:
    data = b"".join((4).to_bytes(4, "big") + bytes((0x60 | kind, 5, 5, 5)) for kind in types)
    assert stream_copy._has_idr(data, 4) is expected
