"""Measure how many cuts `vis` finds, and how many frames it takes for a cut by mistake.

    python benchmarks/cuts.py --data DATA/clips

The videos of a folder are joined in random order, so each join is a cut. Check that the videos
themselves contain no cut.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import cv2

from vis_cli.records.cuts import CutDetector
from vis_cli.records.video import open_video

SIZE = (426, 240)  # width and height to which the frames are resized


def main() -> None:
    """Print the number of cuts, and of those found, missed and false, for each order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of videos without cuts")
    parser.add_argument("--orders", type=int, default=2, metavar="N", help="number of random orders")
    args = parser.parse_args()
    videos = sorted(path for path in args.data.iterdir() if path.suffix == ".mp4")
    for seed in range(args.orders):
        random.Random(seed).shuffle(videos)
        true, found, num_frames = find_cuts(videos)
        print(f"order {seed}: {num_frames} frames, {len(true)} cuts, {len(true & found)} found,", end=" ")
        print(f"{len(found - true)} false")


def find_cuts(videos: list[Path]) -> tuple[set[int], set[int], int]:
    """Return the true and the found cuts of the joined videos, and their number of frames."""
    detector, true, found, num_frames = CutDetector(), set(), set(), 0
    for path in videos:
        true.add(num_frames)
        for frame in open_video(path).iter_frames():
            found.update(detector.update(num_frames, cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA)))
            num_frames += 1
    return true - {0}, found, num_frames


if __name__ == "__main__":
    main()
