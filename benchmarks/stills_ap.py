"""Measure mask AP of the detector on images in COCO layout, with COCOeval of pycocotools.

benchmarks/README.md describes which images count for a category.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vis_cli.engine.device import autocast, choose_precision
from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.engine.masks import encode_probs
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.types import KeyFrame
from vis_cli.records.video import open_video
from vis_cli.training.config_file import read_train_config
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.detectors.boxes_and_masks import place

REST = "object"  # the generic category of the model; it is not scored
MAX_INSTANCES = 100  # COCO's limit per image
SCORE_THRESHOLD = 0.05  # usual for COCO: lower scores hardly change AP, but take time
BOX_NMS_IOU = 0.5
MASK_THRESHOLD = 0.5
CPU = torch.device("cpu")
TRAIN_CONFIG = Path(__file__).parents[1] / "models" / "lite" / "boxes.toml"


@dataclass(frozen=True, slots=True)
class CategoryScore:
    """AP of one category over the images whose source labels it."""

    name: str
    num_images: int
    num_instances: int
    ap: float  # over IoU 0.50:0.05:0.95
    ap50: float


def main() -> None:
    """Detect in all images, score each category and print the table."""
    args = parse_args()
    network = place(load_network(args.model, detector=args.detector).model, CPU)
    truth = quietly(lambda: COCO(str(args.data / f"{args.split}.json")))
    truth.dataset["images"] = truth.dataset["images"][: args.limit]
    detections = [d for image in truth.dataset["images"] for d in detect(network, args.data / "images", image, truth)]
    scores = score_categories(truth, detections, network, read_labelled(args.train_config))
    print_scores(scores)
    if args.json is not None:
        args.json.write_text(json.dumps(scores_json(scores, args.model), indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with SPLIT.json (COCO layout) and images/")
    parser.add_argument("--split", default="val", help="name of the JSON file without its extension")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--detector", help="another detector, as for `vis segment`")
    parser.add_argument(
        "--train-config",
        type=Path,
        default=TRAIN_CONFIG,
        help="training config with the categories that each source labels",
    )
    parser.add_argument("--limit", type=int, help="number of images, from the first; default: all")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def read_labelled(train_config: Path) -> dict[str, set[str]]:
    """Return the labelled categories of each source that does not label all categories."""
    sources = read_train_config(train_config).data
    return {name: set(labels) for source in sources for name, labels in source.labelled.items()}


@torch.inference_mode()
def detect(network: VideoNetwork, folder: Path, image: Mapping[str, Any], truth: COCO) -> Iterator[dict[str, Any]]:
    """Yield the detections of one image as COCO results, without categories that `truth` lacks."""
    frame = next(open_video(folder / image["file_name"]).iter_frames())
    (height, width), config = frame.shape[:2], network.config
    resized = resize_frame(
        frame, network_size((height, width), short_side=config.short_side, long_side=config.long_side)
    )
    with autocast(CPU, choose_precision("auto", CPU)):
        features = network.encode_frames(torch.from_numpy(resized).permute(2, 0, 1)[None])
        found = network.detect(
            dataclasses.replace(features, key_frame=KeyFrame(0, np.ascontiguousarray(frame))),
            score_threshold=SCORE_THRESHOLD,
            nms_iou=BOX_NMS_IOU,
            max_instances=MAX_INSTANCES,
        )
    ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    rles = encode_probs(found.mask_probs, (height, width), MASK_THRESHOLD)
    for label, score, rle in zip(found.labels.tolist(), found.scores.tolist(), rles, strict=True):
        category_id = ids.get(config.categories[label - 1].name)
        if rle is not None and category_id is not None:
            yield {"image_id": image["id"], "category_id": category_id, "score": score, "segmentation": rle}


def score_categories(
    truth: COCO, detections: Sequence[dict[str, Any]], network: VideoNetwork, labelled: Mapping[str, set[str]]
) -> list[CategoryScore]:
    """Return the AP of each category of the model that the images contain, on the images that label it."""
    if not detections:
        raise SystemExit("cannot score: the model detects nothing in these images. Check --model and --data.")
    found = quietly(lambda: truth.loadRes(list(detections)))
    scores = []
    for category in network.config.categories:
        images = [i["id"] for i in truth.dataset["images"] if labels_category(i["source"], category.name, labelled)]
        category_ids = truth.getCatIds(catNms=[category.name])
        num_instances = len(truth.getAnnIds(imgIds=images, catIds=category_ids)) if images and category_ids else 0
        if category.name != REST and num_instances:
            ap, ap50 = average_precision(truth, found, images, category_ids)
            scores.append(CategoryScore(category.name, len(images), num_instances, ap, ap50))
    return scores


def labels_category(source: str, name: str, labelled: Mapping[str, set[str]]) -> bool:
    """Return whether `source` labels all objects of the category `name`."""
    return source not in labelled or name in labelled[source]


def average_precision(truth: COCO, found: COCO, images: list[int], category_ids: list[int]) -> tuple[float, float]:
    """Return AP over IoU 0.50:0.05:0.95 and at 0.50."""
    evaluation = COCOeval(truth, found, "segm")
    evaluation.params.imgIds, evaluation.params.catIds = images, category_ids
    quietly(evaluation.evaluate)
    quietly(evaluation.accumulate)
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]  # (IoU, recall), one category, all areas, 100 detections
    return float(precision.mean()), float(precision[0].mean())


def quietly(call: Any) -> Any:
    """Call a function of pycocotools without its output."""
    with contextlib.redirect_stdout(io.StringIO()):
        return call()


def print_scores(scores: Sequence[CategoryScore]) -> None:
    """Print one line per category, then the means over categories, in percent."""
    print(f"{'category':<14}{'images':>8}{'instances':>11}{'AP':>7}{'AP50':>7}")
    for s in scores:
        print(f"{s.name:<14}{s.num_images:8d}{s.num_instances:11d}{100 * s.ap:7.1f}{100 * s.ap50:7.1f}")
    ap, ap50 = means(scores)
    print(f"{'mean':<14}{'':8}{sum(s.num_instances for s in scores):11d}{100 * ap:7.1f}{100 * ap50:7.1f}")


def means(scores: Sequence[CategoryScore]) -> tuple[float, float]:
    """Return the means of AP and AP50 over categories."""
    return float(np.mean([s.ap for s in scores])), float(np.mean([s.ap50 for s in scores]))


def scores_json(scores: Sequence[CategoryScore], model: str) -> dict[str, Any]:
    """Return all results, from 0 to 1."""
    ap, ap50 = means(scores)
    fields = [{name: getattr(s, name) for name in CategoryScore.__slots__} for s in scores]
    return {"model": model, "AP": ap, "AP50": ap50, "categories": fields}


if __name__ == "__main__":
    main()
