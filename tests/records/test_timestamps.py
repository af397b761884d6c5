"""Tests of `vis_cli.records.timestamps`: joined recordings, AVI, pauses, and recordings that start mid-way."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.records.video_factory import frame_times, make_video, numbers_in, picture, rewrite, tone_frames
from vis_cli.records.timestamps import AudioClock, ClockSegment, FrameTimes
from vis_cli.records.video import open_video
from vis_cli.records.video_file import VideoFile

TS_PACKET = 188


def times_of(pts: list[int | None], *, may_jump: bool = True) -> FrameTimes:
    times = FrameTimes(4, Fraction(1, 100), may_jump=may_jump)
    for ticks in pts:
        times.append(ticks, 4)
    return times


@pytest.mark.parametrize(
    ("pts", "shown", "num_jumps"),
    [
        ([0, 4, 8], [0, 4, 8], 0),
        ([0, 4, 904, 908], [0, 4, 904, 908], 0),  # a pause of 9 s stays
        ([0, 4, 100_000, 100_004], [0, 4, 8, 12], 1),
        ([100_000, 100_004, 0, 4], [100_000, 100_004, 100_008, 100_012], 1),
        ([0, 4, 100_000, 0, 4], [0, 4, 8, 12, 16], 2),
        ([0, 4, 2, 12], [0, 4, 8, 12], 0),  # one faulty time
        ([None, None, 8], [0, 4, 8], 0),
    ],
)
def test_a_jump_counts_as_one_frame(pts: list[int | None], shown: list[int], num_jumps: int) -> None:
    times = times_of(pts)
    assert list(times.pts) == shown
    assert times.num_jumps == num_jumps
    assert times.end_pts == shown[-1] + 4


def test_a_long_pause_of_a_format_without_jumps_stays() -> None:
    assert list(times_of([0, 4, 100_000], may_jump=False).pts) == [0, 4, 100_000]


def test_faulty_times_become_those_of_the_packets() -> None:
    times = times_of([1, 3, 4, 2, 6], may_jump=False)
    times.settle([0, 1, 2, 3, 4], guessed=False)
    assert (list(times.shown), times.end_pts) == ([0, 1, 2, 3, 4], 8)
    kept = times_of([1, 3, 5], may_jump=False)
    kept.settle([0, 1, 2], guessed=False)
    assert list(kept.shown) == [1, 3, 5]
    kept.settle([0, 1], guessed=True)  # a packet is lost
    assert list(kept.shown) == [1, 3, 5]
    kept.settle([0, 2, 4], guessed=True)
    assert (list(kept.shown), list(kept.pts), kept.end_pts) == ([0, 2, 4], [1, 3, 5], 6)


def test_audio_is_shifted_like_the_frames_of_its_recording() -> None:
    clock_segments = [
        ClockSegment(Fraction(100), Fraction(101), Fraction(0)),
        ClockSegment(Fraction(5), Fraction(6), Fraction(96)),
    ]
    clock = AudioClock(clock_segments, origin=Fraction(100), may_jump=True)
    step = Fraction(1, 50)
    shown = [time + clock.shift_at(time, step) for time in map(Fraction, (100, "100.5", 101, "4.9", "5.5", "15.4"))]
    assert shown == [0, Fraction(1, 2), 1, Fraction(9, 10), Fraction(3, 2), Fraction(57, 5)]
    alone = AudioClock([], origin=Fraction(0), may_jump=True)
    assert [time + alone.shift_at(time, step) for time in map(Fraction, (0, 1, 500))] == [0, 1, 1 + step]


@pytest.mark.parametrize("starts", [(100, 20_000), (20_000, 100), (10, 10)])
def test_joined_transport_streams_play_in_one_go(tmp_path: Path, starts: tuple[int, int]) -> None:
    parts = [
        make_video(tmp_path, f"{number}.ts", codec="mpeg2video", sound="mp2", num_frames=20, start=Fraction(start))
        for number, start in enumerate(starts)
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = rewrite(both, tmp_path / "out.mp4")
    assert source.count_frames() == 40
    assert any("the clock of the file jumps once" in warning for warning in source.warnings)
    assert not any("packets are missing" in warning for warning in source.warnings)
    times = frame_times(tmp_path / "out.mp4")
    assert [later - earlier for earlier, later in pairwise(times)] == [Fraction(1, 25)] * 40
    with av.open(str(tmp_path / "out.mp4")) as container:
        audio = container.streams.audio[0]
        assert audio.duration is not None
        assert audio.time_base is not None
        assert float(audio.duration * audio.time_base) == pytest.approx(1.6, abs=0.2)


def test_a_transport_stream_that_starts_before_its_clock_overflows(tmp_path: Path) -> None:
    overflow = 2**33 // 90_000
    path = make_video(tmp_path, "a.ts", codec="mpeg2video", sound="mp2", num_frames=20, start=Fraction(overflow - 5))
    source = rewrite(path, tmp_path / "out.mp4")
    assert 0 <= source.frame_pts(0) * source.time_base < 1
    times = frame_times(tmp_path / "out.mp4")
    assert [later - earlier for earlier, later in pairwise(times)] == [Fraction(1, 25)] * 20


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_b_frames_has_even_steps(tmp_path: Path, codec: str) -> None:
    path = make_video(
        tmp_path, "dvr.avi", num_frames=10, rate=10, codec=codec, options={"bf": "2", "qmin": "1", "qmax": "2"}
    )
    rewrite(path, tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 10) for number in range(11)]
    assert numbers_in(open_video(tmp_path / "out.mp4").iter_frames()) == list(range(10))


@pytest.mark.parametrize(("codec", "b_frames"), [("libx264", 2), ("libx264", 0), ("mpeg4", 2)])
@pytest.mark.parametrize(("rate", "step"), [(20, 2), (1000, 100)])
def test_avi_with_empty_ticks_has_the_rate_of_its_frames(
    tmp_path: Path, codec: str, b_frames: int, rate: int, step: int
) -> None:
    path = tmp_path / "dvr.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, options={"bf": str(b_frames), "qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number * step, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    source = rewrite(path, tmp_path / "out.mp4")
    assert source.fps == 10
    assert [source.frame_pts(number) * source.time_base for number in range(13)] == [Fraction(n, 10) for n in range(13)]
    assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 10) for number in range(13)]


def test_a_recording_that_starts_between_key_frames_is_reported(tmp_path: Path) -> None:
    path = make_video(tmp_path, "a.ts", num_frames=20, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    assert VideoFile(path).warnings == []
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    assert positions[4] is not None
    path.write_bytes(data[: 3 * TS_PACKET] + data[positions[4] :])
    video = VideoFile(path)
    assert video.count_frames() == 10
    assert video.warnings == [
        "the file starts between codec key frames: 6 packets before the first frame did not decode"
    ]
    complete = VideoFile(make_video(tmp_path, "b.ts", num_frames=20, options={"g": "10", "bf": "2"}))
    assert (complete.count_frames(), complete.warnings) == (20, [])


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_audio_that_is_longer_is_no_early_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = output.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        output.mux(stream.encode(None))
        for samples in tone_frames(Fraction(3), "stereo", Fraction(0)):
            output.mux(tone.encode(samples))
        output.mux(tone.encode(None))
    video = VideoFile(path)
    assert (video.count_frames(), video.warnings) == (5, [])


def test_a_matroska_file_that_starts_late_is_no_early_end(tmp_path: Path) -> None:
    video = VideoFile(make_video(tmp_path, "a.mkv", start=Fraction(5), options={"bf": "0"}))
    assert (video.count_frames(), video.warnings) == (8, [])
    assert video.frame_pts(0) == 0


def test_a_clip_that_was_cut_without_encoding_has_the_frames_that_players_show(tmp_path: Path) -> None:
    """The file holds all frames from the codec key frame on; its edit list hides those before the cut."""
    path = tmp_path / "trim.mp4"
    with av.open(str(make_video(tmp_path, num_frames=20, rate=10, options={"g": "10", "bf": "2"}))) as whole:
        source = whole.streams.video[0]
        assert source.time_base is not None
        cut = round(Fraction(7, 20) / source.time_base)  # between frames 3 and 4
        with av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(source)
            for packet in whole.demux(source):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, stream
                    output.mux(packet)
    video = VideoFile(path)
    assert numbers_in(video.iter_frames()) == list(range(4, 20))
    assert (video.num_frames, video.warnings) == (16, [])
    rewrite(path, tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == [Fraction(number, 10) for number in range(17)]


@pytest.mark.parametrize("lost", [[6], [6, 7], [3, 12], [18]])
def test_packets_that_a_transport_stream_lost_are_reported(tmp_path: Path, lost: list[int]) -> None:
    path = make_video(tmp_path, "a.ts", num_frames=20, options={"g": "5", "bf": "0", "sc_threshold": "0"})
    with av.open(str(path)) as container:
        positions = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    gaps = [(positions[number], positions[number + 1]) for number in lost]
    kept = [place for place in range(0, len(data), TS_PACKET) if not any(a <= place < b for a, b in gaps)]
    path.write_bytes(b"".join(data[place : place + TS_PACKET] for place in kept))
    video = VideoFile(path)
    assert video.count_frames() == 20 - len(lost)
    places, frames = "2 places" if lost == [3, 12] else "1 place", "1 frame" if len(lost) == 1 else "2 frames"
    assert video.warnings == [f"packets are missing at {places} of the stream, with about {frames}"]


def test_joined_segments_whose_clock_goes_on_have_no_gap(tmp_path: Path) -> None:
    """The continuity counters start again, as after `cat segment*.ts`."""
    parts = [make_video(tmp_path, f"{start}.ts", num_frames=10, start=Fraction(start, 25)) for start in (0, 10)]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(tmp_path / "both.ts")) as container:
        assert any(packet.is_corrupt for packet in container.demux(video=0))
    video = VideoFile(tmp_path / "both.ts")
    assert (video.count_frames(), video.warnings) == (20, [])
