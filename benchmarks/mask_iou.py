"""Measure the masks of the mask head in labelled boxes: their IoU with the labels, by size of the object.

    python benchmarks/mask_iou.py --data DATA/stills --model lite --split val --split train

A mask head that only needs more data has a higher IoU on the training images than on the validation images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pycocotools.coco import COCO
from stills_ap import CPU, quietly

from vis_cli.engine.device import autocast, choose_precision
from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.records.video import open_video
from vis_cli.zoo.weights import load_model

MASK_THRESHOLD = 0.5
SIDES = {"all": (0, np.inf), "small": (0, 32), "medium": (32, 96), "large": (96, np.inf)}  # square root of the area


def main() -> None:
    """Print one line per split."""
    args = parse_args()
    model = load_model(args.model).model
    print(f"{'split':<8}{'objects':>9}" + "".join(f"{name:>9}" for name in SIDES))
    for split in args.split or ["val"]:
        rows = [
            row
            for image in labelled_images(args.data / f"{split}.json", args.source)[: args.images]
            for row in measure_image(model, args.data / "images", *image, scale=args.scale)
        ]
        sides, ious = np.array(rows).reshape(-1, 2).T
        chosen = [ious[(low <= sides) & (sides < high)] for low, high in SIDES.values()]
        print(f"{split:<8}{len(ious):9d}" + "".join(f"{some.mean() if len(some) else np.nan:9.3f}" for some in chosen))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with SPLIT.json (COCO layout) and images/")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument(
        "--split", action="append", metavar="SPLIT", help="name of a JSON file; several times for several; default: val"
    )
    parser.add_argument("--source", default="coco_small", help="source of the images, default: coco_small")
    parser.add_argument("--images", type=int, default=100, help="maximum number of images per split, default: 100")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of the input size of the model, default: 1")
    return parser.parse_args()


def labelled_images(annotations: Path, source: str) -> list[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """Return file name, boxes xyxy (N, 4) and masks (N, H, W) of each image of a source, without crowds."""
    truth = quietly(lambda: COCO(str(annotations)))
    images = []
    for image in truth.dataset["images"]:
        labels = [label for label in truth.imgToAnns[image["id"]] if not label["iscrowd"]]
        if image["source"] == source and labels:
            boxes = np.array([label["bbox"] for label in labels], dtype=np.float32)
            boxes[:, 2:] += boxes[:, :2]
            masks = np.stack([truth.annToMask(label) > 0 for label in labels])
            images.append((image["file_name"], boxes, masks))
    if not images:
        raise SystemExit(f"{annotations} has no labelled image with the source {source}. Check --source.")
    return images


@torch.inference_mode()
def measure_image(
    model: MaskRCNN,
    folder: Path,
    name: str,
    boxes: NDArray[np.float32],
    masks: NDArray[np.bool_],
    *,
    scale: float,
) -> list[tuple[float, float]]:
    """Return the side in pixels (the square root of the area) and the IoU of each object of an image."""
    frame, config = next(open_video(folder / name).iter_frames()), model.config
    height, width = frame.shape[:2]
    sides = (round(scale * side) for side in (config.short_side, config.long_side))
    resized = resize_frame(frame, network_size((height, width), short_side=next(sides), long_side=next(sides)))
    factors = np.tile(np.array(resized.shape[1::-1]) / (width, height), 2).astype(np.float32)
    with autocast(CPU, choose_precision("auto", CPU)):
        features = model.encode_frames(torch.from_numpy(resized).permute(2, 0, 1)[None])
        probs = model.box_masks(features, torch.from_numpy(boxes * factors)).float()
    found = F.interpolate(probs[None], (height, width), mode="bilinear")[0].numpy() > MASK_THRESHOLD
    both, either = (found & masks).sum(axis=(1, 2)), (found | masks).sum(axis=(1, 2))
    return list(zip(np.sqrt(masks.sum(axis=(1, 2))).tolist(), (both / np.maximum(either, 1)).tolist(), strict=True))


if __name__ == "__main__":
    main()
