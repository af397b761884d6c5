"""Evaluation of label maps by the unsupervised and the semi-supervised protocol of DAVIS 2017.

Used by `vis eval` and by training. It reads one frame at a time and keeps only the scores of proposals and objects.
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
from vis_cli.metrics.davis_measures import (
    Labels,
    Scores,
    Statistics,
    average_statistics,
    frame_statistics,
    score_frame,
    visible_labels,
)
from vis_cli.metrics.identity import IdentityCounts, IdentityScore, add_counts, count_identities
from vis_cli.metrics.overlaps import Bools, label_overlaps
from vis_cli.metrics.workers import run_jobs
from vis_cli.progress import Progress
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
    """The (H, W) uint8 label maps of one frame."""

    ground_truth: Labels
    prediction: Labels | None  # None if its file is missing
    source: str  # name of the prediction in errors


class _Frame(NamedTuple):
    """Measures of one frame with P proposals and O objects."""

    scores: Scores  # (2, P, O): J, then F
    visible_proposals: Bools  # (P,): whether a proposal has pixels outside of void
    visible_objects: Bools  # (O,)


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """Score of one object of the ground truth with the proposal that it is matched with."""

    label: int  # in the ground truth
    proposal: int | None  # label of the proposal in the prediction; None if there are fewer proposals than objects
    region: Statistics  # J
    boundary: Statistics  # F


@dataclass(frozen=True, slots=True)
class Summary:
    """Averages over objects (not over sequences); nan if there are no objects."""

    region: Statistics
    boundary: Statistics

    @property
    def jf_mean(self) -> float:
        """Return J&F, the metric by which the benchmark ranks methods."""
        return (self.region.mean + self.boundary.mean) / 2


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """Scores of the objects of one sequence, in the order of their labels."""

    name: str
    objects: tuple[ObjectScore, ...]
    identities: IdentityCounts  # of the same objects, proposals and frames

    @property
    def summary(self) -> Summary:
        """Return the averages over the objects of this sequence."""
        return _summarize(self.objects)


@dataclass(frozen=True, slots=True)
class DavisScore:
    """Scores of all sequences."""

    sequences: tuple[SequenceScore, ...]

    @property
    def summary(self) -> Summary:
        """Return the averages over the objects of all sequences, like the benchmark."""
        return _summarize([score for sequence in self.sequences for score in sequence.objects])

    @property
    def identity(self) -> IdentityScore | None:
        """Return the identity metrics over all sequences, combined as in TrackEval; None without objects."""
        return add_counts(sequence.identities for sequence in self.sequences).score


SequenceEvaluator: TypeAlias = Callable[[str, Iterable[LabelPair]], SequenceScore]


def evaluate_unsupervised(name: str, pairs: Iterable[LabelPair]) -> SequenceScore:
    """Score a sequence by the unsupervised protocol: assign proposals to objects so that the mean J&F is maximal.

    All frames count. Void pixels are ignored. Proposals without an object do not lower the score.

    Args:
        name: Name of the sequence.
        pairs: All frames of the sequence, in order. The objects are 1 to the highest label of the first ground truth.

    Raises:
        VisError: A prediction is missing, has another size, or has a label above 20.
    """
    num_objects, num_proposals, frames = None, 0, list[_Frame]()
    for pair in pairs:
        prediction = _check_prediction(pair, MAX_PROPOSALS, f"at most {MAX_PROPOSALS} proposals are allowed")
        num_proposals = max(num_proposals, int(prediction.max()))
        if num_objects is None:
            num_objects = _count_objects(pair)
        prediction = np.where(pair.ground_truth == VOID, np.uint8(0), prediction)
        frames.append(_score_frame(prediction, pair.ground_truth, max(MAX_PROPOSALS, num_objects), num_objects))
    if num_objects is None:
        raise VisError("no frames to evaluate", where=name, hint="Add the ground truth of the sequence.")
    # Add empty proposals only up to the number of objects. More of them would match absent objects for free.
    scores = np.stack([frame.scores for frame in frames], axis=-1)[:, : max(num_proposals, num_objects)]  # (2, P, O, T)
    region, boundary = scores.mean(axis=-1)
    rows, columns = linear_sum_assignment(-(region + boundary) / 2)
    matched = sorted(zip(columns.tolist(), rows.tolist(), strict=True))
    return SequenceScore(
        name,
        tuple(_score_object(i, j, scores[:, j, i], has_proposal=j < num_proposals) for i, j in matched),
        _count_identities(frames, scores[0]),
    )


def evaluate_semi_supervised(name: str, pairs: Iterable[LabelPair]) -> SequenceScore:
    """Score a sequence by the semi-supervised protocol: label i of the prediction is object i of the ground truth.

    The masks of the first frame are given. The first and the last frame are not scored and need no prediction. Void is
    background.

    Args:
        name: Name of the sequence.
        pairs: All frames of the sequence, in order. The objects are 1 to the highest label of the first ground truth.

    Raises:
        VisError: A prediction is missing, has another size or has a label that is not an object, or there is no frame
            between the first and the last.
    """
    stream = iter(pairs)
    first = next(stream, None)
    num_objects = 0 if first is None else _count_objects(first)
    frames = list[_Frame]()
    for pair, _ in pairwise(stream):
        prediction = _check_prediction(pair, num_objects, f"the sequence has {num_objects} objects")
        frames.append(_score_frame(prediction, pair.ground_truth, num_objects, num_objects))
    if not frames:
        problem = "the first and the last frame are not scored, and there is no frame between them"
        raise VisError(problem, where=name, hint="Use a sequence of at least 3 frames.")
    scores = np.stack([frame.scores for frame in frames], axis=-1)  # (2, O, O, T)
    return SequenceScore(
        name,
        tuple(_score_object(i, i, scores[:, i, i], has_proposal=True) for i in range(num_objects)),
        _count_identities(frames, scores[0]),
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
    """Score `predictions`/<sequence>/<frame>.png against the PNGs with the same names in `ground_truth`.

    Args:
        ground_truth: Folder of annotations with one subfolder per sequence.
        predictions: Folder of results. PNGs without ground truth are not read; `list_unpaired` lists them.
        sequences: Names of the sequences to score; None scores all subfolders of `ground_truth`.
        evaluate: `evaluate_unsupervised` or `evaluate_semi_supervised`.
        num_workers: Number of processes; None chooses it by the number of CPU cores and of sequences.
        progress: Function to call after each sequence.

    Raises:
        VisError: A folder or file is missing or damaged, or a prediction is invalid.
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
    """Convert results to label maps and score them against `ground_truth`/<video name>/*.png.

    The other arguments are the same as for `evaluate_folders`.

    Raises:
        VisError: A sequence has no result, or its result has another number of frames or another size.
    """
    by_name = {result.video.name: result for result in results}
    names = list_sequences(ground_truth) if sequences is None else sequences
    missing = [name for name in names if name not in by_name]
    if missing:
        hint = "Segment these sequences first, or exclude them from the evaluation."
        raise VisError(f"no result for {', '.join(missing)}", hint=hint)
    jobs = [partial(_score_result, evaluate, ground_truth / name, by_name[name]) for name in names]
    return DavisScore(tuple(run_jobs(jobs, num_workers=num_workers, progress=progress)))


