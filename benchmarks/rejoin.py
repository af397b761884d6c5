"""Measure how well the memory of a lost object recognizes this object, and no other one, when it returns.

    python benchmarks/rejoin.py --data DATA/stills --num 10

`long_clip.py` draws clips with ground truth. The memory of each returning object is written from its true masks before
it leaves, and read in frames after the return. The readout has an IoU with the true mask of the same object, and
with the masks of the other objects in this frame. The table shows both for several thresholds (`REJOIN_IOU`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import long_clip
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.engine.masks import encode_probs
from vis_cli.network.memory import MemoryRule
from vis_cli.network.propagation import Propagation
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import Rle, decode_rle, rle_areas, sequence_iou
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.settings import find_preset
from vis_cli.zoo.composition import load_network

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
GAP = 10  # minimum number of frames without the object
MIN_AREA = 1000  # pixels of an object that is memorized or read
MEMORIZED = 6  # frames
NUM_READ = 3  # frames after the return


def main() -> None:
    """Draw the clips, read the memories and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with val.json (COCO layout) and images/")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--num", type=int, default=10, help="number of clips")
    parser.add_argument("--frames", type=int, default=400, help="frames of a clip")
    parser.add_argument("--json", type=Path, help="JSON file for the IoUs")
    args = parser.parse_args()
    network = load_network(args.model).model
    same: list[float] = []
    other: list[float] = []
    for seed in range(args.num):
        with tempfile.TemporaryDirectory(prefix="rejoin-") as folder, torch.inference_mode():
            long_clip.draw_clip(args.data, Path(folder), frames=args.frames, seed=seed)
            for iou, is_same in read_returns(network, Path(folder)):
                (same if is_same else other).append(iou)
        print(f"clip {seed}: {len(same)} readouts of the same object, {len(other)} of others", flush=True)
    for threshold in THRESHOLDS:
        found, wrong = (np.mean(np.array(ious) >= threshold) for ious in (same, other))
        print(f"IoU {threshold}: same object {100 * found:.1f} %, other object {100 * wrong:.1f} %")
    if args.json is not None:
        args.json.write_text(json.dumps({"same": same, "other": other}) + "\n", encoding="utf-8")


def read_returns(network: VideoNetwork, clip: Path) -> Iterator[tuple[float, bool]]:
    """Yield the IoU of a readout with each object of a frame, and whether the memory contains this object."""
    truth = read_youtube_vis(clip / "annotations.json")
    objects = [entry.segmentations for entry in truth.annotations or ()]
    frames = Frames(network, clip, truth)
    for number, masks in enumerate(objects):
        before, after = split_at_gap(masks)
        if not (before and after):
            continue
        memory = memorize(network, frames, masks, before)
        for index in after[:: max(len(after) // NUM_READ, 1)][:NUM_READ]:
            frame = frames.encode(index)
            (probs,) = network.propagate(frame.query, [memory.bank])
            (found,) = encode_probs(probs, frames.video, find_preset("default").mask_threshold)
            for other, true in enumerate(objects):
                if (mask := true[index]) is not None and rle_areas([mask])[0] >= MIN_AREA:
                    yield float(sequence_iou([[mask]], [[found]])[0, 0]), other == number


def split_at_gap(masks: tuple[Rle | None, ...]) -> tuple[list[int], list[int]]:
    """Return the frames with a large mask before and after the first long gap of an object."""
    areas = rle_areas(masks)
    large = [index for index, area in enumerate(areas) if area >= MIN_AREA]
    visible = [index for index, area in enumerate(areas) if area > 0]
    gap = next((b for a, b in itertools.pairwise(visible) if b - a > GAP), None)
    if gap is None:
        return [], []
    return [index for index in large if index < gap], [index for index in large if index >= gap]


def memorize(network: VideoNetwork, frames: Frames, masks: tuple[Rle | None, ...], indices: list[int]) -> Propagation:
    """Return the memory of an object from its true masks in some evenly spaced frames."""
    chosen = [indices[int(i)] for i in np.linspace(0, len(indices) - 1, min(MEMORIZED, len(indices)))]
    first, *others = dict.fromkeys(chosen)
    rule = MemoryRule(max_frames=MEMORIZED)
    memory = Propagation(first, network.memorize(frames.encode(first).features, frames.mask(masks[first])), rule)
    for index in others:
        memory.memorize(network, frames.encode(index), frames.mask(masks[index]))
    return memory


class Frames:
    """The frames of a clip, encoded by a network."""

    def __init__(self, network: VideoNetwork, clip: Path, truth: YouTubeVis) -> None:
        video, config = truth.videos[0], network.config
        self.video = (video.height, video.width)
        self._paths = [clip / "JPEGImages" / name for name in video.file_names]
        self._size = network_size(self.video, short_side=config.short_side, long_side=config.long_side)
        self._network = network

    def encode(self, index: int) -> EncodedFrame:
        """Encode a frame."""
        image: NDArray[np.uint8] = np.asarray(cv2.imread(str(self._paths[index])), dtype=np.uint8)[:, :, ::-1]
        pixels = torch.from_numpy(resize_frame(np.ascontiguousarray(image), self._size))
        features = self._network.encode_for_propagation(pixels.permute(2, 0, 1)[None].float())
        return EncodedFrame(index, features, self._network.encode_query(features))

    def mask(self, rle: Rle | None) -> Tensor:
        """Return a mask (1, h, w) at the size of the network input."""
        assert rle is not None
        mask = torch.from_numpy(decode_rle(rle).astype(np.float32))
        return F.interpolate(mask[None, None], self._size, mode="area")[0]


if __name__ == "__main__":
    main()
