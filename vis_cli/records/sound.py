"""The sound of a video on its way into another file, in step with the pictures.

Used by `video_writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, groupby

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vis_cli.records.decoder import Damage, start_seconds, stream_packets

COPIED_CODECS = frozenset({"aac", "mp3", "opus"})  # what MP4 holds and every browser plays
SOUND_RATE = 48_000  # samples a second of sound that is encoded anew


class Sound:
    """Write one audio stream into an output: copied where browsers play the codec, else encoded as AAC stereo."""

    def __init__(self, container: InputContainer, source: AudioStream, output: OutputContainer) -> None:
        """Add a stream to `output`, which must not have begun; the source's clock starts at 0 there."""
        self._output = output
        origin = start_seconds(container)
        if source.codec_context.codec.canonical_name in COPIED_CODECS:
            packets = _copied(container, source, output.add_stream_from_template(source), origin)
        else:
            packets = _encoded(container, source, output.add_stream("aac", rate=SOUND_RATE, layout="stereo"), origin)
        self._packets = _in_order(packets)

    def write_until(self, seconds: Fraction | None = None) -> None:
        """Write what is heard up to a time of the output, or all that is left."""
        for packet in self._packets:
            time = (packet.pts or 0) * packet.time_base
            self._output.mux(packet)
            if seconds is not None and time > seconds:
                return


def _in_order(packets: Iterable[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
    """Move packets that do not come after the one before right behind it (joined recordings), as MP4 needs it.

    One without a time is left out.
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
    container: InputContainer, source: AudioStream, target: AudioStream, origin: Fraction
) -> Iterator[Packet[AudioStream]]:
    """Yield the source's packets as they are, with the origin of time moved."""
    for packet in stream_packets(container, source, Damage()):
        shift = round(origin / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        packet.stream = target
        yield packet


def _encoded(
    container: InputContainer, source: AudioStream, target: AudioStream, origin: Fraction
) -> Iterator[Packet[AudioStream]]:
    """Decode the source's packets and encode them anew; those that do not decode are left out."""
    for frame in _resampled(_decoded(container, source, origin)):
        yield from target.encode(frame)
    yield from target.encode(None)


def _decoded(container: InputContainer, source: AudioStream, origin: Fraction) -> Iterator[AudioFrame]:
    for packet in chain(stream_packets(container, source, Damage()), (None,)):
        try:
            frames = source.decode(packet)
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(origin / frame.time_base)
                yield frame


def _resampled(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Bring frames to the encoder's rate and layout; a source may change its own on the way (television does)."""
    for _, alike in groupby(frames, lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
        for frame in alike:
            yield from resampler.resample(frame)
