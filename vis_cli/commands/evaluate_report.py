"""Output of `vis eval`: tables on stdout, all scores as JSON, and plots.

Used by `evaluate`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vis_cli.console import VideoReport, print_line, print_table
from vis_cli.files.atomic import atomic_path
from vis_cli.messages import counted
from vis_cli.metrics.davis import DavisScore, SequenceScore, Summary
from vis_cli.metrics.identity import IdentityScore
from vis_cli.metrics.youtube_vis import CategoryScore, PrecisionRecall, YouTubeVisScore
from vis_cli.metrics.youtube_vis_curves import NOTHING, RECALLS
from vis_cli.metrics.youtube_vis_errors import ERROR_KINDS
from vis_cli.metrics.youtube_vis_matching import IOU_THRESHOLDS
from vis_cli.metrics.youtube_vis_video import VideoScore
from vis_cli.records.result_json import read_result

SHOWN_VIDEOS = 10  # with the lowest scores; the JSON contains all videos


def print_youtube_vis(score: YouTubeVisScore) -> None:
    """Print the AP and AR metrics in percent, then categories, errors and videos, the lowest score first."""
    s = score.summary
    print_table(
        ("", "0.50:0.95 #", "0.50 #", "0.75 #", "small #", "medium #", "large #"),
        [("AP", *map(_known_percent, (s.ap, s.ap50, s.ap75, s.ap_small, s.ap_medium, s.ap_large)))],
    )
    print_table(
        ("", "best 1 #", "best 10 #", "best 100 #", "small #", "medium #", "large #"),
        [("AR", *map(_known_percent, (s.ar1, s.ar10, s.ar100, s.ar_small, s.ar_medium, s.ar_large)))],
    )
    _print_identity([("mean over categories", score.mean_identity), ("all categories as one", score.identity)])
    rows = [_category_row(category) for category in _worst_categories(score) if category.num_objects]
    print_table(("category", "objects #", "AP #", "AP50 #", "AP75 #", "AR100 #"), rows)
    print_table(
        ("error at IoU 0.5", "count #", "AP50 lost #", "meaning"),
        [
            (error.kind, str(error.count), f"{100 * error.ap50_gain:.1f}", ERROR_KINDS[error.kind])
            for error in score.errors
        ],
    )
    videos = _worst_videos(score)
    print_table(
        ("videos, lowest IoU first", "objects #", "detected #", "mean IoU #", "HOTA #", "switches #"),
        [
            (
                video.name,
                *(str(video.num_objects), str(video.num_found), _percent(video.mean_iou)),
                *_hota_and_switches(video.identity),
            )
            for video in videos[:SHOWN_VIDEOS]
        ],
    )
    if len(videos) > SHOWN_VIDEOS:
        print_line(f"and {counted(len(videos) - SHOWN_VIDEOS, 'video')} more; --json lists all")


def print_davis(score: DavisScore, reports: Sequence[VideoReport]) -> None:
    """Print the means over objects in percent, then the sequences, the lowest score first."""
    s = score.summary
    num_objects = str(sum(len(sequence.objects) for sequence in score.sequences))
    print_table(
        ("objects #", "J&F #", "J mean #", "J recall #", "J decay #", "F mean #", "F recall #", "F decay #"),
        [(num_objects, *map(_percent, (s.jf_mean, *dataclasses.astuple(s.region), *dataclasses.astuple(s.boundary))))],
    )
    _print_identity([("all sequences", score.identity)])
    seconds = {report.video: report.seconds for report in reports}
    rows = [
        (
            sequence.name,
            str(len(sequence.objects)),
            *_percents(sequence.summary),
            *_hota_and_switches(sequence.identities.score),
            *([f"{seconds[sequence.name] or 0.0:.1f}"] if reports else []),
        )
        for sequence in _worst_sequences(score)
    ]
    columns = ("sequence", "objects #", "J&F #", "J #", "F #", "HOTA #", "switches #")
    print_table((*columns, *(["seconds #"] if reports else [])), rows)


def write_youtube_vis(
    score: YouTubeVisScore,
    results: Path,
    annotations: Path,
    json_file: Path | None,
    plots: Path | None,
    reports: Sequence[VideoReport],
) -> None:
    """Write the JSON file and the plots of `--json` and `--plots`.

    Raises:
        VisError: A file cannot be written.
    """
    if json_file is not None:
        data = {
            "annotations": str(annotations),
            **_made_by(results, reports),
            "summary": dataclasses.asdict(score.summary),
            "identity": _identity_json(score.identity),
            "mean_identity": _identity_json(score.mean_identity),
            "categories": [_category_json(category) for category in _worst_categories(score)],
            "recalls": RECALLS.tolist(),
            "errors": [dataclasses.asdict(error) for error in score.errors],
            "videos": [dataclasses.asdict(video) for video in _worst_videos(score)],
        }
        _write_json(data, json_file)
    if plots is not None:
        from vis_cli.metrics.plots import plot_bars, plot_precision_recall

        shown = [category for category in _worst_categories(score) if category.num_objects]
        plot_precision_recall([category.precision for category in shown], plots / "precision_recall.png")
        names = [category.category.name for category in shown]
        values = [100 * category.scores.ap for category in shown]
        plot_bars(names, values, plots / "ap_by_category.png", label="AP")


def write_davis(
    score: DavisScore,
    task: str,
    results: Path,
    root: Path,
    json_file: Path | None,
    plots: Path | None,
    reports: Sequence[VideoReport],
) -> None:
    """Write the JSON file and the plot of `--json` and `--plots`.

    Raises:
        VisError: A file cannot be written.
    """
    if json_file is not None:
        data = {
            "davis": str(root),
            "task": task,
            **_made_by(results, reports),
            "summary": _summary_json(score.summary),
            "identity": _identity_json(score.identity),
            "sequences": [_sequence_json(sequence) for sequence in _worst_sequences(score)],
        }
        _write_json(data, json_file)
    if plots is not None:
        from vis_cli.metrics.plots import plot_bars

        worst = [sequence for sequence in _worst_sequences(score) if sequence.objects]
        values = [100 * sequence.summary.jf_mean for sequence in worst]
        plot_bars([sequence.name for sequence in worst], values, plots / "jf_by_sequence.png", label="J&F")


def _print_identity(scores: Sequence[tuple[str, IdentityScore | None]]) -> None:
    """Print one row of identity metrics in percent for each name."""
    print_table(
        ("identity", "HOTA #", "DetA #", "AssA #", "LocA #", "IDF1 #", "MOTA #", "switches #"),
        [(name, *_identity_cells(score)) for name, score in scores],
    )


def _identity_cells(s: IdentityScore | None) -> tuple[str, ...]:
    if s is None:
        return ("–",) * 7
    return (*map(_percent, (s.hota, s.det_a, s.ass_a, s.loc_a, s.idf1, s.mota)), str(s.id_switches))


def _hota_and_switches(score: IdentityScore | None) -> tuple[str, str]:
    """Return two cells of the row of a video."""
    return ("–", "–") if score is None else (_percent(score.hota), str(score.id_switches))


def _worst_categories(score: YouTubeVisScore) -> list[CategoryScore]:
    return sorted(score.categories, key=lambda category: (category.scores.ap, category.category.name))


def _worst_videos(score: YouTubeVisScore) -> list[VideoScore]:
    """Sort by mean IoU, the lowest first. Videos without objects come last."""
    return sorted(score.videos, key=lambda video: (2.0 if video.mean_iou is None else video.mean_iou, video.name))


def _worst_sequences(score: DavisScore) -> list[SequenceScore]:
    """Sort by J&F, the lowest first. Sequences without objects come last."""
    return sorted(
        score.sequences, key=lambda sequence: (sequence.summary.jf_mean if sequence.objects else 2.0, sequence.name)
    )


def _category_row(category: CategoryScore) -> tuple[str, ...]:
    s = category.scores
    return category.category.name, str(category.num_objects), *map(_known_percent, (s.ap, s.ap50, s.ap75, s.ar100))


def _percents(summary: Summary) -> tuple[str, ...]:
    return tuple(map(_percent, (summary.jf_mean, summary.region.mean, summary.boundary.mean)))


def _percent(value: float | None) -> str:
    """Return a fraction in percent, or a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _known_percent(value: float) -> str:
    """Return a YouTube-VIS score in percent, or a dash if the split has no object for it."""
    return _percent(None if value == NOTHING else value)


