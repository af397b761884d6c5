"""Measure how often the box head of a model corrects a category of its detector, and how often it is right.

benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision.ops import batched_nms, box_iou

from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.records.types import KeyFrame
from vis_cli.records.video import open_video
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.detectors.boxes_and_masks import CERTAIN, LIKELY, BoxesAndMasks
from vis_cli.zoo.included_detectors import GENERIC

MIN_SCORE = 0.3  # of a box, as in the preset `default`
NMS_IOU = 0.5
MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Opinion:
    """A box that shows a labelled object."""

    truth: str
    detector: str
    model: str
    certainty: float  # probability of the category of the model


def main() -> None:
    """Collect the opinions about all images and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the dataset stills/")
    parser.add_argument("--model", default="lite", help="model that names a detector")
    parser.add_argument("--source", default="coco_small", help="`source` of the images in stills/val.json")
    args = parser.parse_args()
    network = load_network(args.model).model
    if not isinstance(network, BoxesAndMasks):
        parser.error(f"{args.model} names no detector")
    opinions = list(collect(network, args.data / "stills", args.source))
    known = {category.name for category in network.detector.categories}
    print(f"{len(opinions)} labelled objects with a box")
    print_thresholds("categories of both", [o for o in opinions if o.model in known])
    print_thresholds("categories of the model only", [o for o in opinions if o.model not in known])
    print_categories(opinions, known)


@torch.inference_mode()
def collect(network: BoxesAndMasks, folder: Path, source: str) -> Iterator[Opinion]:
    """Yield one opinion per labelled object that has a box."""
    truth = json.loads((folder / "val.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in truth["categories"]}
    objects: dict[int, list[dict[str, Any]]] = {}
    for entry in truth["annotations"]:
        objects.setdefault(entry["image_id"], []).append(entry)
    for image in truth["images"]:
        if image["source"] == source:
            yield from opinions_of(network, folder / "images" / image["file_name"], objects.get(image["id"], []), names)


def opinions_of(
    network: BoxesAndMasks, path: Path, objects: list[dict[str, Any]], names: dict[int, str]
) -> Iterator[Opinion]:
    """Yield the opinions about the labelled objects of one image."""
    model = network.network
    frame = next(iter(open_video(path).iter_frames()))
    size = network_size(frame.shape[:2], short_side=model.config.short_side, long_side=model.config.long_side)
    pixels = resize_frame(frame, size)
    found = network.detector.detect(KeyFrame(0, pixels), mask_size=size)
    boxes, scores, labels = (torch.from_numpy(values) for values in (found.boxes, found.scores, found.labels))
    keep = batched_nms(boxes, scores, torch.zeros_like(labels), NMS_IOU)
    keep = keep[scores[keep] > MIN_SCORE]
    if len(keep) == 0:
        return
    features = model.encode_frames(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
    certainty, columns = model.class_probs(features, boxes[keep])[:, 1:].max(dim=1)
    scale = torch.tensor([size[1] / frame.shape[1], size[0] / frame.shape[0]] * 2)
    for entry in objects:
        x, y, width, height = entry["bbox"]
        overlaps = box_iou(torch.tensor([[x, y, x + width, y + height]]) * scale, boxes[keep])[0]
        best = int(overlaps.argmax())
        if not entry.get("iscrowd") and overlaps[best] >= MATCH_IOU:
            own = model.config.categories[int(columns[best])].name
            other = network.detector.categories[int(labels[keep][best]) - 1].name
            yield Opinion(names[entry["category_id"]], other, own, float(certainty[best]))


def print_thresholds(title: str, opinions: list[Opinion]) -> None:
    """Print how many categories change, and how many of both are right, for several thresholds."""
    print(f"\n{title}\n{'certainty':>10}{'changed':>9}{'detector right':>16}{'model right':>13}")
    for threshold in (0.4, LIKELY, 0.6, 0.7, 0.8, CERTAIN, 0.95):
        changed = [o for o in opinions if o.certainty >= threshold and o.model not in (o.detector, GENERIC)]
        detector, model = (sum(getattr(o, name) == o.truth for o in changed) for name in ("detector", "model"))
        print(f"{threshold:10.2f}{len(changed):9d}{detector:16d}{model:13d}")


def print_categories(opinions: list[Opinion], known: set[str]) -> None:
    """Print the number of right categories before and after the correction."""
    print(f"\n{'category':<20}{'objects':>8}{'detector':>10}{'corrected':>11}")
    for name, number in Counter(opinion.truth for opinion in opinions).most_common():
        some = [opinion for opinion in opinions if opinion.truth == name]
        before = sum(opinion.detector == name for opinion in some)
        after = sum(corrected(opinion, known) == name for opinion in some)
        print(f"{name:<20}{number:8d}{before:10d}{after:11d}")


def corrected(opinion: Opinion, known: set[str]) -> str:
    """Return the category of the result."""
    needed = CERTAIN if opinion.model in known else LIKELY
    return opinion.model if opinion.certainty >= needed and opinion.model != GENERIC else opinion.detector


if __name__ == "__main__":
    main()
