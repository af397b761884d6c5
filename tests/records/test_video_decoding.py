"""Tests of `vis_cli.records.video_file`: each iteration yields the same images, also of damaged files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.records.video_factory import damage, make_video, numbers_in, truncate
from vis_cli.errors import VisError
from vis_cli.records import container, video_file
from vis_cli.records.decoder import ALL_CORES
from vis_cli.records.video_file import VideoFile

GROUPS_OF_FIVE = {"g": "5", "bf": "2", "sc_threshold": "0"}


@pytest.fixture
def threads_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the number of decoder threads with which files are opened."""
    used: list[int] = []
    opened = container.opened_video

    @contextmanager
    def recording(path: Path, *, threads: int, number: int | None) -> Iterator[Any]:
        used.append(threads)
        with opened(path, threads=threads, number=number) as both:
            yield both

    monkeypatch.setattr(video_file, "opened_video", recording)
    return used


def checksums(video: VideoFile) -> list[int]:
    return [zlib.crc32(image.data) for image in video.iter_frames()]


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
def test_a_complete_file_is_decoded_by_all_cores_after_the_first_iteration(
    tmp_path: Path, threads_used: list[int], name: str, codec: str
) -> None:
    video = VideoFile(make_video(tmp_path, name, codec=codec, num_frames=20, options=GROUPS_OF_FIVE))
    first = checksums(video)
    assert len(first) == 20
    assert checksums(video) == first
    assert threads_used == [1, 1, ALL_CORES]  # opened, and iterated twice


def test_a_stream_without_times_has_ascending_times(tmp_path: Path) -> None:
    video = VideoFile(make_video(tmp_path, "a.h264", num_frames=12, options=GROUPS_OF_FIVE))
    assert numbers_in(video.iter_frames()) == list(range(12))
    times = [video.frame_pts(number) for number in range(13)]
    assert times == sorted(set(times))


def test_an_iteration_that_stops_early_leaves_the_number_of_frames_open(tmp_path: Path) -> None:
    video = VideoFile(make_video(tmp_path, num_frames=20))
    assert numbers_in(islice(video.iter_frames(), 3)) == [0, 1, 2]
    assert numbers_in(video.iter_frames()) == list(range(20))
    assert video.num_frames == 20


class TestDamage:
    @pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libsvtav1"])
    def test_damaged_file_is_the_same_in_every_iteration(
        self, tmp_path: Path, codec: str, threads_used: list[int]
    ) -> None:
        options = {} if codec == "libsvtav1" else GROUPS_OF_FIVE
        path = make_video(tmp_path, codec=codec, num_frames=20, options=options)
        damage(path, 0.4, 0.5)
        video = VideoFile(path)
        whole = checksums(video)
        warnings = list(video.warnings)
        assert warnings
        assert checksums(video) == whole == checksums(VideoFile(path))
        assert video.warnings == warnings
        assert set(threads_used) == {1}

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
        assert video.warnings[-1] == f"the file ends early: the header has 4.0 s, the frames end at {end:.1f} s"

    def test_frames_that_ffmpeg_patches_up_are_counted(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, num_frames=20, options={"g": "1", "crf": "5"})
        damage(path, 0.52, 0.53)
        video = VideoFile(path)
        assert video.count_frames() == 20
        assert video.warnings == ["1 frame decoded with damage"]

    def test_nothing_that_decodes_is_one_line(self, tmp_path: Path) -> None:
        path = make_video(tmp_path)
        damage(path, 0.0, 1.0)
        with pytest.raises(VisError, match=r"clip\.mp4: none of its frames can be decoded\. Restore"):
            VideoFile(path)