def _category_json(category: CategoryScore) -> dict[str, Any]:
    scores: PrecisionRecall = category.scores
    rows = zip(IOU_THRESHOLDS.tolist(), category.precision.tolist(), strict=True)
    return {
        **dataclasses.asdict(category.category),
        "num_objects": category.num_objects,
        **dataclasses.asdict(scores),
        "identity": _identity_json(category.identity),
        "precision": {f"{threshold:.2f}": row for threshold, row in rows},  # at each value of "recalls"
    }


def _identity_json(score: IdentityScore | None) -> dict[str, Any] | None:
    return None if score is None else dataclasses.asdict(score)


def _sequence_json(sequence: SequenceScore) -> dict[str, Any]:
    return {
        "name": sequence.name,
        "objects": [dataclasses.asdict(item) for item in sequence.objects],
        **_summary_json(sequence.summary),
        "identity": _identity_json(sequence.identities.score),
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {"jf_mean": summary.jf_mean, **dataclasses.asdict(summary)}


def _made_by(results: Path, reports: Sequence[VideoReport]) -> dict[str, Any]:
    """Return the origin of the results: the file, or the model, its settings and its time per video."""
    if not reports:
        return {"results": str(results)}
    first = read_result(results / f"{reports[0].video}.json")
    seconds = {report.video: report.seconds for report in reports}
    return {"model": dataclasses.asdict(first.model), "config": first.config, "seconds": seconds}


def _write_json(data: dict[str, Any], path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(_without_nan(data), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """Return the value with None for each NaN, because JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
