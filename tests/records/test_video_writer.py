"""Tests of `vis_cli.records.video_writer`: an MP4 that plays, in the source's time, whole or absent."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.video_factory import (
    BLUE,
    GREEN,
    RED,
    frame_times,
    make_images,
    make_video,
    number_in,
    numbers_in,
    picture,
    quarters_of,
    rewrite,
)
from vis_cli.errors import VisError
from vis_cli.records.timestamps import ClockSegment
from vis_cli.records.video import open_video
from vis_cli.records.video_writer import write_video


class TestPictures:
    def test_plays_in_browsers_and_looks_like_the_frames(self, tmp_path: Path) -> None:
        source = open_video(make_video(tmp_path))
        output = tmp_path / "out" / "clip.mp4"
        write_video(output, (picture(number) for number in reversed(range(8))), source)
        images = list(open_video(output).iter_frames())
        assert [number_in(image) for image in images] == [7, 6, 5, 4, 3, 2, 1, 0]
        np.testing.assert_allclose(quarters_of(images[0]), [RED, GREEN, BLUE], atol=8)
        with av.open(str(output)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
            assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        data = output.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")
        assert list(output.parent.iterdir()) == [output]

    @pytest.mark.parametrize(("size", "padded"), [((65, 49), (66, 50)), ((64, 49), (64, 50)), ((1, 1), (2, 2))])
    def test_odd_size_repeats_the_last_row_and_column(
        self, tmp_path: Path, size: tuple[int, int], padded: tuple[int, int]
    ) -> None:
        source = make_video(tmp_path, "a.mkv", codec="ffv1", pix_fmt="bgra", size=size, num_frames=2)
        rewrite(source, tmp_path / "out.mp4")
        video = open_video(tmp_path / "out.mp4")
        assert (video.width, video.height) == padded
        image = next(video.iter_frames()).astype(int)
        wanted = np.pad(picture(0, size), ((0, padded[1] - size[1]), (0, padded[0] - size[0]), (0, 0)), mode="edge")
        np.testing.assert_allclose(image[:, -1], wanted[:, -1], atol=60)  # chroma is shared by two rows
        np.testing.assert_allclose(image[-1], wanted[-1], atol=60)

    def test_folder_of_images_plays_at_its_rate(self, tmp_path: Path) -> None:
        rewrite(make_images(tmp_path / "frames", ["1.png", "2.png", "3.png"]), tmp_path / "out.mp4")
        assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 24) for number in range(4)]

    def test_one_frame(self, tmp_path: Path) -> None:
        rewrite(make_images(tmp_path / "frames", ["1.png"]), tmp_path / "out.mp4")
        assert numbers_in(open_video(tmp_path / "out.mp4").iter_frames()) == [0]

    def test_rotated_source_is_written_upright(self, tmp_path: Path) -> None:
        rewrite(make_video(tmp_path, matrix=(0, -1, 1, 0)), tmp_path / "out.mp4")
        video = open_video(tmp_path / "out.mp4")
        assert (video.width, video.height) == (48, 64)

    def test_no_frames_is_a_programmers_mistake(self, tmp_path: Path) -> None:
        source = open_video(make_video(tmp_path))
        with pytest.raises(ValueError, match="no frames"):
            write_video(tmp_path / "out.mp4", [], source)
        assert not (tmp_path / "out.mp4").exists()

    def test_frame_of_another_size_is_a_programmers_mistake(self, tmp_path: Path) -> None:
        source = open_video(make_video(tmp_path))
        with pytest.raises(ValueError, match=r"\(48, 62, 3\)"):
            write_video(tmp_path / "out.mp4", [picture(0), picture(1, (62, 48))], source)
        assert not (tmp_path / "out.mp4").exists()


class TestTiming:
    def test_variable_frame_rate_is_kept_to_the_end_of_the_last_frame(self, tmp_path: Path) -> None:
        times = [0, 40, 200, 210, 1000, 1010]
        source = rewrite(make_video(tmp_path, "a.mkv", num_frames=6, pts_ms=times), tmp_path / "out.mp4")
        end = source.frame_pts(6) * source.time_base
        assert frame_times(tmp_path / "out.mp4") == [*(Fraction(time, 1000) for time in times), end]

    @pytest.mark.parametrize("times", [[0, 40, 200, 210, 1000, 1010, 1050, 1100, 1200, 1210, 1220, 1600], None])
    def test_packets_are_in_the_order_of_display_and_last_as_long_as_their_frames(
        self, tmp_path: Path, times: list[int] | None
    ) -> None:
        """B-frames would be stored in another order, and MP4 would give the last frame the duration of another one."""
        source = rewrite(make_video(tmp_path, "a.mkv", num_frames=12, pts_ms=times), tmp_path / "out.mp4")
        shown = [source.frame_pts(number) * source.time_base for number in range(13)]
        with av.open(str(tmp_path / "out.mp4")) as container:
            stream = container.streams.video[0]
            packets = [packet for packet in container.demux(stream) if packet.pts is not None]
            assert not stream.codec_context.has_b_frames
            assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
            durations = [packet.duration * stream.time_base for packet in packets]
        assert durations == [end - begin for begin, end in pairwise(shown)]

    @pytest.mark.parametrize("name", ["a.avi", "a.ts", "a.mov"])
    def test_constant_frame_rate_of_any_container(self, tmp_path: Path, name: str) -> None:
        rewrite(make_video(tmp_path, name, codec="mpeg2video", start=Fraction(2)), tmp_path / "out.mp4")
        assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 25) for number in range(9)]

    def test_ticks_finer_than_mp4_can_hold(self, tmp_path: Path) -> None:
        source = open_video(make_video(tmp_path))

        class Nanoseconds:
            path, width, height, fps, has_audio = source.path, source.width, source.height, source.fps, False
            time_base, pixel_aspect = Fraction(1, 10**9), Fraction(1)
            span = None
            clock_segments: tuple[ClockSegment, ...] = ()

            def __init__(self) -> None:
                self.warnings: list[str] = []

            def settle_times(self) -> None:
                pass

            def frame_pts(self, number: int) -> int:
                return number * 5 * 10**9

        write_video(tmp_path / "out.mp4", [picture(0), picture(1)], Nanoseconds())
        assert frame_times(tmp_path / "out.mp4") == [0, 5, 10]


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, which to a writer looks like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestWholeOrAbsent:
    @pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, VisError])
    def test_exception_of_the_frames_leaves_the_old_output(self, tmp_path: Path, failure: type[BaseException]) -> None:
        source = open_video(make_video(tmp_path, sound="aac"))
        output = tmp_path / "out" / "clip.mp4"
        output.parent.mkdir()
        output.write_bytes(b"old")

        def failing() -> Iterator[NDArray[np.uint8]]:
            yield picture(0)
            raise failure("mine")

        with pytest.raises(failure, match="mine"):
            write_video(output, failing(), source)
        assert output.read_bytes() == b"old"
        assert list(output.parent.iterdir()) == [output]

    def test_full_disk_at_any_moment_is_one_line_and_leaves_nothing(self, tmp_path: Path) -> None:
        source = make_video(tmp_path, size=(320, 240), sound="aac")
        output = tmp_path / "out" / "clip.mp4"
        rewrite(source, output)
        whole = output.stat().st_size
        output.unlink()
        for limit in (0, 100, whole // 2, whole - 500):  # a file's size varies by a few bytes with its interleaving
            with file_size_limit(limit), pytest.raises(VisError) as caught:
                rewrite(source, output)
            assert str(caught.value).startswith(f"cannot write {output}: File too large. Raise the limit")
            assert list(output.parent.iterdir()) == []
        with file_size_limit(whole + 500):
            rewrite(source, output)

    def test_error_of_ffmpeg_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_video(make_video(tmp_path))

        def refuse(*_: object) -> None:
            raise av.ExternalError(542398533, "Generic error in an external library")

        monkeypatch.setattr("vis_cli.records.video_writer._frame", refuse)
        with pytest.raises(VisError, match=r"cannot write .*out\.mp4: Generic error in an external library$"):
            write_video(tmp_path / "out.mp4", [picture(0)], source)

    @pytest.mark.parametrize("link", [None, "symlink", "hard link"])
    def test_input_is_never_overwritten(self, tmp_path: Path, link: str | None) -> None:
        path = make_video(tmp_path)
        before = path.read_bytes()
        output = path if link is None else tmp_path / "other.mp4"
        if link == "symlink":
            output.symlink_to(path)
        elif link == "hard link":
            output.hardlink_to(path)
        with pytest.raises(
            VisError, match=r"cannot write .*\.mp4: the file is the input, which is never overwritten\. Use another"
        ):
            rewrite(path, output)
        assert path.read_bytes() == before

    def test_source_that_is_gone_is_one_line(self, tmp_path: Path) -> None:
        source = open_video(make_video(tmp_path, sound="aac"))
        source.count_frames()
        source.path.unlink()
        with pytest.raises(VisError, match=r"clip\.mp4: No such file"):
            write_video(tmp_path / "out.mp4", [picture(0)], source)
