"""Measure how often instances of a score are correct, and fit the calibration of a model (Platt scaling).

One half of the labelled images fits the calibration, the other half tests it (docs/explanation/scores.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import identity
import matplotlib
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from scipy.optimize import minimize
from scipy.special import expit, logit
from stills_ap import quietly

from vis_cli.engine.scoring import calibrate_scores
from vis_cli.engine.segmenter import Segmenter
from vis_cli.network.config import Calibration
from vis_cli.records.rle import Rle, encode_mask, pairwise_intersections, rle_areas
from vis_cli.records.types import VideoResult
from vis_cli.settings import find_preset
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.folder import find_model, read_summary
from vis_cli.zoo.weights import load_model, save_model

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # the backend is selected before the import

BINS = 5
CROWD_COVER = 0.5  # an instance of which more lies in a crowd region is not rated
Ratings: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_]]  # scores (N,), and whether they are correct (N,)


def main() -> None:
    """Rate the instances of all images, fit, print and store."""
    args = parse_args()
    network = load_network(args.model, detector=args.detector)
    if args.output is not None and isinstance(network.model, BoxesAndMasks):
        raise SystemExit("the calibration belongs to a detector of boxes. Pass it to the script of its card.")
    config = dataclasses.replace(find_preset("default"), calibrate=False, confident_score=0.0, score_threshold=0.0)
    halves = rate_images(Segmenter(network, config=config), args.data / "stills", args.images)
    fitted = args.calibration or fit(*halves[0])
    print(f"calibration: slope {fitted[0]:.4f}, offset {fitted[1]:.4f}")
    scores, correct = halves[1]
    before, after = (scores, correct), (calibrate(scores, fitted), correct)
    for name, ratings in (("before", before), ("after", after)):
        print(f"{name}: expected calibration error {expected_error(*ratings):.3f}")
        print_table(reliability(*ratings))
    for limit in (0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7):
        shown = after[0] >= limit
        print(f"score of at least {limit}: {shown.sum()} instances, {correct[shown].mean():.2f} correct")
    if args.figure is not None:
        draw(reliability(*before), reliability(*after), args.figure)
    if args.output is not None:
        store(args.model, fitted, args.output)
    if args.json is not None:
        report = {"calibration": fitted, "before": reliability(*before), "after": reliability(*after)}
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset stills/")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--detector", help="another detector, as for `vis segment`; the model itself: its own boxes")
    parser.add_argument("--images", type=int, default=204, help="number of images")
    parser.add_argument("--calibration", type=float, nargs=2, help="slope and offset to test instead of a fit")
    parser.add_argument("--figure", type=Path, help="SVG or PNG file for the reliability diagram")
    parser.add_argument("-o", "--output", type=Path, help="model folder to write with the calibration")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def rate_images(segmenter: Segmenter, folder: Path, num: int) -> tuple[Ratings, Ratings]:
    """Segment the labelled images, and rate the instances of both halves. The file name selects the half."""
    truth = quietly(lambda: COCO(str(folder / "val.json")))
    images = [image for image in truth.dataset["images"] if image["source"] == identity.SOURCE][:num]
    names = {category["id"]: category["name"] for category in truth.dataset["categories"]}
    rated: tuple[list[tuple[float, bool]], list[tuple[float, bool]]] = ([], [])
    for image in images:
        result = segmenter.segment(folder / "images" / image["file_name"])
        entries = truth.imgToAnns[image["id"]]
        masks = [encode_mask(truth.annToMask(entry) > 0) for entry in entries]
        labels = [None if entry["iscrowd"] else names[entry["category_id"]] for entry in entries]
        half = int(hashlib.sha256(image["file_name"].encode()).hexdigest(), 16) % 2
        rated[half].extend(rate(result, masks, labels))
    first, second = (
        (np.array([score for score, _ in half]), np.array([ok for _, ok in half], dtype=np.bool_)) for half in rated
    )
    return first, second


def rate(result: VideoResult, masks: Sequence[Rle], labels: Sequence[str | None]) -> list[tuple[float, bool]]:
    """Return the score of each instance of an image, and whether it is correct.

    The best instance first takes the object with the highest IoU of at least 0.5 that has its category and is free.

    Args:
        result: Instances of one image.
        masks: Masks of the labelled objects.
        labels: Their categories; None for a region with a crowd.
    """
    names = {category.id: category.name for category in result.categories}
    taken: set[int] = set()
    rated = []
    for instance in sorted(result.instances, key=lambda instance: -instance.score):
        iou = identity.frame_iou([instance.segmentations[0]], masks)[0] if masks else np.zeros(0)
        fitting = [
            index
            for index in np.flatnonzero(iou >= identity.MATCH_IOU).tolist()
            if index not in taken
            and labels[index] is not None
            and identity.is_named(instance, names, labels[index] or "")
        ]
        if fitting:
            taken.add(max(fitting, key=lambda index: iou[index]))
        elif in_crowd(instance.segmentations[0], [m for m, label in zip(masks, labels, strict=True) if label is None]):
            continue
        rated.append((instance.score, bool(fitting)))
    return rated


def in_crowd(mask: Rle | None, crowds: Sequence[Rle]) -> bool:
    """Return whether a crowd region covers more than half of a mask."""
    covered = pairwise_intersections([mask], crowds)[0] / max(int(rle_areas([mask])[0]), 1)
    return bool((covered > CROWD_COVER).any())


def fit(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> Calibration:
    """Return slope and offset of the logit with the maximum likelihood.

    Reference: Platt, Probabilistic outputs for support vector machines, 1999, with its targets for few samples.
    """
    num, x = int(correct.sum()), logit(np.clip(scores, 1e-6, 1 - 1e-6))
    target = np.where(correct, (num + 1) / (num + 2), 1 / (len(correct) - num + 2))

    def loss(line: NDArray[np.float64]) -> float:
        logits = line[0] * x + line[1]
        return float(-(target * np.log(expit(logits)) + (1 - target) * np.log(expit(-logits))).sum())

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return round(float(slope), 4), round(float(offset), 4)


def calibrate(scores: NDArray[np.float64], fitted: Calibration) -> NDArray[np.float64]:
    """Return the calibrated scores (N,)."""
    return calibrate_scores(np.stack([scores, scores], axis=1), fitted)[:, 1]


def reliability(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """Return the number of instances, the mean score and the precision of each bin of scores that is not empty."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    chosen = [bins == index for index in range(BINS)]
    return [(int(c.sum()), float(scores[c].mean()), float(correct[c].mean())) for c in chosen if c.any()]


