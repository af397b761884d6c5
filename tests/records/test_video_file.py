"""Tests of `vis_cli.records.video_file` and `decoder`: every frame, upright, RGB, the same in each iteration."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.records.video_factory import (
    BLUE,
    GREEN,
    QUARTER_TURNS,
    RED,
    make_sound,
    make_video,
    number_in,
    numbers_in,
    picture,
    quarters_of,
    truncate,
    with_exif_orientation,
    write_image,
)
from vis_cli.errors import VisError
from vis_cli.records.container import Ratio, as_fraction
from vis_cli.records.video_file import VideoFile


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "codec", "pix_fmt"),
        [
            ("a.mp4", "libx264", "yuv420p"),
            ("a.mkv", "libx264", "yuv420p10le"),
            ("a.mkv", "libx264", "yuv444p"),
            ("a.avi", "mpeg4", "yuv420p"),
            ("a.avi", "mjpeg", "yuvj420p"),
            ("a.mkv", "ffv1", "yuva420p"),
            ("a.mkv", "ffv1", "bgra"),
            ("a.mov", "prores_ks", "yuva444p10le"),
            ("a.gif", "gif", "rgb8"),
            ("a.ts", "mpeg2video", "yuv420p"),
        ],
    )
    def test_formats_come_out_as_rgb_uint8_in_order(self, tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
        video = VideoFile(make_video(tmp_path, name, codec=codec, pix_fmt=pix_fmt))
        images = list(video.iter_frames())
        assert [number_in(image) for image in images] == list(range(8))
        assert all(image.shape == (48, 64, 3) and image.dtype == np.uint8 for image in images)
        np.testing.assert_allclose(quarters_of(images[3]), [RED, GREEN, BLUE], atol=50)
        assert video.warnings == []

    @pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
    def test_grey_of_any_depth_comes_out_as_rgb(self, tmp_path: Path, pix_fmt: str) -> None:
        images = list(VideoFile(make_video(tmp_path, "a.mkv", codec="ffv1", pix_fmt=pix_fmt)).iter_frames())
        assert numbers_in(iter(images)) == list(range(8))
        assert images[0].shape == (48, 64, 3)
        assert (images[0][..., 0] == images[0][..., 1]).all()

    def test_odd_size_keeps_its_last_row_and_column(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, "a.mkv", codec="ffv1", pix_fmt="bgra", size=(65, 49), num_frames=1)
        video = VideoFile(path)
        assert (video.width, video.height) == (65, 49)
        np.testing.assert_array_equal(next(video.iter_frames()), picture(0, (65, 49)))

    def test_memory_stays_that_of_a_few_frames(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, size=(640, 480), num_frames=22, options={"preset": "ultrafast"}))
        tracemalloc.start()
        assert sum(1 for _ in video.iter_frames()) == 22
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5 * 640 * 480 * 3

    def test_pictures_of_another_size_are_scaled_to_the_first_and_said(self, tmp_path: Path) -> None:
        first = make_video(tmp_path, "1.h264", num_frames=4)
        second = make_video(tmp_path, "2.h264", num_frames=3, size=(128, 96))
        path = tmp_path / "both.h264"
        path.write_bytes(first.read_bytes() + second.read_bytes())
        video = VideoFile(path)
        images = list(video.iter_frames())
        assert [number_in(image) for image in images] == [0, 1, 2, 3, 0, 1, 2]
        assert {image.shape for image in images} == {(48, 64, 3)}
        assert video.warnings == ["3 frames of another size scaled to 64x48"]
        assert sum(1 for _ in video.iter_frames()) == 7
        assert video.warnings == ["3 frames of another size scaled to 64x48"]

    def test_the_frame_rate_of_a_stream_without_a_container(self, tmp_path: Path) -> None:
        """FFmpeg reports 25 frames per second for each raw stream, but the durations of its frames are right."""
        video = VideoFile(make_video(tmp_path, "a.h264", num_frames=4, rate=10))
        assert (video.fps, video.count_frames()) == (10.0, 4)
        assert float(video.frame_pts(4) * video.time_base) == pytest.approx(0.4)

    def test_images_of_a_gif_that_are_not_decoded_are_reported(self, tmp_path: Path) -> None:
        """FFmpeg reads images without delays and other extension blocks as one frame."""
        path = make_video(tmp_path, "a.gif", codec="gif", pix_fmt="rgb8", num_frames=4)
        video = VideoFile(path)
        assert (video.count_frames(), video.warnings) == (4, [])
        path.write_bytes(re.sub(rb"\x21(\xf9\x04.{4}|\xff\x0bNETSCAPE2.0.{4})\x00", b"", path.read_bytes(), flags=re.S))
        video = VideoFile(path)
        assert video.count_frames() == 1
        (warning,) = video.warnings
        assert warning.startswith("only 1 of 4 images in this file can be decoded; to use all images, save the GIF")


class TestOrientation:
    @pytest.mark.parametrize("degrees", QUARTER_TURNS)
    def test_rotation_is_applied(self, tmp_path: Path, degrees: int) -> None:
        video = VideoFile(make_video(tmp_path, matrix=QUARTER_TURNS[degrees], num_frames=1))
        image = next(video.iter_frames())
        assert image.shape == ((48, 64, 3) if degrees % 180 == 0 else (64, 48, 3))
        assert (video.height, video.width) == image.shape[:2]
        upright = np.rot90(image, -degrees // 90)
        np.testing.assert_allclose(quarters_of(upright), [RED, GREEN, BLUE], atol=24)

    @pytest.mark.parametrize(
        ("matrix", "undo"),
        [
            ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
            ((1, 0, 0, -1), lambda image: image[::-1]),
            ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
            ((0, -1, -1, 0), lambda image: image[::-1, ::-1].swapaxes(0, 1)),
        ],
    )
    def test_mirroring_is_applied(self, tmp_path: Path, matrix: tuple[int, int, int, int], undo: Any) -> None:
        image = next(VideoFile(make_video(tmp_path, matrix=matrix, num_frames=1)).iter_frames())
        np.testing.assert_allclose(quarters_of(undo(image)), [RED, GREEN, BLUE], atol=24)

    def test_side_data_that_pyav_cannot_name_does_not_hide_the_rotation(self, tmp_path: Path) -> None:
        write_image(tmp_path / "a.jpg", picture(0))
        path = tmp_path / "camera.avi"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            output.start_encoding()
            packet = av.Packet(with_exif_orientation((tmp_path / "a.jpg").read_bytes(), 6))
            packet.pts = packet.dts = 0
            packet.stream = stream
            output.mux(packet)
        video = VideoFile(path)
        assert (video.width, video.height) == (48, 64)
        np.testing.assert_allclose(quarters_of(np.rot90(next(video.iter_frames()))), [RED, GREEN, BLUE], atol=40)


class TestFacts:
    @pytest.mark.parametrize("ratio", [Fraction, getattr(av, "AVRational", Fraction)])  # from PyAV 19 on: AVRational
    def test_an_unset_rate_is_none_however_pyav_says_it(self, ratio: Callable[[int, int], Ratio]) -> None:
        assert as_fraction(None) is as_fraction(ratio(0, 1)) is None
        assert (rate := as_fraction(ratio(30000, 1001))) == Fraction(30000, 1001)
        assert isinstance(rate, Fraction)

    def test_name_rate_and_sound(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, "my.clip.mkv", sound="aac"))
        assert (video.name, video.fps, video.has_audio) == ("my.clip", 25.0, True)
        assert not VideoFile(make_video(tmp_path)).has_audio

    def test_missing_frame_count_is_exact_after_one_iteration(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, "a.mkv"))
        assert video.num_frames is None
        assert numbers_in(video.iter_frames()) == list(range(8))
        assert video.num_frames == 8

    def test_wrong_frame_count_is_exact_after_counting(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, "a.avi", codec="mpeg4")
        data = bytearray(path.read_bytes())
        length = data.index(b"strh") + 8 + 32  # dwLength of the stream's header
        data[length : length + 4] = (99).to_bytes(4, "little")
        path.write_bytes(data)
        video = VideoFile(path)
        assert video.num_frames == 99
        assert video.count_frames() == 8
        assert video.num_frames == 8

    def test_a_part_of_a_video_does_not_settle_its_length(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, "a.mkv"))
        assert numbers_in(islice(video.iter_frames(), 3)) == [0, 1, 2]
        assert video.num_frames is None

    def test_variable_frame_rate_keeps_each_frames_time_and_the_end(self, tmp_path: Path) -> None:
        times = [0, 40, 200, 210, 1000]
        video = VideoFile(make_video(tmp_path, "a.mkv", num_frames=5, pts_ms=times))
        assert [video.frame_pts(number) * video.time_base * 1000 for number in range(5)] == times
        assert video.frame_pts(5) * video.time_base > 1

    def test_times_count_from_the_files_own_start(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, "a.ts", codec="mpeg2video", start=Fraction(10), options={"bf": "0"}))
        assert [video.frame_pts(number) * video.time_base for number in range(9)] == [Fraction(i, 25) for i in range(9)]

    def test_names_that_ffmpeg_takes_for_protocols_are_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_video(tmp_path).rename(tmp_path / "12:30.mp4")
        monkeypatch.chdir(tmp_path)
        assert VideoFile(Path("12:30.mp4")).count_frames() == 8

    def test_tags_in_another_encoding_do_no_harm(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, metadata={"title": "caféx"})
        path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9 "))
        assert VideoFile(path).count_frames() == 8


class TestNoVideo:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(VisError, match=r"gone\.mp4: No such file"):
            VideoFile(tmp_path / "gone.mp4")

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "none.mp4"
        path.touch()
        with pytest.raises(VisError, match=r"none\.mp4: the file is empty"):
            VideoFile(path)

    @pytest.mark.parametrize("content", [b"these are words\n" * 40, bytes(range(256)) * 20])
    def test_not_a_video(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.mp4"
        path.write_bytes(content)
        with pytest.raises(VisError, match=r"notes\.mp4: not a readable video"):
            VideoFile(path)

    def test_index_lost_with_the_end_of_the_file(self, tmp_path: Path) -> None:
        path = make_video(tmp_path)
        truncate(path, 0.5)
        with pytest.raises(VisError, match=r"clip\.mp4: not a readable video .* Restore"):
            VideoFile(path)

    def test_sound_only(self, tmp_path: Path) -> None:
        with pytest.raises(VisError, match=r"song\.wav: no video stream \(audio only\)"):
            VideoFile(make_sound(tmp_path))

    def test_sound_with_a_cover_picture(self, tmp_path: Path) -> None:
        write_image(tmp_path / "cover.jpg", picture(0))
        cover = b"\0image/jpeg\0\x03\0" + (tmp_path / "cover.jpg").read_bytes()
        frame = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
        size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
        song = make_sound(tmp_path, "song.mp3", "libmp3lame")
        song.write_bytes(b"ID3\x03\0\0" + size + frame + song.read_bytes())
        with pytest.raises(VisError, match=r"song\.mp3: no video stream \(audio only\)"):
            VideoFile(song)

    def test_subtitles_only(self, tmp_path: Path) -> None:
        path = tmp_path / "words.srt"
        path.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
        with pytest.raises(VisError, match=r"words\.srt: no video stream\."):
            VideoFile(path)
