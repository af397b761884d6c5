"""Formats of the videos that `video_writer` writes: container, codec and pixels.

Used by `video_writer` and `renderings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vis_cli.records.audio import MOV_AUDIO, MP4_AUDIO, WEBM_AUDIO, AudioFormat

BT709 = 1  # colour primaries, transfer and matrix in ITU-T H.273, which players assume


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """A container with a codec. The names of container, encoder and pixels are those of FFmpeg.

    `matrix` contains the matrix coefficients of YUV in ITU-T H.273.
    """

    codec: str  # name for messages
    container: str
    encoder: str
    pixels: str
    audio: AudioFormat
    options: Mapping[str, str] = field(default_factory=dict)  # of the encoder
    container_options: Mapping[str, str] = field(default_factory=dict)
    matrix: int = BT709
    is_even: bool = False  # whether width and height must be even
    is_square: bool = False  # whether pixels must be square: other frames are enlarged in one direction
    max_side: int | None = None  # pixels
    remedy: str = ""  # other formats, for the error of a missing encoder


# `crf` and `preset` give the visual quality of the source, with low memory for the lookahead. `bf` disables B-frames:
# MP4 stores durations in decoding order, and the last duration must belong to the last displayed frame.
H264 = VideoFormat(
    codec="H.264",
    container="mp4",
    encoder="libx264",
    pixels="yuv420p",
    audio=MP4_AUDIO,
    options={"crf": "20", "preset": "veryfast", "bf": "0"},
    container_options={"movflags": "+faststart"},  # index at the start, so that browsers play during the download
    is_even=True,
    max_side=16_384,  # limit of libx264
    remedy="Use a name that ends in .mov or .webm, or a folder for PNG images.",
)

# A file that is played while it is written: fragments of 0.2 s, and no index. The encoder keeps no frames.
LIVE_H264 = replace(
    H264,
    options={**H264.options, "tune": "zerolatency"},
    container_options={
        "movflags": "+frag_keyframe+empty_moov+default_base_moof",
        "frag_duration": "200000",  # microseconds
        "flush_packets": "1",
    },
)

# Profile 3 is ProRes 422 HQ. It has no alpha.
PRORES = VideoFormat(
    codec="ProRes",
    container="mov",
    encoder="prores_ks",
    pixels="yuv422p10le",
    audio=MOV_AUDIO,
    options={"profile": "3", "vendor": "apl0"},
    remedy="Use a name that ends in .webm, or a folder for PNG images.",
)
# Editing programs recognize the vendor. 16 bits of alpha are lossless.
PRORES_ALPHA = VideoFormat(
    codec="ProRes 4444",
    container="mov",
    encoder="prores_ks",
    pixels="yuva444p10le",
    audio=MOV_AUDIO,
    options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
    remedy="Use a name that ends in .webm, or a folder for PNG images.",
)

# With `b` = 0, `crf` alone controls the quality. libvpx encodes alpha only without alternate reference frames.
# PyAV cannot write the shape of pixels into WebM.
VP9_OPTIONS = {"crf": "20", "b": "0", "auto-alt-ref": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
VP9 = VideoFormat(
    codec="VP9",
    container="webm",
    encoder="libvpx-vp9",
    pixels="yuv420p",
    audio=WEBM_AUDIO,
    options=VP9_OPTIONS,
    is_square=True,
    max_side=65_535,
    remedy="Use a name that ends in .mov, or a folder for PNG images.",
)
VP9_ALPHA = VideoFormat(
    codec="VP9",
    container="webm",
    encoder="libvpx-vp9",
    pixels="yuva420p",
    audio=WEBM_AUDIO,
    options=VP9_OPTIONS,
    is_square=True,
    max_side=65_535,
    remedy="Use a name that ends in .mov, or a folder for PNG images.",
)
