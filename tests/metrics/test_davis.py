"""Sequences against the slow transcription of both protocols; each rule and each error of them on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.metrics.literal_davis import literal_semi_supervised, literal_statistics, literal_unsupervised
from tests.records.result_factory import make_instance, make_result
from vis_cli.errors import VisError
from vis_cli.metrics.davis import (
    LabelPair,
    ObjectScore,
    SequenceEvaluator,
    SequenceScore,
    evaluate_folders,
    evaluate_results,
    evaluate_semi_supervised,
    evaluate_unsupervised,
)
from vis_cli.records.davis import list_unpaired, write_label_png

SIZE = (12, 16)


def make_pairs(predictions: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> list[LabelPair]:
    return [LabelPair(t, p, f"{i:05d}.png") for i, (p, t) in enumerate(zip(predictions, truths, strict=True))]


def make_labels(*boxes: tuple[int, int, int, int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Paint boxes (label, y, x, height, width), later ones on top."""
    labels = np.zeros(size, np.uint8)
    for label, y, x, height, width in boxes:
        labels[y : y + height, x : x + width] = label
    return labels


def random_sequence(seed: int, *, highest: int, num_frames: int, void: bool) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(num_frames):
        boxes = [
            (label, *rng.integers(0, 9, 2), *rng.integers(2, 8, 2)) for label in rng.integers(0, highest + 1, highest)
        ]
        frames.append(make_labels(*boxes, *([(255, *rng.integers(0, 10, 2), 3, 4)] if void else [])))
    return frames


def numbers(score: ObjectScore) -> list[float]:
    return [
        *(score.region.mean, score.region.recall, score.region.decay),
        *(score.boundary.mean, score.boundary.recall, score.boundary.decay),
    ]


def literal_numbers(objects: list[tuple[list[float], list[float]]]) -> list[list[float]]:
    return [[*literal_statistics(j), *literal_statistics(f)] for j, f in objects]


def check(score: SequenceScore, expected: list[list[float]]) -> None:
    assert [o.label for o in score.objects] == list(range(1, len(expected) + 1))
    found = [numbers(o) for o in score.objects]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    if expected:
        mean = np.mean(expected, axis=0)
        assert score.summary.jf_mean == pytest.approx((mean[0] + mean[3]) / 2)


@pytest.mark.parametrize("seed", range(12))
def test_unsupervised_equals_the_slow_transcription(seed: int) -> None:
    num_frames = 3 + seed % 5
    truths = random_sequence(seed, highest=1 + seed % 4, num_frames=num_frames, void=seed % 2 == 0)
    predictions = random_sequence(seed + 100, highest=1 + seed % 5, num_frames=num_frames, void=False)
    score = evaluate_unsupervised("a", make_pairs(predictions, truths))
    check(score, literal_numbers(literal_unsupervised(predictions, truths)))


@pytest.mark.parametrize("seed", range(8))
def test_semi_supervised_equals_the_slow_transcription(seed: int) -> None:
    truths = random_sequence(seed, highest=3, num_frames=6, void=seed % 2 == 0)
    truths[0] = make_labels((1, 0, 0, 4, 4), (2, 5, 5, 4, 4), (3, 0, 9, 4, 4))
    predictions = random_sequence(seed + 100, highest=3, num_frames=6, void=False)
    score = evaluate_semi_supervised("a", make_pairs(predictions, truths))
    check(score, literal_numbers(literal_semi_supervised(predictions, truths)))


def tiny_sequence(rng: np.random.Generator, *, highest: int, num_frames: int, void: bool) -> list[np.ndarray]:
    """Draw blocks of labels, among them absent objects, empty frames and void."""
    labels = [*range(highest + 1), 0, *([255] if void else [])]
    frames = [np.kron(rng.choice(labels, (2, 3)), np.ones((2, 2), int)) for _ in range(num_frames)]
    return [frame.astype(np.uint8) * np.uint8(rng.random() < 0.9) for frame in frames]


@pytest.mark.parametrize("block", range(5))
def test_300_tiny_problems_equal_the_slow_transcription(block: int) -> None:
    """Of the unsupervised ones J&F alone, as several assignments may be the best."""
    found = []
    for seed in range(60 * block, 60 * block + 60):
        rng = np.random.default_rng(seed)
        num_frames, num_objects = int(rng.integers(3, 6)), int(rng.integers(1, 4))
        truths = tiny_sequence(rng, highest=num_objects, num_frames=num_frames, void=True)
        predictions = tiny_sequence(rng, highest=int(rng.integers(0, 5)), num_frames=num_frames, void=False)
        expected = literal_unsupervised(predictions, truths)
        score = evaluate_unsupervised("a", make_pairs(predictions, truths))
        assert len(score.objects) == len(expected)
        if expected:
            means = [(np.mean(j) + np.mean(f)) / 2 for j, f in expected]
            assert score.summary.jf_mean == pytest.approx(np.mean(means), abs=1e-9)
            found.append(score.summary.jf_mean)
        given = [np.where(frame > len(expected), 0, frame).astype(np.uint8) for frame in predictions]
        check(
            evaluate_semi_supervised("a", make_pairs(given, truths)),
            literal_numbers(literal_semi_supervised(given, truths)),
        )
    assert np.ptp(found) > 0.3


