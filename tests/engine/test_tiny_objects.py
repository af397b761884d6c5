"""The limit of small objects that docs/how-to/troubleshooting.md describes, and its remedy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.engine.segmenter import segment_video
from vis_cli.records.video import open_video
from vis_cli.settings import SegmentSettings

CAT = Path(__file__).parents[2] / "sample_videos/cat.mp4"


def draw_small(height: int) -> NDArray[np.uint8]:
    """Draw two equal frames (2, 360, 640, 3): an image of this height on a plain background."""
    image = next(iter(open_video(CAT).iter_frames()))
    width = round(image.shape[1] * height / image.shape[0])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    frame = np.full((360, 640, 3), small.reshape(-1, 3).mean(0).astype(np.uint8), np.uint8)
    frame[150 : 150 + height, 300 : 300 + width] = small
    return np.stack([frame] * 2)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "scale", "num_instances"), [(12, 1.0, 2), (12, 2.0, 1), (24, 1.0, 1)])
def test_a_larger_input_joins_a_tiny_object(height: int, scale: float, num_instances: int) -> None:
    result = segment_video(draw_small(height), fps=25, config=SegmentSettings(input_scale=scale))
    assert len(result.instances) == num_instances
    assert {np.count_nonzero(instance.areas) for instance in result.instances} == {2 // num_instances}
