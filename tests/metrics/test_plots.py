"""Plots are PNGs that show what they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vis_cli.errors import VisError
from vis_cli.metrics.plots import plot_bars, plot_precision_recall


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image.convert("RGB"))


def test_precision_over_recall(tmp_path: Path) -> None:
    perfect, half = np.ones((10, 101)), np.full((10, 101), 0.5)
    plot_precision_recall([perfect, perfect], tmp_path / "plots" / "high.png")
    plot_precision_recall([perfect, half], tmp_path / "low.png")
    plot_precision_recall([], tmp_path / "none.png")
    high, low, none = (read(tmp_path / name) for name in ("plots/high.png", "low.png", "none.png"))
    assert high.shape == low.shape == none.shape
    assert (high != low).any()
    assert (none == none.max()).mean() > 0.9  # but for the axes


def test_a_bar_for_each_name(tmp_path: Path) -> None:
    plot_bars(["dog", "cat"], [12.5, 99.0], tmp_path / "two.png", label="AP")
    plot_bars(["dog"], [12.5], tmp_path / "one.png", label="AP")
    plot_bars([], [], tmp_path / "none.png", label="AP")
    two, one, none = (read(tmp_path / f"{name}.png") for name in ("two", "one", "none"))
    assert len(two) > len(one) > len(none)
    is_coloured = np.ptp(two.astype(int), axis=2) > 60  # axes and texts are grey
    lengths = [row.sum() for row in is_coloured if row.sum() > 20]
    assert max(lengths) > 7 * min(lengths)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VisError, match="cannot write"):
        plot_bars(["dog"], [1.0], tmp_path / "file" / "plot.png", label="AP")