def test_the_best_assignment_counts_and_extra_proposals_are_free() -> None:
    truth = make_labels((1, 0, 0, 6, 6), (2, 6, 8, 6, 6))
    prediction = make_labels((9, 0, 0, 6, 6), (4, 6, 8, 6, 6), (2, 0, 10, 3, 3))
    score = evaluate_unsupervised("a", make_pairs([prediction] * 2, [truth] * 2))
    assert [o.proposal for o in score.objects] == [9, 4]
    assert score.summary.jf_mean == 1.0
    renumbered = np.array([0, 0, 5, 0, 1, 0, 0, 0, 0, 3], np.uint8)[prediction]
    assert evaluate_unsupervised("a", make_pairs([renumbered] * 2, [truth] * 2)).summary == score.summary


def test_too_few_proposals_are_filled_up_with_empty_ones() -> None:
    truth = make_labels((1, 0, 0, 6, 6), (2, 6, 8, 6, 6))
    score = evaluate_unsupervised("a", make_pairs([make_labels((1, 6, 8, 6, 6))], [truth]))
    assert [(o.proposal, o.region.mean) for o in score.objects] == [(None, 0.0), (1, 1.0)]
    nothing = evaluate_unsupervised("a", make_pairs([make_labels()], [truth]))
    assert [(o.proposal, o.region.mean, o.boundary.mean) for o in nothing.objects] == [(None, 0.0, 0.0)] * 2


def test_empty_proposals_are_no_free_match_for_an_absent_object() -> None:
    """With as many proposals as objects the bad one is matched, though an empty one would score 3/4."""
    truths = [make_labels((1, 0, 0, 5, 5)), *[make_labels()] * 3]
    predictions = [make_labels((1, 6, 6, 5, 5))] * 4
    score = evaluate_unsupervised("a", make_pairs(predictions, truths))
    assert (score.objects[0].proposal, score.objects[0].region.mean) == (1, 0.0)


def test_proposals_are_counted_over_all_frames() -> None:
    truths = [make_labels((1, 0, 0, 5, 5))] * 2
    score = evaluate_unsupervised("a", make_pairs([make_labels((2, 0, 0, 5, 5)), make_labels()], truths))
    assert (score.objects[0].proposal, score.objects[0].region.mean) == (2, 0.5)


def test_a_gap_in_the_numbers_is_an_empty_proposal() -> None:
    truths = [make_labels((1, 0, 0, 5, 5)), *[make_labels()] * 3]
    predictions = [make_labels((2, 6, 6, 5, 5))] * 4
    score = evaluate_unsupervised("a", make_pairs(predictions, truths))
    assert (score.objects[0].proposal, score.objects[0].region.mean) == (1, 0.75)


def test_void_counts_nowhere_in_unsupervised_and_as_background_in_semi_supervised() -> None:
    truth = make_labels((1, 0, 0, 6, 6), (255, 6, 0, 6, 6))
    pairs = make_pairs([make_labels((1, 0, 0, 12, 6))] * 3, [truth] * 3)
    assert evaluate_unsupervised("a", pairs).objects[0].region.mean == 1.0
    assert evaluate_semi_supervised("a", pairs).objects[0].region.mean == 0.5


def test_objects_are_those_of_the_first_frame() -> None:
    truths = [make_labels((1, 0, 0, 5, 5)), make_labels((1, 0, 0, 5, 5), (2, 6, 6, 5, 5))]
    assert len(evaluate_unsupervised("a", make_pairs(truths, truths)).objects) == 1
    gap = [make_labels((2, 0, 0, 5, 5))]  # object 1 is never seen, and counts
    assert [o.region.mean for o in evaluate_unsupervised("a", make_pairs(gap, gap)).objects] == [1.0, 1.0]


def test_first_and_last_frame_count_only_in_unsupervised() -> None:
    truth, wrong = make_labels((1, 0, 0, 6, 6)), make_labels((1, 6, 8, 6, 6))
    pairs = make_pairs([wrong, truth, truth, wrong], [truth] * 4)
    assert evaluate_unsupervised("a", pairs).objects[0].region.mean == 0.5
    assert evaluate_semi_supervised("a", pairs).objects[0].region.mean == 1.0
    unpredicted = [pair._replace(prediction=None) if i in (0, 3) else pair for i, pair in enumerate(pairs)]
    assert evaluate_semi_supervised("a", unpredicted) == evaluate_semi_supervised("a", pairs)


