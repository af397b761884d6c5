"""Copying of an audio stream into another file, in sync with the frames.

Used by `video_writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from vis_cli.records.container import as_fraction, clock_may_jump, start_seconds
from vis_cli.records.decoder import Damage, stream_packets
from vis_cli.records.timestamps import AudioClock, ClockSegment

UNUSABLE_PACKET = (av.InvalidDataError, av.ArgumentError, av.PatchWelcomeError)  # not raised for a full disk
AUDIO_RATE = 48_000  # samples per second of audio that is encoded again


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Codecs of the audio in a container."""

    copied: frozenset[str]  # codecs that the container supports and its players play
    encoder: str  # of FFmpeg, for the audio of other codecs


MP4_AUDIO = AudioFormat(frozenset({"aac", "mp3", "opus"}), "aac")
MOV_AUDIO = AudioFormat(frozenset({"aac", "mp3"}), "aac")
WEBM_AUDIO = AudioFormat(frozenset({"opus", "vorbis"}), "libopus")


class AudioWriter:
    """Writer of one audio stream. It copies the stream if players support its codec, or encodes it again as stereo."""

    def __init__(
        self,
        container: InputContainer,
        source: AudioStream,
        output: OutputContainer,
        clock_segments: Sequence[ClockSegment] = (),
        span: tuple[Fraction, Fraction] | None = None,
        *,
        audio_format: AudioFormat = MP4_AUDIO,
    ) -> None:
        """Add an audio stream to the output.

        Args:
            container: The opened source. The start of its clock becomes 0 in the output.
            source: The audio stream.
            output: The opened output, before its first packet.
            clock_segments: The parts of the source between jumps of its clock, from the timestamps of the frames.
            span: Start and end of the copied part in seconds. The start becomes 0. None: the complete stream.
            audio_format: Codecs of the container.
        """
        start, length = (Fraction(0), None) if span is None else (span[0], span[1] - span[0])
        self.num_dropped = 0
        self._output = output
        clock = AudioClock(clock_segments, origin=start_seconds(container) + start, may_jump=clock_may_jump(container))
        if source.codec_context.codec.canonical_name in audio_format.copied:
            packets = _copied(container, source, output.add_stream_from_template(source), clock, length)
        else:
            target = _stereo_stream(output, audio_format.encoder)
            packets = _encoded(container, source, target, clock, length)
        self._packets = _in_order(packets)

    def write_until(self, seconds: Fraction | None = None) -> None:
        """Write the packets up to a time of the output in seconds, or all remaining packets.

        A packet that MP4 cannot store, for example with a damaged header, is dropped and counted.
        """
        for packet in self._packets:
            time = (packet.pts or 0) * packet.time_base
            try:
                self._output.mux(packet)
            except UNUSABLE_PACKET:
                self.num_dropped += 1
            if seconds is not None and time > seconds:
                return


def _stereo_stream(output: OutputContainer, encoder: str) -> AudioStream:
    stream = output.add_stream(encoder, rate=AUDIO_RATE, layout="stereo")
    assert isinstance(stream, AudioStream)
    return stream


def _in_order(packets: Iterable[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
    """Yield the packets with increasing timestamps, which MP4 requires.

    In joined recordings, a packet can have a timestamp before the end of the previous packet. It is moved to this end.
    A packet without a timestamp is dropped.
    """
    last: int | None = None
    for packet in packets:
        if packet.dts is None:
            continue
        if last is not None and packet.dts <= last:
            packet.pts = packet.dts = last + max(1, packet.duration or 0)
        last = packet.dts
        yield packet


def _copied(
    container: InputContainer, source: AudioStream, target: AudioStream, clock: AudioClock, length: Fraction | None
) -> Iterator[Packet[AudioStream]]:
    """Yield the packets of the source with shifted timestamps; with a `length`, packets that start from 0 to before it.

    Packets last about 20 ms, so a part can lack this much at its start.
    """
    for packet in stream_packets(container, source, Damage()):
        base = as_fraction(packet.time_base)
        time = packet.pts if packet.dts is None else packet.dts
        if time is None or base is None:
            continue
        shift = round(clock.shift_at(time * base, (packet.duration or 0) * base) / base)
        if length is not None and (time + shift) * base >= length:
            return
        if length is not None and time + shift < 0:
            continue
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift
        packet.stream = target
        yield packet


def _encoded(
    container: InputContainer, source: AudioStream, target: AudioStream, clock: AudioClock, length: Fraction | None
) -> Iterator[Packet[AudioStream]]:
    """Decode the packets of the source and encode them again. Packets that cannot be decoded are dropped."""
    frames = _resampled(_decoded(container, source, clock, length))
    for frame in frames if length is None else _trimmed(frames, length):
        yield from target.encode(frame)
    yield from target.encode(None)


def _decoded(
    container: InputContainer, source: AudioStream, clock: AudioClock, length: Fraction | None
) -> Iterator[AudioFrame]:
    """Yield the frames with shifted timestamps; with a `length`, the frames that overlap the time from 0 to it."""
    for packet in chain(stream_packets(container, source, Damage()), (None,)):
        try:
            frames = source.decode(packet)
        except av.FFmpegError:
            continue
        for frame in frames:
            base = as_fraction(frame.time_base)
            if frame.pts is not None and base is not None:
                duration = Fraction(frame.samples, max(1, frame.sample_rate))
                frame.pts += round(clock.shift_at(frame.pts * base, duration) / base)
                if length is not None and frame.pts * base >= length:
                    return
                if length is None or frame.pts * base + duration > 0:
                    yield frame


def _trimmed(frames: Iterable[AudioFrame], length: Fraction) -> Iterator[AudioFrame]:
    """Remove the samples before 0 and from `length` seconds on."""
    for frame in frames:
        base = as_fraction(frame.time_base)
        if frame.pts is None or base is None:
            continue
        first = max(0, round(-frame.pts * base * AUDIO_RATE))
        end = min(frame.samples, round((length - frame.pts * base) * AUDIO_RATE))
        if first >= end:
            continue
        samples: NDArray[np.float32] = np.array(frame.to_ndarray()[:, first:end], np.float32, order="C")
        cut = AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        cut.sample_rate, cut.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
        cut.pts = round(frame.pts * base * AUDIO_RATE) + first
        yield cut


def _resampled(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Convert frames to the sample rate and layout of the encoder. The source can change both, as in TV recordings."""
    for _, alike in groupby(frames, lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        resampler = AudioResampler(format="fltp", layout="stereo", rate=AUDIO_RATE)
        for frame in alike:
            yield from resampler.resample(frame)
