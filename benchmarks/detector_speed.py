"""Measure processor time per key frame and peak memory of detectors, each in its own process.

A key frame is encoded by the model, and its objects are detected with their masks. The time of the first key frame is
left out. The memory includes PyTorch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FIELDS = ("detector", "encode s", "detect s", "peak MiB")
THRESHOLDS = {"score_threshold": 0.3, "nms_iou": 0.5, "max_instances": 10}


def main() -> None:
    """Measure each detector and print one line for each."""
    args = parse_args()
    if args.child:
        print(json.dumps(measure(args.detectors[0], args.image, args.repeat)))
        return
    print("".join(f"{field:>20}" for field in FIELDS))
    for name in args.detectors:
        command = [sys.executable, __file__, name, "--image", args.image, "--repeat", str(args.repeat), "--child"]
        values = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{name[-20:]:>20}" + "".join(f"{value:20.3f}" for value in values), flush=True)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="+", help="detectors as for `vis segment`, such as lite or yolox.onnx")
    parser.add_argument("--image", required=True, help="an image, used as the key frame")
    parser.add_argument("--repeat", type=int, default=10, help="number of key frames")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(name: str, image: str, repeat: int) -> tuple[float, float, float]:
    """Return the processor time of encoding and of detection per key frame, and the peak memory in MiB."""
    import torch

    from vis_cli.engine.frames import network_size, resize_frame
    from vis_cli.records.types import KeyFrame
    from vis_cli.records.video import open_video
    from vis_cli.zoo.composition import load_network
    from vis_cli.zoo.detectors.boxes_and_masks import place

    network = place(load_network("lite", detector=name).model, torch.device("cpu"))
    pixels = np.array(next(open_video(Path(image)).iter_frames()))
    sizes = {"short_side": network.config.short_side, "long_side": network.config.long_side}
    resized = torch.from_numpy(resize_frame(pixels, network_size(pixels.shape[:2], **sizes)))
    encoding, detecting = [], []
    with torch.inference_mode():
        for _ in range(repeat + 1):
            start = time.process_time()
            features = network.encode_frames(resized.permute(2, 0, 1)[None].float())
            middle = time.process_time()
            network.detect(dataclasses.replace(features, key_frame=KeyFrame(0, pixels)), **THRESHOLDS)
            encoding.append(middle - start)
            detecting.append(time.process_time() - middle)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return float(np.median(encoding[1:])), float(np.median(detecting[1:])), peak


if __name__ == "__main__":
    main()
