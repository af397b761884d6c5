"""Colours of instances differ for every colour vision, and the palette of label maps is the one of PASCAL VOC."""

from __future__ import annotations

import numpy as np

from vis_cli.records.color_vision import color_distances
from vis_cli.records.palette import PALETTE, instance_color, voc_palette


def test_colors_differ_for_every_kind_of_color_vision() -> None:
    """2 is just noticeable. The palette of Okabe and Ito, chosen by hand for this purpose, reaches 16."""
    apart = ~np.eye(len(PALETTE), dtype=bool)
    assert color_distances(PALETTE)[apart].min() > 25
    okabe_ito = [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ]
    assert color_distances(okabe_ito)[~np.eye(7, dtype=bool)].min() < 17


def test_colors_repeat_after_the_palette() -> None:
    assert [instance_color(i) for i in range(1, 11)] == list(PALETTE)
    assert instance_color(11) == instance_color(1)
    assert instance_color(0) == PALETTE[-1]


def test_palette_is_pascal_vocs() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3)
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    expected |= {16: (0, 64, 0), 21: (128, 64, 128), 64: (32, 0, 0), 255: (224, 224, 192)}
    assert {i: tuple(palette[i].tolist()) for i in expected} == expected
    assert len(np.unique(palette, axis=0)) == 256
