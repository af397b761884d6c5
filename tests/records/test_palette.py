"""Colours of instances stay apart, and the palette of label maps is the one of PASCAL VOC."""

from __future__ import annotations

import cv2
import numpy as np

from vis_cli.records.palette import instance_color, voc_palette


def test_colors_are_stable_and_far_apart() -> None:
    colors = np.array([[instance_color(i) for i in range(1, 101)]], np.uint8)
    lab = cv2.cvtColor((colors / 255).astype(np.float32), cv2.COLOR_RGB2Lab)[0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1e9 * np.eye(100)
    assert distances.min() > 15  # 2 is just noticeable
    assert distances[:10, :10].min() > 50
    assert instance_color(1) == (255, 51, 51)
    assert instance_color(257) == instance_color(1)
    assert all(0 <= channel <= 255 for channel in instance_color(0))


def test_palette_is_pascal_vocs() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3)
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    expected |= {16: (0, 64, 0), 21: (128, 64, 128), 64: (32, 0, 0), 255: (224, 224, 192)}
    assert {i: tuple(palette[i].tolist()) for i in expected} == expected
    assert len(np.unique(palette, axis=0)) == 256