def iter_folder_pairs(ground_truth: Path, predictions: Path) -> Iterator[LabelPair]:
    """Yield the ground truth and the prediction of each frame of a sequence, in natural order of the names."""
    by_name = {path.stem: path for path in list_pngs(predictions)}
    for path in list_label_pngs(ground_truth):
        predicted = by_name.get(path.stem)
        prediction = None if predicted is None else read_label_png(predicted)
        yield LabelPair(read_ground_truth(path), prediction, str(predicted or predictions / path.name))


def iter_result_pairs(ground_truth: Path, result: VideoResult) -> Iterator[LabelPair]:
    """Yield the ground truth of each frame and the label map of `result`, paired by name if the frames have names.

    Raises:
        VisError: A frame has no PNG, or a PNG has no frame.
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
        raise VisError("the file does not exist", where=source, hint="Add a PNG for each frame of the ground truth.")
    if prediction.shape != pair.ground_truth.shape:
        has, needs = ("x".join(map(str, labels.shape[::-1])) for labels in (prediction, pair.ground_truth))
        problem = f"the prediction is {has} pixels, the ground truth is {needs}"
        raise VisError(problem, where=source, hint="Write predictions in the size of the ground truth.")
    label = int(prediction.max())
    if label == VOID:
        raise VisError(f"label {VOID} means void in ground truth", where=source, hint="Use 0 for the background.")
    if label > highest:
        raise VisError(
            f"the highest label is {label}, but {rule}", where=source, hint=f"Use labels from 0 to {highest}."
        )
    return prediction


def _count_objects(first: LabelPair) -> int:
    return int(np.where(first.ground_truth == VOID, np.uint8(0), first.ground_truth).max())


def _score_frame(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> _Frame:
    scores = score_frame(prediction, ground_truth, num_proposals, num_objects)
    return _Frame(scores, visible_labels(prediction, num_proposals), visible_labels(ground_truth, num_objects))


def _count_identities(frames: Sequence[_Frame], region: Scores) -> IdentityCounts:
    """Count the identities of a sequence. `region` is J of its proposals and objects, (P, O, T)."""
    proposals = np.stack([frame.visible_proposals[: len(region)] for frame in frames])
    objects = np.stack([frame.visible_objects for frame in frames])
    return count_identities(label_overlaps(region, proposals, objects))


def _score_object(index: int, row: int, scores: Scores, *, has_proposal: bool) -> ObjectScore:
    region, boundary = (frame_statistics(values) for values in scores)  # (T,) each
    return ObjectScore(index + 1, row + 1 if has_proposal else None, region, boundary)


def _summarize(objects: Sequence[ObjectScore]) -> Summary:
    return Summary(
        region=average_statistics(score.region for score in objects),
        boundary=average_statistics(score.boundary for score in objects),
    )
