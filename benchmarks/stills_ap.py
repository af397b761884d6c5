"""Measures the detector alone: mask AP on photographs in COCO layout, by pycocotools' COCOeval.

Run by hand; see README.md beside it for what a category is measured on.
"""

from __future__ import annotations

import argparse
import contextlib
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
from vis_cli.network.accelerate import accelerate
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.video import open_video
from vis_cli.training.config_file import read_train_config
from vis_cli.zoo.weights import load_model

REST = "object"  # the model's name for everything that has no category of its own; it is not scored
MAX_INSTANCES = 100  # COCO's limit a picture
SCORE_THRESHOLD = 0.05  # usual for COCO: what scores lower hardly changes AP, but costs time
BOX_NMS_IOU = 0.5
MASK_THRESHOLD = 0.5
CPU = torch.device("cpu")
TRAIN_CONFIG = Path(__file__).parents[1] / "models" / "lite" / "boxes.toml"


@dataclass(frozen=True, slots=True)
class CategoryScore:
    """Hold the AP of one category over the pictures whose source labels it."""

    name: str
    num_images: int
    num_instances: int
    ap: float  # over IoU 0.50:0.05:0.95
    ap50: float


def main() -> None:
    """Detect on every picture, score each category, print the table."""
    args = parse_args()
    network = accelerate(load_model(args.model).model, CPU)
    truth = quietly(lambda: COCO(str(args.data / f"{args.split}.json")))
    truth.dataset["images"] = truth.dataset["images"][: args.limit]
    detections = [d for image in truth.dataset["images"] for d in detect(network, args.data / "images", image, truth)]
    scores = score_categories(truth, detections, network, read_labelled(args.train_config))
    print_scores(scores)
    if args.json is not None:
        args.json.write_text(json.dumps(scores_json(scores, args.model), indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="holds <split>.json and images/")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="lite", help="a name of the zoo or a model folder")
    parser.add_argument("--train-config", type=Path, default=TRAIN_CONFIG, help="says what each source labels")
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def read_labelled(train_config: Path) -> dict[str, set[str]]:
    """Return for each source that does not label every object the names that it does label."""
    sources = read_train_config(train_config).data
    return {name: set(labels) for source in sources for name, labels in source.labelled.items()}


@torch.inference_mode()
def detect(network: VideoNetwork, folder: Path, image: Mapping[str, Any], truth: COCO) -> Iterator[dict[str, Any]]:
    """Detect the instances of one picture, as COCO results; classes that `truth` lacks are left out."""
    picture = next(open_video(folder / image["file_name"]).iter_frames())
    (height, width), config = picture.shape[:2], network.config
    resized = resize_frame(
        picture, network_size((height, width), short_side=config.short_side, long_side=config.long_side)
    )
    with autocast(CPU, choose_precision("auto", CPU)):
        found = network.detect(
            network.encode_frames(torch.from_numpy(resized).permute(2, 0, 1)[None]),
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
    """Score each category that the model knows and that the pictures hold, on the pictures that label it."""
    if not detections:
        raise SystemExit("the model found nothing on any picture")
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
    """Tell whether a picture of `source` has all its objects called `name` labelled."""
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
    """Call without what pycocotools prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return call()


def print_scores(scores: Sequence[CategoryScore]) -> None:
    """Print one line a category, then the means over categories, in percent."""
    print(f"{'category':<14}{'images':>8}{'instances':>11}{'AP':>7}{'AP50':>7}")
    for s in scores:
        print(f"{s.name:<14}{s.num_images:8d}{s.num_instances:11d}{100 * s.ap:7.1f}{100 * s.ap50:7.1f}")
    ap, ap50 = means(scores)
    print(f"{'mean':<14}{'':8}{sum(s.num_instances for s in scores):11d}{100 * ap:7.1f}{100 * ap50:7.1f}")


def means(scores: Sequence[CategoryScore]) -> tuple[float, float]:
    """Average AP and AP50 over categories."""
    return float(np.mean([s.ap for s in scores])), float(np.mean([s.ap50 for s in scores]))


def scores_json(scores: Sequence[CategoryScore], model: str) -> dict[str, Any]:
    """Return all figures, in 0..1."""
    ap, ap50 = means(scores)
    fields = [{name: getattr(s, name) for name in CategoryScore.__slots__} for s in scores]
    return {"model": model, "AP": ap, "AP50": ap50, "categories": fields}


if __name__ == "__main__":
    main()