def test_a_sequence_without_objects_scores_nothing() -> None:
    pairs = make_pairs([make_labels((1, 0, 0, 5, 5))] * 3, [make_labels()] * 3)
    score = evaluate_unsupervised("a", pairs)
    assert score.objects == ()
    assert math.isnan(score.summary.jf_mean)
    assert evaluate_semi_supervised("a", make_pairs([make_labels()] * 3, [make_labels()] * 3)).objects == ()


def test_more_than_twenty_objects_are_no_error() -> None:
    truth = np.arange(1, 31, dtype=np.uint8).repeat(4).reshape(10, 12)
    score = evaluate_unsupervised("a", make_pairs([np.where(truth == 30, 7, 0).astype(np.uint8)], [truth]))
    assert [o.region.mean for o in score.objects] == [0.0] * 29 + [1.0]


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (None, r"^00000\.png: the file does not exist\. Add a PNG"),
        (make_labels(size=(16, 12)), r"00000\.png: the prediction is 12x16 pixels, the ground truth is 16x12\. Write"),
        (
            make_labels((21, 0, 0, 2, 2)),
            r"00000\.png: the highest label is 21, but at most 20 .* allowed\. Use labels from 0 to 20",
        ),
        (make_labels((255, 0, 0, 2, 2)), r"00000\.png: label 255 means void in ground truth\. Use 0"),
    ],
)
def test_illegal_predictions_name_their_file(prediction: np.ndarray | None, message: str) -> None:
    with pytest.raises(VisError, match=message):
        evaluate_unsupervised("a", [LabelPair(make_labels((1, 0, 0, 2, 2)), prediction, "00000.png")])


def test_a_label_that_is_no_object_is_refused_in_semi_supervised() -> None:
    truth = make_labels((1, 0, 0, 2, 2))
    with pytest.raises(
        VisError, match=r"00001\.png: the highest label is 2, but the sequence has 1 objects\. Use labels from 0 to 1"
    ):
        evaluate_semi_supervised("a", make_pairs([make_labels((2, 0, 0, 2, 2))] * 3, [truth] * 3))


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(VisError, match=r"^a: no frames to evaluate\. Add"):
        evaluate_unsupervised("a", [])
    with pytest.raises(VisError, match=r"a: .* at least 3"):
        evaluate_semi_supervised("a", make_pairs([make_labels()] * 2, [make_labels()] * 2))


def write_sequence(folder: Path, frames: Sequence[np.ndarray]) -> Path:
    for index, labels in enumerate(frames):
        write_label_png(labels, folder / f"{index:05d}.png")
    return folder


def write_two_sequences(tmp_path: Path) -> tuple[Path, Path]:
    truth, results = tmp_path / "truth", tmp_path / "results"
    one, two = make_labels((1, 0, 0, 6, 6)), make_labels((1, 0, 0, 6, 6), (2, 6, 8, 6, 6), (3, 0, 10, 3, 3))
    write_sequence(truth / "one", [one] * 3)
    write_sequence(truth / "two", [two] * 4)
    write_sequence(results / "one", [make_labels((1, 0, 0, 6, 3))] * 3)
    write_sequence(results / "two", [two] * 4)
    return truth, results


