"""Compare windows with the method on the whole video, on a clip of `long_clip.py`.

    python benchmarks/long_clip.py --data DATA/stills -o CLIP
    python benchmarks/windows.py CLIP --window none --window 64 --window 128

`none` is the method of the paper: K = 4 key frames for the whole clip. benchmarks/README.md describes the measures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import identity

from vis_cli.engine.segmenter import Segmenter
from vis_cli.records.rle import Rle, sequence_iou
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.settings import find_preset, parse_overrides

NEAR = 10  # frames between a birth or a death and the truth


def main() -> None:
    """Segment the clip with each setting and print one line per setting."""
    args = parse_args()
    truth = read_youtube_vis(args.clip / "annotations.json")
    report = []
    for text in args.window:
        overrides = parse_overrides([*args.set, f"window={text}"])
        config = dataclasses.replace(find_preset(args.preset), **overrides)
        began = time.perf_counter()
        result = Segmenter(args.model, config=config).segment(args.clip / "clip.mp4")
        report.append({"window": text, "seconds": time.perf_counter() - began, **measure(result, truth)})
        print(*(f"{key} {shown(value)}," for key, value in report[-1].items()), flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps({"model": args.model, "rows": report}, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, metavar="CLIP", help="folder of long_clip.py")
    parser.add_argument("--window", action="append", required=True, metavar="N", help="frames, or none; repeatable")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--preset", default="default", help="preset of `vis segment`")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="setting, repeatable")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def shown(value: Any) -> str:
    """Return a value for the terminal."""
    return value if isinstance(value, str) else f"{value:.4g}"


def measure(result: VideoResult, truth: YouTubeVis) -> dict[str, float]:
    """Return the measures of a result."""
    names = {category.id: category.name for category in truth.categories}
    objects = list(truth.annotations or ())
    counts = identity.Counts()
    identity.count(counts, objects, result, names)
    found = [instance.segmentations for instance in result.instances if instance.confident]
    true = [entry.segmentations for entry in objects]
    return counts.figures() | life_figures(found, true)


def life_figures(found: Sequence[Sequence[Rle | None]], true: Sequence[Sequence[Rle | None]]) -> dict[str, float]:
    """Return the fraction of matched objects whose first and last mask are within NEAR frames of the truth."""
    pairs = list(identity.match(sequence_iou(found, true))) if found and true else []
    births = sum(abs(first(found[row]) - first(true[column])) <= NEAR for row, column in pairs)
    deaths = sum(abs(last(found[row]) - last(true[column])) <= NEAR for row, column in pairs)
    return {"births": births / max(len(true), 1), "deaths": deaths / max(len(true), 1)}


def first(masks: Sequence[Rle | None]) -> int:
    """Return the first frame with a mask."""
    return next(index for index, mask in enumerate(masks) if mask is not None)


def last(masks: Sequence[Rle | None]) -> int:
    """Return the last frame with a mask."""
    return len(masks) - 1 - first(list(reversed(masks)))


if __name__ == "__main__":
    main()
