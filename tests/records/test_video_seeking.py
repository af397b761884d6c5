"""Tests of `vis_cli.records.video_file`: the same picture for a number, sought or not, in damaged files too."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.records.video_factory import damage, make_video, numbers_in, truncate
from vis_cli.errors import VisError
from vis_cli.records import container, decoder, video_file
from vis_cli.records.decoder import ALL_CORES
from vis_cli.records.video_file import VideoFile

GROUPS_OF_FIVE = {"g": "5", "bf": "2", "sc_threshold": "0"}


@pytest.fixture
def threads_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record with how many threads files are opened: 1 is the slow way from the start, ALL_CORES the fast one."""
    used: list[int] = []
    opened = container.opened_video

    @contextmanager
    def recording(path: Path, *, threads: int, number: int | None) -> Iterator[Any]:
        used.append(threads)
        with opened(path, threads=threads, number=number) as both:
            yield both

    monkeypatch.setattr(video_file, "opened_video", recording)
    return used


def checksums(video: VideoFile, start: int = 0, stop: int | None = None) -> list[int]:
    return [zlib.crc32(image.data) for image in video.iter_frames(start, stop)]


class TestSeeking:
    @pytest.mark.parametrize(
        ("name", "codec"),
        [
            ("a.mp4", "libx264"),
            ("a.mkv", "libx264"),
            ("a.avi", "mpeg4"),
            ("a.ts", "mpeg2video"),
            ("a.mpg", "mpeg2video"),
        ],
    )
    def test_every_part_is_frame_exact_and_found_by_seeking(
        self, tmp_path: Path, threads_used: list[int], name: str, codec: str
    ) -> None:
        video = VideoFile(make_video(tmp_path, name, codec=codec, num_frames=20, options=GROUPS_OF_FIVE))
        whole = checksums(video)
        assert len(whole) == 20
        threads_used.clear()
        for start in range(20):
            assert checksums(video, start, start + 3) == whole[start : start + 3]
        assert set(threads_used) == {ALL_CORES}

    def test_seeking_decodes_little_of_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        video = VideoFile(make_video(tmp_path, num_frames=20, options=GROUPS_OF_FIVE))
        video.count_frames()
        decoded: list[int | None] = []
        original = decoder.decoded_frames

        def recording(*args: Any) -> Iterator[Any]:
            for frame in original(*args):
                decoded.append(frame.pts)
                yield frame

        monkeypatch.setattr(video_file, "decoded_frames", recording)
        assert numbers_in(video.iter_frames(17, 19)) == [17, 18]
        assert len(decoded) <= 9

    def test_parts_before_any_full_iteration(self, tmp_path: Path) -> None:
        video = VideoFile(make_video(tmp_path, num_frames=20))
        assert numbers_in(video.iter_frames(15, 17)) == [15, 16]
        assert numbers_in(video.iter_frames(3, 5)) == [3, 4]
        assert numbers_in(video.iter_frames(16, 99)) == [16, 17, 18, 19]
        assert video.num_frames == 20

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (5, 5), (6, 2), (8, 12), (99, None)])
    def test_empty_ranges_are_empty(self, tmp_path: Path, start: int, stop: int | None) -> None:
        video = VideoFile(make_video(tmp_path))
        assert list(video.iter_frames(start, stop)) == []
        video.count_frames()
        assert list(video.iter_frames(start, stop)) == []

    def test_negative_start_is_a_programmers_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="-1"):
            list(VideoFile(make_video(tmp_path)).iter_frames(-1))

    def test_picture_that_differs_from_the_known_one_is_decoded_the_slow_way(
        self, tmp_path: Path, threads_used: list[int]
    ) -> None:
        video = VideoFile(make_video(tmp_path, num_frames=20, options=GROUPS_OF_FIVE))
        whole = checksums(video)
        video._index.checksums[12] ^= 1  # as if seeking had given another picture than the first iteration
        threads_used.clear()
        assert checksums(video, 10, 15) == whole[10:15]
        assert threads_used == [ALL_CORES, ALL_CORES, 1]

    def test_stream_without_times_is_decoded_from_the_start(self, tmp_path: Path, threads_used: list[int]) -> None:
        video = VideoFile(make_video(tmp_path, "a.h264", num_frames=12, options=GROUPS_OF_FIVE))
        assert numbers_in(video.iter_frames()) == list(range(12))
        assert numbers_in(video.iter_frames(7, 10)) == [7, 8, 9]
        assert set(threads_used) == {1}
        times = [video.frame_pts(number) for number in range(13)]
        assert times == sorted(set(times))


class TestDamage:
    @pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libsvtav1"])
    def test_damaged_file_is_the_same_in_every_iteration(self, tmp_path: Path, codec: str) -> None:
        options = {} if codec == "libsvtav1" else GROUPS_OF_FIVE
        path = make_video(tmp_path, codec=codec, num_frames=20, options=options)
        damage(path, 0.4, 0.5)
        video = VideoFile(path)
        whole = checksums(video)
        warnings = list(video.warnings)
        assert warnings
        assert checksums(video) == whole == checksums(VideoFile(path))
        for start in range(len(whole)):
            assert checksums(video, start, start + 2) == whole[start : start + 2]
        assert video.warnings == warnings

    def test_loss_is_said_in_plain_words(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, container_options={"movflags": "+faststart"}, num_frames=20, options={"bf": "0"})
        truncate(path, 0.8)
        video = VideoFile(path)
        num_frames = video.count_frames()
        assert 8 <= num_frames < 20
        assert video.warnings[0] == f"1 packet did not decode; {num_frames} frames used"

    def test_file_cut_between_two_packets_is_said_to_end_early(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, "a.mkv", num_frames=20, rate=5, codec="ffv1", pix_fmt="bgra")
        truncate(path, 0.55)
        video = VideoFile(path)
        assert numbers_in(video.iter_frames()) == list(range(video.num_frames or 0))
        assert video.num_frames in range(8, 13)
        end = (video.num_frames or 0) / 5
        assert video.warnings[-1] == f"the file ends early: its header promises 4.0 s, its frames end at {end:.1f} s"

    def test_frames_that_ffmpeg_patches_up_are_counted(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, num_frames=20, options={"g": "1", "crf": "5"})
        damage(path, 0.52, 0.53)
        video = VideoFile(path)
        assert video.count_frames() == 20
        assert video.warnings == ["1 frame decoded with damage"]

    def test_nothing_that_decodes_is_one_line(self, tmp_path: Path) -> None:
        path = make_video(tmp_path)
        damage(path, 0.0, 1.0)
        with pytest.raises(VisError, match=r"clip\.mp4: no frame of it decodes"):
            VideoFile(path)
