"""Plots of scores as PNG files: precision over recall, and bar charts.

Used by `vis eval`. matplotlib is imported only when a plot is drawn. It opens no window.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vis_cli.files.atomic import atomic_path
from vis_cli.metrics.youtube_vis_curves import RECALLS
from vis_cli.metrics.youtube_vis_matching import IOU_THRESHOLDS, Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches
BAR_HEIGHT = 0.28
DPI = 120


def plot_precision_recall(precisions: Sequence[Floats], path: Path) -> None:
    """Plot precision over recall, averaged over categories, with one line per IoU threshold.

    Args:
        precisions: One array (T, R) per category, from 0 to 1, by `IOU_THRESHOLDS` and `RECALLS`.
        path: PNG file to write.

    Raises:
        VisError: The file cannot be written.
    """
    figure = _make_figure(height=5.0)
    axes = figure.add_subplot()
    if precisions:
        for threshold, curve in zip(IOU_THRESHOLDS.tolist(), np.mean(precisions, axis=0), strict=True):
            axes.plot(100 * RECALLS, 100 * curve, label=f"{threshold:.2f}, AP {100 * curve.mean():.1f}")
        figure.legend(title="IoU", fontsize="small", loc="outside right upper")
    axes.set(xlabel="recall", ylabel="precision, mean over categories", xlim=(0, 100), ylim=(0, 101))
    _save(figure, path)


def plot_bars(names: Sequence[str], values: Sequence[float], path: Path, *, label: str) -> None:
    """Plot one horizontal bar per name, with the first name at the top.

    Args:
        names: Labels of the bars.
        values: Lengths of the bars in percent.
        path: PNG file to write.
        label: Label of the horizontal axis.

    Raises:
        VisError: The file cannot be written.
    """
    figure = _make_figure(height=1.2 + BAR_HEIGHT * len(names))
    axes = figure.add_subplot()
    bars = axes.barh(range(len(names)), values)
    axes.bar_label(bars, fmt="%.1f", padding=2, fontsize="small")
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0, 108))
    _save(figure, path)


def _make_figure(*, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
