"""Measure whether each object of a video gets one instance with one id: duplicates, precision, recall, identity.

benchmarks/README.md describes the measures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pseudo_clips
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vis_cli.engine.segmenter import Segmenter
from vis_cli.evaluation.benchmark_videos import segment_videos, youtube_vis_videos
from vis_cli.metrics import davis
from vis_cli.records.rle import (
    Rle,
    pairwise_intersections,
    rle_areas,
    sequence_areas,
    sequence_containment,
    sequence_intersections,
    sequence_iou,
)
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation, read_youtube_vis
from vis_cli.settings import find_preset, parse_overrides

SOURCE = "coco_small"  # source in the dataset stills/ in which all objects are labelled
MATCH_IOU = 0.5
DUPLICATE = 0.8  # of the smaller sequence lies in the other one
INSIDE = 0.5  # an instance belongs to the object that contains more than this of it
GENERIC = "object"  # the category of the model that matches each category

# The preset `default` before scores were calibrated and masks were exclusive.
EARLIER = (
    "score_source=eq2",
    "calibrate=false",
    "containment=1",
    "overlap=keep",
    "confident_score=0",
    "detection_score_threshold=0.5",
)


@dataclass(slots=True)
class Counts:
    """Sums over the videos of a dataset. All of them count confident instances only."""

    objects: int = 0
    instances: int = 0
    duplicate_pairs: int = 0
    covered_objects: int = 0  # objects to which an instance belongs
    belonging: int = 0  # instances that belong to an object
    matched: int = 0  # instances with the mask of an object
    named: int = 0  # instances with the mask and the category of an object
    switches: int = 0

    def figures(self) -> dict[str, float]:
        """Return the measures."""
        return {
            "objects": self.objects,
            "instances": self.instances,
            "duplicate_pairs": self.duplicate_pairs,
            "instances_per_object": self.belonging / max(self.covered_objects, 1),
            "precision": self.matched / max(self.instances, 1),
            "precision_with_category": self.named / max(self.instances, 1),
            "recall": self.matched / max(self.objects, 1),
            "identity_switches": self.switches,
        }


def main() -> None:
    """Segment both datasets and print their measures."""
    args = parse_args()
    overrides = parse_overrides([*(EARLIER if args.earlier else ()), *args.set])
    config = dataclasses.replace(find_preset(args.preset), **overrides)
    segmenter = Segmenter(args.model, config=config)
    report: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="identity-") as folder:
        for name in args.only:
            root = args.data / "videos"
            if name == "clips":
                root, stills = Path(folder), args.data / "stills"
                clips = {"num": args.num, "seed": args.seed, "source": SOURCE}
                pseudo_clips.write_clips(stills / "val.json", stills / "images", root, **clips)
            truth = root / (pseudo_clips.OBJECTS if name == "clips" else "val.json")
            report[name] = measure(segmenter, root, read_youtube_vis(truth))
            print(f"{name}:", *(f"{key} {value:.4g}," for key, value in report[name].items()), flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps({"model": args.model, "settings": overrides, **report}, indent=1) + "\n")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the datasets stills/ and videos/")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--preset", default="default", help="preset of `vis segment`")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="setting, repeatable")
    parser.add_argument("--earlier", action="store_true", help="use earlier settings: " + " ".join(EARLIER))
    parser.add_argument("--only", nargs="+", choices=("clips", "videos"), default=["clips", "videos"])
    parser.add_argument("--num", type=int, default=100, help="number of pseudo-clips")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pseudo-clips")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def measure(segmenter: Segmenter, root: Path, split: YouTubeVis) -> dict[str, float]:
    """Return the measures of the videos of a split, whose frames are in JPEGImages, and masks in Annotations."""
    names = {category.id: category.name for category in split.categories}
    counts, results = Counts(), []
    for video, result in zip(
        split.videos, segment_videos(segmenter, youtube_vis_videos(split, root / "JPEGImages")), strict=True
    ):
        truth = [entry for entry in split.annotations or () if entry.video_id == video.id]
        count(counts, truth, result, names)
        results.append(result)
    sequences = [video.name for video in split.videos]
    score = davis.evaluate_results(root / "Annotations", results, sequences=sequences)
    return counts.figures() | {"j_and_f": score.summary.jf_mean}


def count(counts: Counts, truth: Sequence[YouTubeVisAnnotation], result: VideoResult, names: dict[int, str]) -> None:
    """Add one video."""
    found = [instance for instance in result.instances if instance.confident]
    masks, true_masks = [i.segmentations for i in found], [entry.segmentations for entry in truth]
    counts.objects += len(truth)
    counts.instances += len(found)
    pairs = sequence_containment(masks, masks) >= DUPLICATE
    counts.duplicate_pairs += int(np.triu(pairs, k=1).sum())
    if not found or not truth:
        return
    share = sequence_intersections(masks, true_masks) / np.maximum(sequence_areas(masks), 1)[:, None]
    owners = {int(row.argmax()) for row in share if row.max() > INSIDE}
    counts.covered_objects += len(owners)
    counts.belonging += int((share.max(axis=1) > INSIDE).sum())
    known = {category.id: category.name for category in result.categories}
    for row, column in match(sequence_iou(masks, true_masks)):
        counts.matched += 1
        counts.named += is_named(found[row], known, names[truth[column].category_id])
    counts.switches += count_switches(masks, true_masks)


def is_named(instance: InstanceSequence, categories: dict[int, str], name: str) -> bool:
    """Return whether an instance has the category `name`, or the generic category."""
    return instance.category_id is not None and categories[instance.category_id] in (name, GENERIC)


def match(iou: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of rows and columns with an IoU of at least MATCH_IOU. Their sum of IoU is the maximum."""
    for row, column in zip(*linear_sum_assignment(-np.where(iou >= MATCH_IOU, iou, 0.0)), strict=True):
        if iou[row, column] >= MATCH_IOU:
            yield int(row), int(column)


def count_switches(masks: Sequence[Sequence[Rle | None]], true_masks: Sequence[Sequence[Rle | None]]) -> int:
    """Return how often an object is matched by another instance than in the last frame that matched it.

    Reference: Bernardin and Stiefelhagen, Evaluating multiple object tracking performance, 2008.
    """
    last: dict[int, int] = {}
    switches = 0
    for found, true in zip(zip(*masks, strict=True), zip(*true_masks, strict=True), strict=True):
        for row, column in match(frame_iou(found, true)):
            switches += last.get(column, row) != row
            last[column] = row
    return switches


def frame_iou(a: Iterable[Rle | None], b: Iterable[Rle | None]) -> NDArray[np.float64]:
    """Return the IoU (N, M) of the masks of one frame."""
    first, second = list(a), list(b)
    common = pairwise_intersections(first, second)
    unions = rle_areas(first)[:, None] + rle_areas(second)[None, :] - common
    iou: NDArray[np.float64] = common / np.maximum(unions, 1)
    return iou


if __name__ == "__main__":
    main()
