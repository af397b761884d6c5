"""Tests of `vis_cli.records.audio` through `write_video`: the source's sound, in step, in what browsers play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from tests.records.video_factory import frame_times, make_video, numbers_in, picture, rewrite, tone_frames
from vis_cli.records.audio import _in_order
from vis_cli.records.video import open_video


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def samples_of(path: Path) -> NDArray[np.float32]:
    """Decode the sound as (samples,) float32 of the first channel."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def lag_of_sound(path: Path) -> float:
    """Return how many seconds after the first frame the sound starts, priming aside."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.time_base is not None
        assert audio.time_base is not None
        return float((audio.start_time or 0) * audio.time_base - (video.start_time or 0) * video.time_base)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [("a.mp4", "libx264", "aac"), ("a.avi", "mpeg4", "libmp3lame"), ("a.mkv", "libx264", "libopus")],
)
def test_what_browsers_play_is_copied(tmp_path: Path, name: str, codec: str, sound: str) -> None:
    source = make_video(tmp_path, name, codec=codec, sound=sound)
    rewrite(source, tmp_path / "out.mp4")
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(source)
    assert lag_of_sound(tmp_path / "out.mp4") == pytest.approx(lag_of_sound(source), abs=0.003)


@pytest.mark.parametrize("sound", ["aac", "mp2"])
def test_sound_of_a_transport_stream_stays_in_step(tmp_path: Path, sound: str) -> None:
    source = make_video(tmp_path, "a.ts", codec="mpeg2video", sound=sound, start=Fraction(10))
    rewrite(source, tmp_path / "out.mp4")
    assert samples_of(tmp_path / "out.mp4").size == pytest.approx(samples_of(source).size, abs=2400)
    assert lag_of_sound(tmp_path / "out.mp4") == pytest.approx(lag_of_sound(source), abs=0.003)
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)


def test_packets_are_put_in_order_and_those_without_a_time_left_out() -> None:
    packets = []
    for time in (None, 0, 4, 4, 3, 20):
        packet = cast("Packet[AudioStream]", Packet(b"sound"))
        packet.pts, packet.dts, packet.duration = time, time, 4
        packets.append(packet)
    assert [(packet.pts, packet.dts) for packet in _in_order(packets)] == [(0, 0), (4, 4), (8, 8), (12, 12), (20, 20)]


@pytest.mark.parametrize(
    ("name", "sound", "layout"),
    [
        ("a.mkv", "pcm_s16le", "stereo"),
        ("a.mkv", "flac", "mono"),
        ("a.mkv", "ac3", "stereo"),
        ("a.ts", "mp2", "mono"),
    ],
)
def test_other_sound_becomes_aac_and_sounds_the_same(tmp_path: Path, name: str, sound: str, layout: str) -> None:
    codec = "mpeg2video" if name == "a.ts" else "libx264"
    source = make_video(tmp_path, name, codec=codec, sound=sound, sound_layout=layout, num_frames=20)
    rewrite(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.layout.name) == ("aac", "stereo")
    samples = samples_of(tmp_path / "out.mp4")
    length = 0.8 * 48_000 - (256 if sound == "ac3" else 0)  # without what its encoder puts in front
    assert length <= samples.size <= length + 4 * 1024  # whole blocks of AAC and of the source
    middle = samples[9_600:28_800]
    loudest = np.abs(np.fft.rfft(middle)).argmax() * 48_000 / middle.size
    assert loudest == pytest.approx(440, abs=3)
    assert np.sqrt((middle**2).mean()) == pytest.approx(np.sqrt(0.5) / 3, rel=0.35)


def test_sound_that_changes_its_layout_is_kept_whole(tmp_path: Path) -> None:
    first = make_video(tmp_path, "1.ts", codec="mpeg2video", sound="mp2", num_frames=20)
    second = make_video(
        tmp_path, "2.ts", codec="mpeg2video", sound="mp2", sound_layout="mono", num_frames=20, start=Fraction(4, 5)
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    rewrite(both, tmp_path / "out.mp4")
    assert samples_of(tmp_path / "out.mp4").size / 48_000 == pytest.approx(1.6, abs=0.15)


def test_sound_longer_than_the_pictures_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = output.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        output.mux(stream.encode(None))
        for samples in tone_frames(Fraction(2), "stereo", Fraction(0)):
            output.mux(tone.encode(samples))
        output.mux(tone.encode(None))
    rewrite(path, tmp_path / "out.mp4")
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(path)


@pytest.mark.parametrize("sound", ["aac", "flac"])
def test_damaged_sound_costs_only_itself(tmp_path: Path, sound: str) -> None:
    source = make_video(tmp_path, sound=sound, num_frames=20)
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    for position, size in packets[5:10]:
        assert position is not None
        data[position : position + size] = b"\xff" * size
    source.write_bytes(data)
    rewrite(source, tmp_path / "out.mp4")
    assert numbers_in(open_video(tmp_path / "out.mp4").iter_frames()) == list(range(20))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(0.8, abs=0.06)
        assert [stream.type for stream in container.streams] == ["video", "audio"]


def test_silent_source_gives_a_silent_output(tmp_path: Path) -> None:
    rewrite(make_video(tmp_path), tmp_path / "out.mp4")
    assert not open_video(tmp_path / "out.mp4").has_audio


def test_audio_packet_with_a_lost_header_is_dropped_and_reported(tmp_path: Path) -> None:
    source = make_video(tmp_path, "a.ts", codec="mpeg2video", sound="aac", num_frames=22)
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        positions = [packet.pos for packet in container.demux(audio=0) if packet.size]
    position = positions[len(positions) // 2]
    assert position is not None
    header = data.index(b"\xff\xf1", position)
    data[header : header + 7] = bytes(7)
    source.write_bytes(data)
    video = rewrite(source, tmp_path / "out.mp4")
    assert numbers_in(open_video(tmp_path / "out.mp4").iter_frames())[:5] == [0, 1, 2, 3, 4]
    assert samples_of(tmp_path / "out.mp4").size > 24_000
    assert any("audio" in warning and "damaged packet" in warning for warning in video.warnings)


def test_audio_that_cannot_be_decoded_at_all_is_reported(tmp_path: Path) -> None:
    """A transport stream names its streams in a table of its own, so the stream is known, and nothing else of it."""
    source = make_video(tmp_path, "a.ts", codec="mpeg2video", sound="aac", num_frames=22)
    with av.open(str(source)) as container:
        audio_pid = container.streams.audio[0].id
    data = bytearray(source.read_bytes())
    for start in range(0, len(data), 188):
        if (data[start + 1] & 0x1F) << 8 | data[start + 2] == audio_pid:
            data[start + 4 : start + 188] = bytes(184)
    source.write_bytes(data)
    video = rewrite(source, tmp_path / "out.mp4")
    assert numbers_in(open_video(tmp_path / "out.mp4").iter_frames())[:3] == [0, 1, 2]
    assert "the audio cannot be decoded, so the overlay has no audio" in video.warnings
