"""Count the instances of a category in results, and how long each id lives.

    python benchmarks/lifetimes.py results/vtest.json --category person

benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, median

from vis_cli import VideoResult

FILLED = 0.9  # fraction of the frames from the first to the last mask that show an uninterrupted object
SHORT_FRAMES = 25


def main() -> None:
    """Print one line for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT")
    parser.add_argument("--category", default="person")
    parser.add_argument("--min-score", type=float, help="default: the confident instances of each result")
    args = parser.parse_args()
    for path in args.results:
        print(f"{path}: {describe(VideoResult.load(path), args.category, args.min_score)}")


def describe(result: VideoResult, category: str, min_score: float | None) -> str:
    """Return the counts of a result as a sentence."""
    limit = float(result.config["confident_score"]) if min_score is None else min_score
    ids = {item.id for item in result.categories if item.name == category}
    chosen = [item for item in result.instances if item.category_id in ids and item.score >= limit]
    if not chosen:
        return f"no {category} with a score from {limit}"
    frames = [[index for index, mask in enumerate(item.segmentations) if mask] for item in chosen]
    counts = [len(shown) for shown in frames]
    spans = [shown[-1] - shown[0] + 1 for shown in frames]
    visible = mean(sum(index in shown for shown in map(set, frames)) for index in range(result.video.num_frames))
    filled = sum(count >= FILLED * span for count, span in zip(counts, spans, strict=True))
    short = sum(count < SHORT_FRAMES for count in counts)
    return (
        f"{len(chosen)} instances of {category} with a score from {limit}, {visible:.1f} per frame; "
        f"frames with a mask: median {median(counts):g}; first to last mask: median {median(spans):g}; "
        f"{filled} without larger gaps, {short} shorter than {SHORT_FRAMES} frames"
    )


if __name__ == "__main__":
    main()
