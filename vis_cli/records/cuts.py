"""Cuts of a video: the first frames of its shots; used by the engine.

PySceneDetect compares each frame with its neighbours. A fade changes slowly, so it is not a cut.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

NEIGHBOURS = 2  # frames before and after a frame that it is compared with
# Minimum change of a cut: mean difference of hue, saturation and brightness. At 15, the default of PySceneDetect, fast
# movements of a camera are cuts. benchmarks/README.md#cutspy measures it.
MIN_CHANGE = 20.0
RATE = Fraction(25)  # PySceneDetect needs a frame rate. Only frame numbers are used


class CutDetector:
    """Find cuts while frames are read."""

    delay = NEIGHBOURS  # number of frames after which a cut is known

    def __init__(self) -> None:
        """Start without frames."""
        self._detector = AdaptiveDetector(window_width=NEIGHBOURS, min_scene_len=1, min_content_val=MIN_CHANGE)

    def update(self, index: int, frame: NDArray[np.uint8]) -> list[int]:
        """Read the next frame, and return the cuts that are known now: indices of the first frame of a shot.

        Args:
            index: Index of the frame, from 0, without gaps.
            frame: (h, w, 3) uint8 RGB. PySceneDetect expects BGR, but compares hue, saturation and brightness only.
        """
        found = self._detector.process_frame(FrameTimecode(index, RATE), frame)
        return [cut.frame_num for cut in found]
