"""Tests of `vis_cli.records.video_part`: the frames of a part are the frames of the complete video."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.records.test_audio import lag_of_sound, samples_of
from tests.records.video_factory import (
    QUARTER_TURNS,
    damage,
    frame_times,
    make_images,
    make_video,
    numbers_in,
    picture,
    write_image,
)
from vis_cli.errors import VisError
from vis_cli.records.part import VideoPart, make_request
from vis_cli.records.types import VideoInfo
from vis_cli.records.video import Video, open_segmented, open_video, write_video
from vis_cli.records.video import frame_times as times_of
from vis_cli.records.video_file import VideoFile
from vis_cli.records.video_part import PartVideo

NUM_FRAMES = 20
UNEVEN_MS = [0, 10, 50, 51, 90, 200, 201, 230, 300, 340, 400, 410, 420, 500, 600, 700, 710, 777, 800, 900]


def make_edited(folder: Path) -> Path:
    """Cut the start of a video with B-frames without encoding: an edit list hides the first frames."""
    source = make_video(folder, "long.mp4", num_frames=NUM_FRAMES, options={"g": "8", "bf": "2"})
    path = folder / "edited.mp4"
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        stream = container.streams.video[0]
        copy = output.add_stream_from_template(stream)
        assert stream.time_base is not None
        shift = round(Fraction(3, 25) / stream.time_base)
        for packet in container.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
                packet.stream = copy
                output.mux(packet)
    return path


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "mp4 with B-frames": lambda folder: make_video(folder, num_frames=NUM_FRAMES, options={"g": "7", "bf": "3"}),
    "mp4 with an edit list": make_edited,
    "open GOP": lambda folder: make_video(
        folder, "a.mp4", num_frames=NUM_FRAMES, options={"g": "6", "bf": "2", "x264-params": "open-gop=1"}
    ),
    "mkv": lambda folder: make_video(folder, "a.mkv", num_frames=NUM_FRAMES, options={"g": "5"}),
    "webm": lambda folder: make_video(folder, "a.webm", codec="libvpx-vp9", num_frames=NUM_FRAMES),
    "ts": lambda folder: make_video(folder, "a.ts", codec="mpeg2video", num_frames=NUM_FRAMES, start=Fraction(10)),
    "avi": lambda folder: make_video(folder, "a.avi", codec="mpeg4", num_frames=NUM_FRAMES, options={"bf": "2"}),
    "stream without timestamps": lambda folder: make_video(folder, "a.h264", num_frames=NUM_FRAMES),
    "variable frame rate": lambda folder: make_video(folder, num_frames=NUM_FRAMES, pts_ms=UNEVEN_MS),
    "rotated": lambda folder: make_video(folder, num_frames=NUM_FRAMES, matrix=QUARTER_TURNS[90]),
    "folder": lambda folder: make_images(folder / "f", [f"{number:03d}.png" for number in range(NUM_FRAMES)]),
}


@pytest.fixture(params=CONTAINERS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return CONTAINERS[request.param](tmp_path)


def part_of(video: Video | PartVideo) -> VideoPart:
    assert video.part is not None
    return video.part


def require_same_frames(video: Video, path: Path, expected: range) -> None:
    """Compare a part with a complete decoding: numbers, pixels and timestamps, in two iterations."""
    complete = open_video(path)
    frames = list(complete.iter_frames())
    times = times_of(complete, len(frames))
    for _ in range(2):
        found = list(video.iter_frames())
        assert part_of(video).frames == expected
        assert len(found) == video.num_frames == video.count_frames() == len(expected)
        for frame, number in zip(found, expected, strict=True):
            np.testing.assert_array_equal(frame, frames[number])
    assert times_of(video, len(found)) == tuple(times[number] for number in expected)
    if complete.frame_names is not None:
        assert video.frame_names == tuple(complete.frame_names[number] for number in expected)


class TestFrames:
    def test_by_number(self, path: Path) -> None:
        require_same_frames(open_video(path, start=5, end=16, every=3), path, range(5, 16, 3))

    def test_by_time(self, path: Path) -> None:
        complete = open_video(path)
        times = times_of(complete, complete.count_frames())
        first = next(number for number, time in enumerate(times) if round(time, 6) >= round(times[6], 6))
        video = open_video(path, start=round(times[6], 6), end=round(times[13], 6))
        require_same_frames(video, path, range(first, 13))

    def test_of_a_stored_part(self, path: Path) -> None:
        video = open_video(path, start="4", end="11", every=2)
        info = VideoInfo("clip", path, 64, 48, 25.0, video.count_frames(), part=video.part)
        require_same_frames(open_segmented(path, info), path, range(4, 11, 2))

    def test_by_time_and_number(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=10)
        assert numbers_in(open_video(clip, start="0.08s", end=7).iter_frames()) == [2, 3, 4, 5, 6]
        assert numbers_in(open_video(clip, start=2, end="0.2s").iter_frames()) == [2, 3, 4]

    def test_a_time_between_two_frames_means_the_next_frame(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=10)  # a frame every 0.04 s
        assert numbers_in(open_video(clip, start="0.05", end="0.13").iter_frames()) == [2, 3]

    def test_a_timestamp_of_a_result_means_its_frame(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=10, rate=24)
        time = round(times_of(open_video(clip), 8)[7], 6)  # 0.291667 is above 7 / 24
        assert numbers_in(open_video(clip, start=time, end=9).iter_frames()) == [7, 8]

    @pytest.mark.parametrize(("start", "end", "every"), [(3, 4, 1), (3, None, 100), ("0.12s", "0.16s", 1)])
    def test_one_frame(self, tmp_path: Path, start: int | str, end: int | str | None, every: int) -> None:
        clip = make_video(tmp_path)
        video = open_video(clip, start=start, end=end, every=every)
        require_same_frames(video, clip, range(3, 4 if end else 8, every))
        assert str(part_of(video)) == "frame 3"

    def test_parts_that_meet_share_no_frame(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path)
        parts = [open_video(clip, end="0.2s"), open_video(clip, start="0.2s")]
        assert [numbers_in(video.iter_frames()) for video in parts] == [[0, 1, 2, 3, 4], [5, 6, 7]]

    def test_after_damage_the_numbers_are_the_ones_of_the_complete_video(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=NUM_FRAMES, options={"g": "4", "bf": "0"})
        damage(clip, 0.8, 0.9)
        complete = open_video(clip)
        frames = list(complete.iter_frames())
        video = open_video(clip, start=len(frames) - 2)
        for found, frame in zip(video.iter_frames(), frames[-2:], strict=True):
            np.testing.assert_array_equal(found, frame)
        assert complete.warnings
        assert video.warnings == complete.warnings

    def test_damage_before_the_end_of_a_part_is_reported_once(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=NUM_FRAMES, options={"g": "4", "bf": "0"})
        damage(clip, 0.8, 0.9)
        video = open_video(clip, start=10, end=14)
        for _ in range(2):
            list(video.iter_frames())
        assert len(video.warnings) == len(set(video.warnings)) > 0

    def test_warnings_about_frames_after_a_part_are_omitted(self, tmp_path: Path) -> None:
        """The timestamps of a raw stream need a complete iteration."""
        clips = [make_video(tmp_path, f"{width}.h264", num_frames=4, size=(width, 96)) for width in (64, 128)]
        path = tmp_path / "both.h264"
        path.write_bytes(b"".join(clip.read_bytes() for clip in clips))
        for end, warnings in ((4, []), (6, ["2 frames of another size scaled to 64x96"])):
            video = open_video(path, end=end)
            list(video.iter_frames())
            video.settle_times()
            assert (video.count_frames(), video.warnings) == (end, warnings)

    def test_frames_after_a_part_are_not_decoded(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path, num_frames=NUM_FRAMES, options={"g": "4", "bf": "0"})
        damage(clip, 0.8, 0.9)
        video = open_video(clip, end=4)
        assert numbers_in(video.iter_frames()) == [0, 1, 2, 3]
        assert video.warnings == []

    def test_images_outside_of_a_part_are_not_read(self, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "f", [f"{number}.png" for number in range(5)])
        (folder / "1.png").write_bytes(b"no image")
        write_image(folder / "4.png", picture(4, (32, 32)))
        assert numbers_in(open_video(folder, every=2, end=4).iter_frames()) == [0, 2]
        with pytest.raises(VisError, match="the size is 32x32"):
            list(open_video(folder, every=2).iter_frames())

    def test_timestamps_that_change_are_settled_first(self, tmp_path: Path) -> None:
        """Until the file is complete, its timestamps are two frames late, as with B-frames and missing timestamps."""

        class LateTimes(VideoFile):
            @property
            def has_doubtful_times(self) -> bool:
                return not self.is_complete

            def settle_times(self) -> None:
                pass

            def frame_pts(self, number: int) -> int:
                late = Fraction(0) if self.is_complete else Fraction(2, 25)
                return super().frame_pts(number) + round(late / self.time_base)

        request = make_request("0.2s", "0.32s")
        assert request is not None
        video = PartVideo(LateTimes(make_video(tmp_path, num_frames=12)), request)
        assert numbers_in(video.iter_frames()) == [5, 6, 7]
        assert part_of(video).frames == range(5, 8)


class TestLength:
    def test_before_decoding_it_is_an_estimate(self, tmp_path: Path) -> None:
        clip = make_video(tmp_path)
        assert open_video(clip, start="0.08s", end=7, every=2).num_frames == 3
        assert open_video(clip, start=100).num_frames is None

    def test_of_a_folder_is_known(self, tmp_path: Path) -> None:
        folder = make_images(tmp_path / "f", ["0.png", "1.png", "2.png"])
        assert open_video(folder, start=1).num_frames == 2

    def test_the_end_of_the_video_is_reported(self, tmp_path: Path) -> None:
        video = open_video(make_video(tmp_path), start=2, end="1:00")
        assert (video.count_frames(), part_of(video).ends_with_video) == (6, True)
        assert video.warnings == ["the part ends with the video (8 frames, 0.32 s), before --end 60s"]

    @pytest.mark.parametrize("end", [8, "0.32s"])
    def test_an_end_at_the_end_of_the_video_is_not_reported(self, tmp_path: Path, end: int | str) -> None:
        video = open_video(make_video(tmp_path), start=2, end=end)
        assert (video.count_frames(), part_of(video).ends_with_video, video.warnings) == (6, True, [])


class TestErrors:
    @pytest.mark.parametrize("start", [8, 5000, "0.34s", "1:00"])
    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_start_after_the_end_of_the_video(self, tmp_path: Path, start: int | str, kind: str) -> None:
        names = [f"{number}.png" for number in range(8)]
        source = make_video(tmp_path) if kind == "file" else make_images(tmp_path / "f", names)
        pattern = r"is after the end of the video \(8 frames, 0.3[23] s\). Use an earlier --start"
        with pytest.raises(VisError, match=pattern):
            list(open_video(source, start=start).iter_frames())

    def test_a_start_within_a_wrong_number_of_frames_in_the_header(self, tmp_path: Path) -> None:
        path = make_video(tmp_path, "a.avi", codec="mpeg4")
        data = bytearray(path.read_bytes())
        position = data.index(b"strh") + 8 + 32  # dwLength of the stream
        data[position : position + 4] = (100).to_bytes(4, "little")
        path.write_bytes(bytes(data))
        assert open_video(path).num_frames == 100
        video = open_video(path, start=50)
        assert video.num_frames == 50
        with pytest.raises(VisError, match="start 50 is after the end of the video \\(8 frames"):
            list(video.iter_frames())

    @pytest.mark.parametrize(("start", "end"), [("0.05s", "0.07s"), (5, "0.1s"), ("0.3s", 4)])
    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_part_without_a_frame(self, tmp_path: Path, start: int | str, end: int | str, kind: str) -> None:
        names = [f"{number}.png" for number in range(8)]
        source = make_video(tmp_path) if kind == "file" else make_images(tmp_path / "f", names)
        with pytest.raises(VisError, match="no frame is in the part --start") as caught:
            list(open_video(source, start=start, end=end).iter_frames())
        assert "\n" not in str(caught.value)


class TestOverlay:
    def test_has_the_timing_of_the_source(self, path: Path, tmp_path: Path) -> None:
        complete = open_video(path)
        times = times_of(complete, complete.count_frames() + 1)
        video = open_video(path, start=5, end=16, every=2)
        write_video(tmp_path / "out.mp4", video.iter_frames(), video)
        shown = [times[number] - times[5] for number in (*range(5, 16, 2), 16)]
        assert [float(time) for time in frame_times(tmp_path / "out.mp4")] == pytest.approx(shown, abs=2e-3)

    @pytest.mark.parametrize(
        ("name", "codec", "sound"), [("a.mp4", "libx264", "aac"), ("a.mkv", "libx264", "pcm_s16le")]
    )
    def test_has_the_audio_of_the_part(self, tmp_path: Path, name: str, codec: str, sound: str) -> None:
        path = make_video(tmp_path, name, num_frames=NUM_FRAMES, codec=codec, sound=sound)
        video = open_video(path, start="0.2s", end="0.6s", every=2)
        write_video(tmp_path / "out.mp4", video.iter_frames(), video)
        assert samples_of(tmp_path / "out.mp4").size == pytest.approx(0.4 * 48_000, abs=2048)
        assert lag_of_sound(tmp_path / "out.mp4") == pytest.approx(0, abs=0.025)

    @pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
    def test_the_audio_stays_in_sync(self, tmp_path: Path, sound: str) -> None:
        """A click in the audio at 1.2 s is 0.72 s after a start at 0.48 s."""
        video = open_video(make_click(tmp_path / "a.mkv", sound, seconds=1.2), start="0.48s")
        write_video(tmp_path / "out.mp4", video.iter_frames(), video)
        assert time_of_click(tmp_path / "out.mp4") == pytest.approx(0.72, abs=0.003)


def time_of_click(path: Path) -> float:
    """Return the time of the loudest sample in seconds."""
    peaks = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0])
            assert frame.time is not None
            peaks.append((float(samples.max()), frame.time + int(samples.argmax()) / 48_000))
    return max(peaks)[1]


def make_click(path: Path, sound: str, seconds: float) -> Path:
    """Encode 50 frames with silence and one click."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(sound, rate=48_000, layout="stereo")
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(picture(number % 20), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        wave = np.zeros((2, 96_000), np.float32)
        wave[:, int(seconds * 48_000) : int(seconds * 48_000) + 48] = 0.9
        for first in range(0, 96_000, 960):
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, first : first + 960]), "fltp", "stereo")
            samples.sample_rate, samples.time_base, samples.pts = 48_000, Fraction(1, 48_000), first
            output.mux(audio.encode(samples))
        output.mux(audio.encode(None))
    return path


def test_a_request_is_needed_once(tmp_path: Path) -> None:
    assert open_video(make_video(tmp_path), start=0).part is None
    assert make_request(start=0) is None
