"""Write the boxes of one or several detectors in the key frames of videos, as COCO results for `--detections`.

Boxes of several detectors are joined. `vis segment` removes duplicates by box NMS and mask NMS.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.engine.key_frames import select_key_frames
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.structures import Detections
from vis_cli.records.types import KeyFrame
from vis_cli.records.video import open_video
from vis_cli.settings import SegmentSettings, find_preset
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.detectors.boxes_and_masks import place

CPU = torch.device("cpu")


def main() -> None:
    """Write one file per video."""
    args = parse_args()
    config = find_preset(args.preset)
    networks = [ClassAgnostic(place(load_network("lite", detector=name).model, CPU)) for name in args.detector]
    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.videos:
        results = [entry for network in networks for entry in detect(network, path, config)]
        file = args.out / f"{path.name if path.is_dir() else path.stem}.json"
        file.write_text(json.dumps(results), encoding="utf-8")
        print(f"{file}: {len(results)} boxes", flush=True)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+", help="video files or folders of images")
    parser.add_argument("--detector", action="append", required=True, help="detector as for `vis segment`; repeatable")
    parser.add_argument("--preset", default="davis-uvos", help="preset with the key frames and thresholds")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    return parser.parse_args()


@torch.inference_mode()
def detect(network: VideoNetwork, path: Path, config: SegmentSettings) -> Iterator[dict[str, Any]]:
    """Yield the boxes of a video as COCO results with the category id 1."""
    video = open_video(path)
    keys = select_key_frames(video.count_frames(), config.num_key_frames, config.key_frame_spacing)
    for index, pixels in enumerate(video.iter_frames()):
        if index not in keys:
            continue
        found = detect_in_frame(network, KeyFrame(index, np.array(pixels)), config)
        scale = pixels.shape[1] / found.mask_probs.shape[2]
        for (x0, y0, x1, y1), score in zip((found.boxes * scale).tolist(), found.scores.tolist(), strict=True):
            name = index if video.frame_names is None else video.frame_names[index]
            yield {"image_id": name, "category_id": 1, "score": score, "bbox": [x0, y0, x1 - x0, y1 - y0]}


def detect_in_frame(network: VideoNetwork, key_frame: KeyFrame, config: SegmentSettings) -> Detections:
    """Detect objects of any class in a key frame."""
    sizes = {"short_side": network.config.short_side, "long_side": network.config.long_side}
    resized = resize_frame(key_frame.pixels, network_size(key_frame.pixels.shape[:2], **sizes))
    features = network.encode_frames(torch.from_numpy(resized).permute(2, 0, 1)[None].float())
    return network.detect(
        dataclasses.replace(features, key_frame=key_frame),
        score_threshold=config.detection_score_threshold,
        nms_iou=config.box_nms_iou,
        max_instances=config.max_instances,
    )


if __name__ == "__main__":
    main()
