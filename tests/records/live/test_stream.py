"""Network streams, pipes and files as live sources: the frames, the end, and streams that stop in the middle."""

from __future__ import annotations

import io
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import av
import pytest

from tests.records.video_factory import make_sound, make_video, number_in, picture, two_streams
from vis_cli.errors import VisError
from vis_cli.records.live import opening, stream
from vis_cli.records.live.opening import open_source, shown_address, source_name
from vis_cli.records.live.source import Capture, LiveSource
from vis_cli.records.live.stream import open_file, open_pipe

SHORT = 0.5  # seconds


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "OPEN_SECONDS", SHORT)
    monkeypatch.setattr(stream, "STALL_SECONDS", SHORT)


@contextmanager
def writing(data: bytes, *, closes: bool = True) -> Iterator[int]:
    """Yield a pipe into which a thread writes."""
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(os.dup(writer), "wb") as file:
            file.write(data)
        if closes:
            os.close(writer)

    thread = Thread(target=write)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)
        thread.join()
        if not closes:
            os.close(writer)


@contextmanager
def serving(data: bytes, end: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the address of a server that sends data once, and then calls `end`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(data)
                end(connection)

        thread = Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def read_all(source: LiveSource) -> list[Capture]:
    return list(source.iter_captures(Event()))


def transport_stream(folder: Path, num_frames: int = 12) -> bytes:
    return make_video(folder, "clip.ts", num_frames=num_frames, options={"g": "4"}).read_bytes()


def long_stream(folder: Path, num_frames: int = 150) -> bytes:
    """Return a stream from which FFmpeg reads the properties before its end."""
    path = folder / "long.ts"
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(num_frames):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture(number % 20), format="rgb24")))
        output.mux(video.encode(None))
    return path.read_bytes()


class TestFile:
    def test_it_is_played_in_real_time(self, tmp_path: Path) -> None:
        source = open_file(make_video(tmp_path, num_frames=6, rate=20), number=None)
        assert (source.name, source.width, source.height, source.fps) == ("clip", 64, 48, 20.0)
        started = time.monotonic()
        captures = read_all(source)
        assert time.monotonic() - started >= 0.25
        assert [capture.number for capture in captures] == list(range(6))
        assert [number_in(capture.image()) for capture in captures] == list(range(6))
        assert [capture.timestamp for capture in captures] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])
        steps = [capture.captured - captures[0].captured for capture in captures]
        assert all(step >= capture.timestamp - 0.01 for step, capture in zip(steps, captures, strict=True))

    def test_a_stream_without_a_container_is_played_in_real_time(self, tmp_path: Path) -> None:
        source = open_file(make_video(tmp_path, "a.h264", num_frames=3, rate=10), number=None)
        started = time.monotonic()
        assert [capture.timestamp for capture in read_all(source)] == pytest.approx([0, 0.1, 0.2])
        assert (source.fps, time.monotonic() - started >= 0.2) == (10.0, True)

    def test_a_rotated_video(self, tmp_path: Path) -> None:
        source = open_file(make_video(tmp_path, num_frames=1, matrix=(0, -1, 1, 0)), number=None)
        assert (source.width, source.height) == (48, 64)
        assert read_all(source)[0].image().shape == (64, 48, 3)

    def test_another_video_stream(self, tmp_path: Path) -> None:
        source = open_file(two_streams(tmp_path / "two.mkv"), number=1)
        assert (source.width, source.height) == (128, 96)
        assert len(read_all(source)) == 6

    def test_audio_only(self, tmp_path: Path) -> None:
        with pytest.raises(VisError, match=r"no video stream \(audio only\)"):
            open_source(str(make_sound(tmp_path)))

    def test_the_stop_ends_it_between_two_frames(self, tmp_path: Path) -> None:
        source, stop = open_file(make_video(tmp_path, num_frames=3, pts_ms=(0, 40, 9_000)), number=None), Event()
        numbers = []
        for capture in source.iter_captures(stop):
            numbers.append(capture.number)
            if capture.number == 1:
                Thread(target=lambda: (time.sleep(0.05), stop.set())).start()
        assert numbers == [0, 1]