def test_folders_average_over_objects_not_over_sequences(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    seen = []
    score = evaluate_folders(truth, results, progress=lambda *state: seen.append(state))
    assert [sequence.name for sequence in score.sequences] == ["one", "two"]
    assert score.summary.region.mean == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    assert score.sequences[0].summary.region.mean == 0.5
    assert seen == [("evaluate", 1, 2), ("evaluate", 2, 2)]
    only = evaluate_folders(truth, results, sequences=["two"], evaluate=evaluate_semi_supervised)
    assert [sequence.name for sequence in only.sequences] == ["two"]
    assert only.summary.jf_mean == 1.0


def test_workers_do_not_change_the_score(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    assert evaluate_folders(truth, results, num_workers=2) == evaluate_folders(truth, results)


def test_folders_name_the_file_that_is_wrong(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    picture = results / "two" / "00001.png"
    Image.new("RGB", SIZE[::-1]).save(picture)
    with pytest.raises(VisError, match=r"two/00001\.png: the PNG has colours \(RGB\)"):
        evaluate_folders(truth, results)
    with pytest.raises(VisError, match=r"nowhere/one/00000\.png: the file does not exist"):
        evaluate_folders(truth, tmp_path / "nowhere")
    with pytest.raises(VisError, match="three: no PNG files"):
        evaluate_folders(truth, results, sequences=["three"])
    with pytest.raises(VisError, match="no sequence folders"):
        evaluate_folders(tmp_path / "nowhere", results)


def test_extra_predictions_are_not_read(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    write_label_png(make_labels((200, 0, 0, 2, 2)), results / "one" / "00009.png")
    assert evaluate_folders(truth, results).sequences[0].summary.region.mean == 0.5


def test_results_are_scored_as_painted(tmp_path: Path) -> None:
    truth, _ = write_two_sequences(tmp_path)
    left, top = make_labels((1, 0, 0, 6, 6)) == 1, make_labels((1, 0, 0, 3, 6)) == 1
    low, high = make_instance(50, [left] * 3, score=0.3), make_instance(51, [top] * 3, score=0.8)
    one = make_result([low, high], name="one", size=SIZE, num_frames=3)
    two = make_result(name="two", size=SIZE, num_frames=4)
    score = evaluate_results(truth, [two, one])
    assert [[o.region.mean for o in s.objects] for s in score.sequences] == [[0.5], [0.0, 0.0, 0.0]]
    with pytest.raises(VisError, match=r"^no result for two\. Segment these"):
        evaluate_results(truth, [one])
    with pytest.raises(VisError, match=r"one: the result has 4 frames, .* has 3 PNGs"):
        evaluate_results(truth, [make_result(name="one", size=SIZE, num_frames=4)], sequences=["one"])
    with pytest.raises(VisError, match="one, frame 00000: the prediction is 5x5 pixels"):
        evaluate_results(truth, [make_result(name="one", size=(5, 5), num_frames=3)], sequences=["one"])


def moving_boxes(num_frames: int) -> list[NDArray[np.uint8]]:
    return [make_labels((1, frame, frame, 3, 3)) for frame in range(num_frames)]


@pytest.mark.parametrize("evaluate", [evaluate_unsupervised, evaluate_semi_supervised])
def test_names_without_padding_change_nothing(tmp_path: Path, evaluate: SequenceEvaluator) -> None:
    """Frames 0 to 11 in string order would be 0, 1, 10, 11, 2, ..., so that each mask meets that of another frame."""
    truths, predictions = moving_boxes(12), [*moving_boxes(9), *[make_labels((1, 0, 0, 2, 2))] * 3]
    instance = make_instance(1, [labels == 1 for labels in predictions])
    scores = []
    for pattern in ("{:05d}", "{}"):
        names = [pattern.format(number) for number in range(12)]
        truth, folder = tmp_path / pattern / "truth", tmp_path / pattern / "results"
        for name, label_map, predicted in zip(names, truths, predictions, strict=True):
            write_label_png(label_map, truth / "v" / f"{name}.png")
            write_label_png(predicted, folder / "v" / f"{name}.png")
        result = make_result([instance], name="v", size=SIZE, num_frames=12)
        named = make_result([instance], name="v", size=SIZE, num_frames=12, frame_names=[f"{n}.jpg" for n in names])
        scores.append(evaluate_folders(truth, folder, evaluate=evaluate))
        scores.append(evaluate_results(truth, [result], evaluate=evaluate))
        scores.append(evaluate_results(truth, [named], evaluate=evaluate))
    assert scores == [scores[0]] * 6
    # Unsupervised: 9 of 12 frames are right, and 1 of the last 4. Semi-supervised: 8 of 10, and 1 of the last 3.
    mean, decay = (0.75, 0.75) if evaluate is evaluate_unsupervised else (0.8, 2 / 3)
    assert scores[0].summary.region.mean == pytest.approx(mean)
    assert scores[0].summary.region.decay == pytest.approx(decay)


def test_results_are_paired_by_name_where_they_have_names(tmp_path: Path) -> None:
    truth, _ = write_two_sequences(tmp_path)
    for names, said in (
        (["00000.jpg", "00001.jpg", "00003.jpg"], r"one: frame 00003 of the result has no PNG in"),
        (["00000.jpg", "00001.jpg"], r"00002\.png: the result of one has no frame of this name"),
    ):
        result = make_result(name="one", size=SIZE, num_frames=len(names), frame_names=names)
        with pytest.raises(VisError, match=said):
            evaluate_results(truth, [result], sequences=["one"])


def test_predictions_without_ground_truth_are_named(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    assert list_unpaired(truth, results, ["one", "two"]) == []
    write_label_png(make_labels((1, 0, 0, 2, 2)), results / "one" / "00009.png")
    (results / "one" / "._00000.png").write_bytes(b"x")
    assert list_unpaired(truth, results, ["one", "two"]) == ["one/00009.png"]


def test_suffixes_in_capitals_are_found(tmp_path: Path) -> None:
    truth, results = write_two_sequences(tmp_path)
    before = evaluate_folders(truth, results)
    (truth / "one/00001.png").rename(truth / "one/00001.PNG")
    (results / "two/00001.png").rename(results / "two/00001.Png")
    assert evaluate_folders(truth, results) == before
