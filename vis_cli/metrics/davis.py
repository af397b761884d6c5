"""DAVIS-2017 evaluation of label maps, by the unsupervised and by the semi-supervised protocol.

Used by `eval` and by the training. Frames come one at a time; only the scores of proposals and objects are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from vis_cli.errors import VisError
from vis_cli.metrics.davis_measures import Labels, Scores, Statistics, average_statistics, frame_statistics, score_frame
from vis_cli.metrics.workers import Progress, run_jobs
from vis_cli.records.davis import (
    MAX_PROPOSALS,
    VOID,
    iter_label_maps,
    list_label_pngs,
    list_pngs,
    list_sequences,
    pair_with_frames,
    read_ground_truth,
    read_label_png,
)
from vis_cli.records.types import VideoResult


class LabelPair(NamedTuple):
    """One frame's (H, W) uint8 label maps; `source` names the prediction in errors."""

    ground_truth: Labels
    prediction: Labels | None  # None where its file is missing
    source: str


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """Score one object of the ground truth against the proposal that it was matched with."""

    label: int  # in the ground truth
    proposal: int | None  # its label in the prediction; None: there were fewer proposals than objects
    region: Statistics  # J
    boundary: Statistics  # F


@dataclass(frozen=True, slots=True)
class Summary:
    """Average over objects, not over sequences; every number is nan where there is no object."""

    region: Statistics
    boundary: Statistics

    @property
    def jf_mean(self) -> float:
        """Return J&F, the number that the benchmark ranks by."""
        return (self.region.mean + self.boundary.mean) / 2


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """Hold the scores of one sequence's objects, in the order of their labels."""

    name: str
    objects: tuple[ObjectScore, ...]

    @property
    def summary(self) -> Summary:
        """Average over the objects of this sequence."""
        return _summarize(self.objects)


@dataclass(frozen=True, slots=True)
class DavisScore:
    """Hold the scores of all sequences."""

    sequences: tuple[SequenceScore, ...]

    @property
    def summary(self) -> Summary:
        """Average over the objects of all sequences, as the benchmark does."""
        return _summarize([score for sequence in self.sequences for score in sequence.objects])


SequenceEvaluator: TypeAlias = Callable[[str, Iterable[LabelPair]], SequenceScore]


def evaluate_unsupervised(name: str, pairs: Iterable[LabelPair]) -> SequenceScore:
    """Score a sequence whose proposals are numbered at will, under their best assignment to the objects.

    Every frame counts; void pixels count nowhere; proposals left over cost nothing.

    Args:
        name: of the sequence.
        pairs: every frame of it, in order. The objects are 1 to the highest label of the first ground truth.

    Raises:
        VisError: a prediction is missing, has another size, or has a label above 20.
    """
    num_objects, num_proposals, frames = None, 0, list[Scores]()
    for pair in pairs:
        prediction = _check_prediction(pair, MAX_PROPOSALS, f"at most {MAX_PROPOSALS} proposals are allowed")
        num_proposals = max(num_proposals, int(prediction.max()))
        if num_objects is None:
            num_objects = _count_objects(pair)
        prediction = np.where(pair.ground_truth == VOID, np.uint8(0), prediction)
        frames.append(score_frame(prediction, pair.ground_truth, max(MAX_PROPOSALS, num_objects), num_objects))
    if num_objects is None:
        raise VisError(f"{name}: no frames to evaluate")
    # Empty proposals are added only up to the number of objects: more of them would be free matches for absent objects.
    scores = np.stack(frames, axis=-1)[:, : max(num_proposals, num_objects)]  # (2, P, O, T)
    region, boundary = scores.mean(axis=-1)
    rows, columns = linear_sum_assignment(-(region + boundary) / 2)
    matched = sorted(zip(columns.tolist(), rows.tolist(), strict=True))
    return SequenceScore(
        name,
        tuple(_score_object(i, j, scores[:, j, i], has_proposal=j < num_proposals) for i, j in matched),
    )


def evaluate_semi_supervised(name: str, pairs: Iterable[LabelPair]) -> SequenceScore:
    """Score a sequence whose label i is the ground truth's object i, its masks in the first frame being given.

    The first and the last frame do not count and need no prediction; void is background.

    Args:
        name: of the sequence.
        pairs: every frame of it, in order. The objects are 1 to the highest label of the first ground truth.

    Raises:
        VisError: a prediction is missing, has another size or a label that is no object, or there is no frame
            between the first and the last.
    """
    stream = iter(pairs)
    first = next(stream, None)
    num_objects = 0 if first is None else _count_objects(first)
    frames = []
    for pair, _ in pairwise(stream):
        prediction = _check_prediction(pair, num_objects, f"the sequence has {num_objects} objects")
        frames.append(score_frame(prediction, pair.ground_truth, num_objects, num_objects))
    if not frames:
        raise VisError(f"{name}: the first and the last frame are not scored, so at least 3 are needed")
    scores = np.stack(frames, axis=-1)  # (2, O, O, T)
    return SequenceScore(
        name, tuple(_score_object(i, i, scores[:, i, i], has_proposal=True) for i in range(num_objects))
    )