def expected_error(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Return the mean difference between score and precision over the bins, weighted by the number of instances."""
    table = reliability(scores, correct)
    return sum(num * abs(score - precision) for num, score, precision in table) / max(len(scores), 1)


def print_table(table: Sequence[tuple[int, float, float]]) -> None:
    """Print one line per bin."""
    print(f"{'instances':>10}{'score':>8}{'correct':>9}")
    for num, score, precision in table:
        print(f"{num:10d}{score:8.2f}{precision:9.2f}")


def draw(before: Sequence[tuple[int, float, float]], after: Sequence[tuple[int, float, float]], path: Path) -> None:
    """Draw the reliability diagram."""
    figure, axes = plt.subplots(figsize=(4.2, 4.0))
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="score = precision")
    for table, label, marker in ((before, "before calibration", "o"), (after, "after calibration", "s")):
        axes.plot([row[1] for row in table], [row[2] for row in table], marker=marker, label=label)
    axes.set(xlabel="score", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def store(model: str, fitted: Calibration, output: Path) -> None:
    """Write the model with the calibration. Its weights and their precision do not change."""
    network = load_model(model).model
    network.config = dataclasses.replace(network.config, calibration=fitted)
    save_model(output, network, dict(read_summary(find_model(model)).provenance))


if __name__ == "__main__":
    main()
