"""Scores a model on videos in DAVIS layout: found by itself (unsupervised), or given the first frame's true masks.

Run by hand and while a model is trained; see README.md beside it.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.config import PRESETS, RunConfig, SegmentConfig
from vis_cli.engine.segmenter import Segmenter
from vis_cli.metrics.davis import (
    DavisScore,
    SequenceScore,
    Summary,
    evaluate_results,
    evaluate_semi_supervised,
    evaluate_unsupervised,
)
from vis_cli.records.davis import MAX_PROPOSALS, VOID, list_label_pngs, read_label_png
from vis_cli.records.overlay import draw_overlay
from vis_cli.records.types import VideoResult
from vis_cli.records.video import open_video, write_video

PRESET = "davis-uvos"
EVALUATORS = {"unsupervised": evaluate_unsupervised, "semi-supervised": evaluate_semi_supervised}
COLUMNS = f"{'sequence':<20}{'object':>8}{'proposal':>10}{'J':>8}{'F':>8}{'J&F':>8}{'frames':>8}{'seconds':>9}"


@dataclass(frozen=True, slots=True)
class Task:
    """Say what is asked of the model on which data."""

    name: str
    data: Path
    config: SegmentConfig
    sequences: tuple[str, ...]


def main() -> None:
    """Segment every sequence, score, print the table."""
    args = parse_args()
    config = overridden(PRESETS[PRESET], args.set)
    task = Task(args.task, args.data, config, tuple(args.sequences or read_sequences(args.data)))
    run = RunConfig(device=args.device, precision=args.precision)
    segmenter = Segmenter(args.model, config=task.config, run=run)
    results, seconds = segment_all(segmenter, task)
    score = evaluate_results(
        task.data / "Annotations", results, sequences=task.sequences, evaluate=EVALUATORS[task.name]
    )
    print_score(score, results, seconds)
    if args.json is not None:
        report = score_json(score, results, seconds, task)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if args.render is not None:
        render_all(results, args.render)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="holds val.json, JPEGImages/ and Annotations/")
    parser.add_argument("--model", default="lite", help="a name of the zoo or a model folder")
    parser.add_argument("--task", choices=list(EVALUATORS), default="unsupervised")
    parser.add_argument("--sequences", nargs="+", help="only these; default: those of val.json")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help=f"depart from {PRESET}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--render", type=Path, help="write overlay videos into this folder")
    return parser.parse_args()


def overridden(base: SegmentConfig, settings: Sequence[str]) -> SegmentConfig:
    """Replace fields by `name=value` texts; a value is a Python literal, or else text."""
    known = {field.name for field in dataclasses.fields(SegmentConfig)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in known:
            raise SystemExit(f"--set {setting}: no such field; there are: {', '.join(sorted(known))}")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return dataclasses.replace(base, **values)


def read_sequences(data: Path) -> list[str]:
    """Name the sequences of val.json."""
    videos = json.loads((data / "val.json").read_text(encoding="utf-8"))["videos"]
    return [video["file_names"][0].split("/")[0] for video in videos]


def segment_all(segmenter: Segmenter, task: Task) -> tuple[list[VideoResult], list[float]]:
    """Segment every sequence of a task; return the results and the seconds that each took."""
    results, seconds = [], []
    for name in task.sequences:
        guidance = first_masks(task.data / "Annotations" / name) if task.name == "semi-supervised" else None
        start = time.perf_counter()
        results.append(segmenter.segment(task.data / "JPEGImages" / name, guidance=guidance))
        seconds.append(time.perf_counter() - start)
        print(f"{name}: {len(results[-1].instances)} instances, {seconds[-1]:.1f} s", flush=True)
    return results, seconds


def first_masks(folder: Path) -> dict[int, NDArray[np.uint8]]:
    """Read the first frame's label map as guidance, void being background."""
    labels = read_label_png(list_label_pngs(folder)[0])
    return {0: np.where(labels == VOID, np.uint8(0), labels)}


def print_score(score: DavisScore, results: Sequence[VideoResult], seconds: Sequence[float]) -> None:
    """Print one line an object, then the means over objects, in percent."""
    print(f"\n{COLUMNS}")
    for sequence, result, spent in zip(score.sequences, results, seconds, strict=True):
        for row in object_rows(sequence):
            print(f"{row}{result.video.num_frames:8d}{spent:9.1f}")
    num_objects = sum(len(sequence.objects) for sequence in score.sequences)
    j, f, jf = percentages(score.summary)
    print(f"{'mean over objects':<20}{num_objects:>8}{'':10}{j:8.1f}{f:8.1f}{jf:8.1f}")
    recalls = score.summary.region.recall, score.summary.boundary.recall
    print(f"recall: J {100 * recalls[0]:.1f}, F {100 * recalls[1]:.1f}")


def object_rows(sequence: SequenceScore) -> Iterator[str]:
    """Write the scores of each object of a sequence as the start of a table row."""
    for score in sequence.objects:
        j, f, jf = percentages(Summary(score.region, score.boundary))
        proposal = "-" if score.proposal is None else score.proposal
        yield f"{sequence.name:<20}{score.label:>8}{proposal:>10}{j:8.1f}{f:8.1f}{jf:8.1f}"


def percentages(summary: Summary) -> tuple[float, float, float]:
    """Return J, F and J&F in percent."""
    return 100 * summary.region.mean, 100 * summary.boundary.mean, 100 * summary.jf_mean


def score_json(
    score: DavisScore, results: Sequence[VideoResult], seconds: Sequence[float], task: Task
) -> dict[str, Any]:
    """Return all figures, in 0..1, with the model and the settings that gave them."""
    sequences = [
        {**dataclasses.asdict(sequence), "num_frames": result.video.num_frames, "seconds": spent}
        for sequence, result, spent in zip(score.sequences, results, seconds, strict=True)
    ]
    summary = score.summary
    means = {"J&F": summary.jf_mean, "J": summary.region.mean, "F": summary.boundary.mean}
    made_by = {"model": dataclasses.asdict(results[0].model), "config": results[0].config}
    return {"task": task.name, **means, **made_by, "sequences": sequences}


def render_all(results: Sequence[VideoResult], folder: Path) -> None:
    """Write an overlay video of every result."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        video = open_video(result.video.path)
        write_video(folder / f"{result.video.name}.mp4", iter_overlays(result), video)


def iter_overlays(result: VideoResult) -> Iterator[NDArray[np.uint8]]:
    """Draw each frame with the proposals that are scored."""
    best = sorted(result.instances, key=lambda instance: -instance.score)[:MAX_PROPOSALS]
    for index, frame in enumerate(open_video(result.video.path).iter_frames()):
        yield draw_overlay(frame, best, index, result.categories)


if __name__ == "__main__":
    main()