def evaluate_folders(
    ground_truth: Path,
    predictions: Path,
    *,
    sequences: Sequence[str] | None = None,
    evaluate: SequenceEvaluator = evaluate_unsupervised,
    num_workers: int | None = 1,
    progress: Progress | None = None,
) -> DavisScore:
    """Score `predictions`/<sequence>/<frame>.png against the PNGs of the same names under `ground_truth`.

    Args:
        ground_truth: the folder of annotations, one folder a sequence.
        predictions: the folder of results; PNGs without a ground truth are not read, `list_unpaired` names them.
        sequences: names of those to score; None: every folder of `ground_truth`.
        evaluate: `evaluate_unsupervised` or `evaluate_semi_supervised`.
        num_workers: processes that the sequences are spread over; None: as many as the machine has cores.
        progress: called after each sequence.

    Raises:
        VisError: a folder or file is missing, damaged, or no legal prediction.
    """
    names = list_sequences(ground_truth) if sequences is None else sequences
    jobs = [partial(_score_folder, evaluate, ground_truth / name, predictions / name) for name in names]
    return DavisScore(tuple(run_jobs(jobs, num_workers=num_workers, progress=progress)))


def evaluate_results(
    ground_truth: Path,
    results: Iterable[VideoResult],
    *,
    sequences: Sequence[str] | None = None,
    evaluate: SequenceEvaluator = evaluate_unsupervised,
    num_workers: int | None = 1,
    progress: Progress | None = None,
) -> DavisScore:
    """Score results, painted into label maps, against `ground_truth`/<video name>/*.png; see `evaluate_folders`.

    Raises:
        VisError: a sequence has no result, another number of frames, or another size.
    """
    by_name = {result.video.name: result for result in results}
    names = list_sequences(ground_truth) if sequences is None else sequences
    missing = [name for name in names if name not in by_name]
    if missing:
        raise VisError(f"no result for {', '.join(missing)}; segment them first or leave them out of the evaluation")
    jobs = [partial(_score_result, evaluate, ground_truth / name, by_name[name]) for name in names]
    return DavisScore(tuple(run_jobs(jobs, num_workers=num_workers, progress=progress)))


def iter_folder_pairs(ground_truth: Path, predictions: Path) -> Iterator[LabelPair]:
    """Read the PNGs of one sequence and the predictions of the same names, frame by frame in natural order."""
    by_name = {path.stem: path for path in list_pngs(predictions)}
    for path in list_label_pngs(ground_truth):
        predicted = by_name.get(path.stem)
        prediction = None if predicted is None else read_label_png(predicted)
        yield LabelPair(read_ground_truth(path), prediction, str(predicted or predictions / path.name))


def iter_result_pairs(ground_truth: Path, result: VideoResult) -> Iterator[LabelPair]:
    """Read the PNGs of one sequence next to the painted frames of `result`, paired by name where both have names.

    Raises:
        VisError: a frame or a PNG has no partner.
    """
    paths = pair_with_frames(list_label_pngs(ground_truth), result.video)
    for path, labels in zip(paths, iter_label_maps(result), strict=True):
        yield LabelPair(read_ground_truth(path), labels, f"{result.video.name}, frame {path.stem}")


def _score_folder(evaluate: SequenceEvaluator, ground_truth: Path, predictions: Path) -> SequenceScore:
    return evaluate(ground_truth.name, iter_folder_pairs(ground_truth, predictions))


def _score_result(evaluate: SequenceEvaluator, ground_truth: Path, result: VideoResult) -> SequenceScore:
    return evaluate(ground_truth.name, iter_result_pairs(ground_truth, result))


def _check_prediction(pair: LabelPair, highest: int, rule: str) -> Labels:
    prediction, source = pair.prediction, pair.source
    if prediction is None:
        raise VisError(f"{source}: missing; every frame of the ground truth needs a PNG of the same name")
    if prediction.shape != pair.ground_truth.shape:
        has, needs = ("x".join(map(str, labels.shape[::-1])) for labels in (prediction, pair.ground_truth))
        raise VisError(f"{source}: is {has} pixels, but the ground truth is {needs}")
    label = int(prediction.max())
    if label == VOID:
        raise VisError(f"{source}: has label {VOID}, which means void in a ground truth; use 0 for the background")
    if label > highest:
        raise VisError(f"{source}: has label {label}, but {rule}")
    return prediction


def _count_objects(first: LabelPair) -> int:
    return int(np.where(first.ground_truth == VOID, np.uint8(0), first.ground_truth).max())


def _score_object(index: int, row: int, scores: Scores, *, has_proposal: bool) -> ObjectScore:
    region, boundary = (frame_statistics(values) for values in scores)  # (T,) each
    return ObjectScore(index + 1, row + 1 if has_proposal else None, region, boundary)


def _summarize(objects: Sequence[ObjectScore]) -> Summary:
    return Summary(
        region=average_statistics(score.region for score in objects),
        boundary=average_statistics(score.boundary for score in objects),
    )
