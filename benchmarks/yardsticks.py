"""Measure a model on three datasets: pseudo-clips and images of stills/val, and the videos of videos/val.

The measurement `segment` uses the complete method on images (preset ytvis2021), `images` uses the detector alone.

Use it to select weights; benchmarks/README.md describes the results. Reject a change that improves only the videos,
because nine videos are too few.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pseudo_clips
import stills_ap
from pycocotools.coco import COCO

from vis_cli.engine.segmenter import Segmenter
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import ModelInfo
from vis_cli.settings import find_preset, parse_overrides
from vis_cli.training.config import ValidationConfig
from vis_cli.training.validation import validate
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.weights import LoadedModel

PRESET = "davis-uvos"
IMAGE_PRESET = "ytvis2021"
LABELLED_SOURCE = "coco_small"  # source in the dataset stills/ in which all objects are labelled
# The categories of COCO that the first `lite` models knew.
SHARED = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "truck",
    "boat",
    "bird",
    "cat",
    "dog",
    "cow",
    "elephant",
    "bear",
    "bottle",
    "cup",
    "chair",
    "book",
)


def main() -> None:
    """Run the selected measurements and print one line per result."""
    args = parse_args()
    model = load_network(args.model, detector=args.detector).model
    figures: dict[str, float] = {"num_clips": args.num, "num_images": args.images}
    for name in args.only:
        figures |= MEASURES[name](model, args)
        print({key: round(100 * value, 1) for key, value in figures.items() if not key.startswith("num_")}, flush=True)
    for key, value in figures.items():
        print(f"{key:<28}{value if key.startswith('num_') else 100 * value:8.1f}")
    if args.json is not None:
        args.json.write_text(json.dumps({"model": args.model, **figures}, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the datasets stills/ and videos/")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--detector", help="another detector, as for `vis segment`")
    parser.add_argument(
        "--only",
        type=split_names,
        default=list(MEASURES),
        help="measurements, separated by commas: " + ",".join(MEASURES),
    )
    parser.add_argument("--num", type=int, default=300, help="number of pseudo-clips")
    parser.add_argument("--images", type=int, default=204, help="number of images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pseudo-clips")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the measurement segment",
    )
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def split_names(text: str) -> list[str]:
    """Return the names in a comma-separated list of measurements."""
    names = text.split(",")
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(MEASURES)}")
    return names


def measure_clips(model: VideoNetwork, args: argparse.Namespace) -> dict[str, float]:
    """Return J&F of the pseudo-clips with given first masks."""
    with tempfile.TemporaryDirectory(prefix="pseudo-clips-") as folder:
        stills = args.data / "stills"
        pseudo_clips.write_clips(stills / "val.json", stills / "images", Path(folder), num=args.num, seed=args.seed)
        return {"pseudo_clips_jf": measure_davis(model, Path(folder), semi_supervised=True)}


def measure_images(model: VideoNetwork, args: argparse.Namespace) -> dict[str, float]:
    """Return mask AP of the shared categories and of all COCO categories, on images with labels for all objects."""
    truth, folder = labelled_images(args), args.data / "stills" / "images"
    found = [d for image in truth.dataset["images"] for d in stills_ap.detect(model, folder, image, truth)]
    shared, complete = score_images(model, truth, found)
    return {"stills_ap_shared": shared, "stills_ap_all": complete}


def measure_segment(model: VideoNetwork, args: argparse.Namespace) -> dict[str, float]:
    """Return mask AP of the same images after `vis segment`: each category of an instance counts as a detection."""
    truth, folder = labelled_images(args), args.data / "stills" / "images"
    config = dataclasses.replace(find_preset(IMAGE_PRESET), **parse_overrides(args.set))
    segmenter = Segmenter(LoadedModel(model, ModelInfo(args.model, "")), config=config)
    found = [d for image in truth.dataset["images"] for d in segment_image(segmenter, folder, image, truth)]
    shared, complete = score_images(model, truth, found)
    return {"segment_ap_shared": shared, "segment_ap_all": complete}


def segment_image(
    segmenter: Segmenter, folder: Path, image: Mapping[str, Any], truth: COCO
) -> Iterator[dict[str, Any]]:
    """Yield the instances of one image as COCO results, without categories that `truth` lacks."""
    ids = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    result = segmenter.segment(folder / image["file_name"])
    names = {category.id: category.name for category in result.categories}
    for instance in result.instances:
        for category_id, score in instance.category_scores.items():
            if names[category_id] in ids and score > 0.0:
                entry = {"image_id": image["id"], "category_id": ids[names[category_id]], "score": score}
                yield entry | {"segmentation": instance.segmentations[0]}


def labelled_images(args: argparse.Namespace) -> COCO:
    """Return the images in which all objects are labelled."""
    truth: COCO = stills_ap.quietly(lambda: COCO(str(args.data / "stills" / "val.json")))
    images = [image for image in truth.dataset["images"] if image["source"] == LABELLED_SOURCE]
    truth.dataset["images"] = images[: args.images]
    return truth


def score_images(model: VideoNetwork, truth: COCO, found: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return mask AP of the shared categories and of all COCO categories."""
    scores = {score.name: score.ap for score in stills_ap.score_categories(truth, found, model, {})}
    every = [category.name for category in coco_categories()]
    return mean_ap(scores, shown(truth, SHARED)), mean_ap(scores, shown(truth, every))


def measure_semi_supervised(model: VideoNetwork, args: argparse.Namespace) -> dict[str, float]:
    """Return J&F of the videos with given first masks."""
    return {"videos_semi_supervised_jf": measure_davis(model, args.data / "videos", semi_supervised=True)}


def measure_unsupervised(model: VideoNetwork, args: argparse.Namespace) -> dict[str, float]:
    """Return J&F of the videos without given masks."""
    return {"videos_unsupervised_jf": measure_davis(model, args.data / "videos", semi_supervised=False)}


def measure_davis(model: VideoNetwork, folder: Path, *, semi_supervised: bool) -> float:
    """Return J&F of a DAVIS folder, from 0 to 1."""
    config = ValidationConfig(kind="davis", images=str(folder), preset=PRESET, semi_supervised=semi_supervised)
    return validate(config, model, device="cpu")["j_and_f"]


def shown(truth: COCO, names: Sequence[str]) -> list[str]:
    """Return the categories that the images contain."""
    images = [image["id"] for image in truth.dataset["images"]]
    return [
        name
        for name in names
        if (ids := truth.getCatIds(catNms=[name])) and truth.getAnnIds(imgIds=images, catIds=ids, iscrowd=False)
    ]


def mean_ap(scores: dict[str, float], names: Sequence[str]) -> float:
    """Return the mean AP of categories. A category that the model does not know has AP 0."""
    return sum(scores.get(name, 0.0) for name in names) / len(names)


MEASURES: dict[str, Callable[[VideoNetwork, argparse.Namespace], dict[str, float]]] = {
    "clips": measure_clips,
    "images": measure_images,
    "segment": measure_segment,
    "semi-supervised": measure_semi_supervised,
    "unsupervised": measure_unsupervised,
}


if __name__ == "__main__":
    main()