class TestPipe:
    def test_a_transport_stream(self, tmp_path: Path) -> None:
        with writing(transport_stream(tmp_path)) as descriptor:
            source = open_pipe(descriptor, name="stdin", shown="standard input", number=None)
            captures = read_all(source)
        assert [number_in(capture.image()) for capture in captures] == list(range(12))
        assert source.warnings == []

    def test_a_program_that_stops_writing(self, tmp_path: Path, short_timeouts: None) -> None:
        with writing(transport_stream(tmp_path), closes=False) as descriptor:
            source = open_pipe(descriptor, name="stdin", shown="standard input", number=None)
            with pytest.raises(VisError, match=r"standard input stopped after \d+\.\d s: no data for 0\.5 s\. Check"):
                read_all(source)

    def test_a_program_that_never_writes(self, short_timeouts: None) -> None:
        with writing(b"", closes=False) as descriptor, pytest.raises(VisError, match=r"no data within 0\.5 s"):
            open_pipe(descriptor, name="stdin", shown="standard input", number=None)

    @pytest.mark.parametrize("data", [b"", b"no video" * 100])
    def test_no_video(self, data: bytes) -> None:
        with writing(data) as descriptor, pytest.raises(VisError, match="cannot read standard input: no video in"):
            open_pipe(descriptor, name="stdin", shown="standard input", number=None)

    def test_damage_in_the_middle(self, tmp_path: Path) -> None:
        data = bytearray(transport_stream(tmp_path, 20))
        middle = len(data) // 2 // 188 * 188
        data[middle : middle + 4 * 188] = b"\x47" + bytes(4 * 188 - 1)
        with writing(bytes(data)) as descriptor:
            source = open_pipe(descriptor, name="stdin", shown="standard input", number=None)
            captures = read_all(source)
        assert 10 <= len(captures) <= 20
        timestamps = [capture.timestamp for capture in captures]
        assert timestamps == sorted(set(timestamps))
        assert timestamps[-1] == pytest.approx(19 / 25)  # the timestamps of lost frames are not used again

    def test_a_stop_ends_the_wait_for_data(self, tmp_path: Path) -> None:
        with writing(long_stream(tmp_path), closes=False) as descriptor:
            source, stop = open_pipe(descriptor, name="stdin", shown="standard input", number=None), Event()
            Thread(target=lambda: (time.sleep(0.3), stop.set())).start()
            started = time.monotonic()
            list(source.iter_captures(stop))
        assert time.monotonic() - started < 5

    def test_standard_input_that_is_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr("sys.stdin", Terminal())
        with pytest.raises(VisError, match=r"cannot read -: standard input is not a pipe\. Use a pipe"):
            open_source("-")


class TestNetwork:
    def test_a_sender_that_closes_the_connection(self, tmp_path: Path) -> None:
        with serving(transport_stream(tmp_path), lambda connection: None) as address:
            captures = read_all(open_source(address))
        assert [number_in(capture.image()) for capture in captures] == list(range(12))

    def test_a_camera_that_closes_the_connection(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream, "ENDLESS", ("tcp",))
        with serving(transport_stream(tmp_path), lambda connection: None) as address:
            captures = open_source(address).iter_captures(Event())
            assert [number_in(next(captures).image()) for _ in range(10)] == list(range(10))
            with pytest.raises(VisError, match=r"stopped after \d+\.\d s: the sender has closed the connection"):
                list(captures)

    def test_a_sender_that_stops_sending(self, tmp_path: Path, short_timeouts: None) -> None:
        done = Event()
        with serving(transport_stream(tmp_path), lambda connection: done.wait(20) and None) as address:
            source = open_source(address)
            with pytest.raises(VisError, match=r"tcp://.* stopped after \d+\.\d s: no data for 0\.5 s"):
                read_all(source)
            done.set()

    def test_a_connection_that_breaks(self, tmp_path: Path) -> None:
        opened = Event()

        def reset(connection: socket.socket) -> None:
            opened.wait(20)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with serving(long_stream(tmp_path), reset) as address:
            source = open_source(address)
            opened.set()
            with pytest.raises(VisError, match=r"stopped after \d+\.\d s: Connection reset by peer"):
                read_all(source)

    def test_a_sender_that_never_sends(self, short_timeouts: None) -> None:
        with (
            serving(b"", lambda connection: time.sleep(2 * SHORT)) as address,
            pytest.raises(VisError, match=r"cannot read tcp://127.*: no data within 0\.5 s. Check the address"),
        ):
            open_source(address)

    def test_no_server(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://user:secret@127.0.0.1:{server.getsockname()[1]}/live?token=secret"
        with pytest.raises(VisError, match=r"cannot read http://127.*/live: Connection refused") as caught:
            open_source(address)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("text", ["file:///etc/passwd", "concat://a", "htp://localhost/x"])
    def test_other_protocols_are_rejected(self, text: str) -> None:
        with pytest.raises(VisError, match="cannot read"):
            open_source(text)

    def test_a_playlist_cannot_refer_to_a_local_file(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, "clip.ts", num_frames=4)
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n".encode()
        answer = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n" + playlist
        with (
            serving(answer, lambda connection: connection.recv(4096) and None) as address,
            pytest.raises(VisError, match="cannot read"),
        ):
            open_source(f"{address.replace('tcp', 'http')}/live.m3u8")


class TestOpening:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("0", "camera0"),
            ("-", "stdin"),
            ("rtsp://user:pass@192.168.1.20:554/cam/main?token=1", "192.168.1.20_554_cam_main"),
            ("udp://127.0.0.1:5000", "127.0.0.1_5000"),
            ("http://host/..", "host_.."),
            ("clips/holiday.mp4", "holiday"),
        ],
    )
    def test_names_of_outputs(self, text: str, name: str) -> None:
        assert source_name(text) == name

    def test_shown_address(self) -> None:
        assert shown_address("rtsp://user:p@ss@host:554/a/b?token=secret") == "rtsp://host:554/a/b"

    def test_a_missing_source(self, tmp_path: Path) -> None:
        with pytest.raises(VisError, match=r"no such camera, URL or file\. Pass the number of a camera"):
            open_source(str(tmp_path / "none.mp4"))

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(VisError, match="a folder is not a live source"):
            open_source(str(tmp_path))

    def test_a_missing_camera(self) -> None:
        with pytest.raises(VisError, match="cannot read camera 987: there is no such camera"):
            open_source("987")

    def test_a_device_file_is_a_camera(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening, "Camera", lambda device: device)
        assert opening.open_source("/dev/null") == "/dev/null"
        assert opening.open_source("2") == 2
