"""One decoded frame of a file: as RGB, or for an H.264 encoder without the conversion to RGB.

Used by `video_file`, and by `report.preview`, which writes most frames without a look at their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vis_cli.records.decoder import BT601, BT709, Orientation, matrix_of, rgb_image

BT470BG = 5  # matrix coefficients in ITU-T H.273, equal to BT.601
LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG
ENCODER_FORMAT = "yuv420p"
UPRIGHT = Orientation(transposed=False, flip_x=False, flip_y=False)


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """A decoded frame. It is valid until the decoder continues.

    Attributes:
        frame: The frame of PyAV.
        size: Coded width and height of the video. Frames of another size are scaled.
        orientation: Rotation of the video.
        scaler: Converts the frames of the video.
    """

    frame: VideoFrame
    size: tuple[int, int]
    orientation: Orientation
    scaler: VideoReformatter

    def __call__(self) -> NDArray[np.uint8]:
        """Return the displayed frame, (H, W, 3) RGB."""
        return self.orientation.apply(rgb_image(self.frame, self.size, self.scaler))

    @property
    def encoder_matrix(self) -> int | None:
        """Return the matrix coefficients of a frame that `for_encoder` accepts. None: an encoder needs its RGB."""
        frame, matrix = self.frame, matrix_of(self.frame)
        is_plain = self.orientation == UPRIGHT and (frame.width, frame.height) == self.size
        is_usual = frame.format.name in (ENCODER_FORMAT, "yuvj420p") and matrix in (BT709, BT601, BT470BG)
        return matrix if is_plain and is_usual else None

    def for_encoder(self, width: int, height: int, scaler: VideoReformatter) -> VideoFrame:
        """Return the frame in 4:2:0 with 8 bits, limited range and the given size. Its matrix stays."""
        frame = self.frame
        is_ready = (frame.width, frame.height, frame.format.name) == (width, height, ENCODER_FORMAT)
        if is_ready and frame.color_range != FULL_RANGE:
            return frame
        matrix = matrix_of(frame)
        return scaler.reformat(
            frame,
            width,
            height,
            ENCODER_FORMAT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            dst_color_range=LIMITED_RANGE,
            interpolation="AREA",
        )
