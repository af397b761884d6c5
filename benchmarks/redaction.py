"""Measure which pixels of an object a redaction of `vis render` leaves uncovered, with ground-truth masks.

benchmarks/README.md describes the measures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from vis_cli.app import app
from vis_cli.records.renderings.redaction import GREY
from vis_cli.records.result_json import read_result
from vis_cli.records.rle import decode_rle
from vis_cli.records.video import open_video
from vis_cli.records.youtube_vis import YouTubeVisAnnotation, read_youtube_vis

# A pixel of the encoded video shows the object if it differs from grey by more than this. H.264 mixes the colours of
# pixels next to the edge of the covered area.
CODEC_LEVELS = 24
SETTINGS: dict[str, tuple[str, ...]] = {
    "masks only": ("--dilation", "0", "--hold", "0", "--margin", "0", "--gap", "0"),
    "--hold 0 --margin 0": ("--hold", "0", "--margin", "0"),
    "--dilation 0": ("--dilation", "0"),
    "default": (),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one object with one setting."""

    video: str
    category: str
    setting: str
    frames: int  # that show the object
    uncovered_frames: int  # with at least one uncovered pixel
    uncovered_pixels: int  # in all frames together
    worst_frame: int  # uncovered pixels of the frame with most of them
    seen_in_mp4: int  # pixels of the object that the encoded video shows
    covered_fraction: float  # of all pixels of the video


def main() -> None:
    """Measure all objects of a split, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the results of `vis segment`")
    parser.add_argument("--annotations", type=Path, default=Path("sample_videos/annotations.json"))
    parser.add_argument("--all", action="store_true", help="cover all instances, not only those of the category")
    parser.add_argument("--only-default", action="store_true", help="measure the default values only")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    settings = ["default"] if arguments.only_default else list(SETTINGS)
    rows = [
        row
        for setting in settings
        for row in measure(arguments.results, arguments.annotations, setting, cover_all=arguments.all)
    ]
    print("| setting | video | object | frames | not covered | pixels | worst frame | seen in MP4 | area covered |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        counts = f"{row.frames} | {row.uncovered_frames} | {row.uncovered_pixels} | {row.worst_frame}"
        end = f"{row.seen_in_mp4} | {100 * row.covered_fraction:.0f} %"
        print(f"| {row.setting} | {row.video} | {row.category} | {counts} | {end} |")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def measure(results: Path, annotations: Path, setting: str, *, cover_all: bool = False) -> Iterator[Measured]:
    """Yield the figures of each object of a split whose video has a result."""
    split = read_youtube_vis(annotations)
    names = {category.id: category.name for category in split.categories}
    for video in split.videos:
        path = results / f"{video.name}.json"
        for annotation in split.annotations or ():
            if annotation.video_id == video.id and path.is_file():
                yield measure_object(path, annotation, names[annotation.category_id], setting, cover_all=cover_all)


def measure_object(
    path: Path, annotation: YouTubeVisAnnotation, category: str, setting: str, *, cover_all: bool
) -> Measured:
    """Grey out all instances, or those of a category, and compare the frames with the ground truth of one object."""
    with tempfile.TemporaryDirectory() as folder:
        exact, encoded = Path(folder) / "exact", Path(folder) / "encoded.mp4"
        for out in (exact, encoded):
            render(path, None if cover_all else category, SETTINGS[setting], out)
        covered = [(frame == GREY).all(axis=-1) for frame in open_video(exact).iter_frames()]
        shown = [np.abs(frame.astype(int) - GREY).max(axis=-1) for frame in open_video(encoded).iter_frames()]
    masks = [np.zeros_like(covered[0]) if rle is None else decode_rle(rle) for rle in annotation.segmentations]
    uncovered = [int((mask & ~area).sum()) for mask, area in zip(masks, covered, strict=True)]
    seen = sum(int((mask & (levels > CODEC_LEVELS)).sum()) for mask, levels in zip(masks, shown, strict=True))
    return Measured(
        video=read_result(path).video.name,
        category=category,
        setting=setting,
        frames=sum(bool(mask.any()) for mask in masks),
        uncovered_frames=sum(count > 0 for count in uncovered),
        uncovered_pixels=sum(uncovered),
        worst_frame=max(uncovered),
        seen_in_mp4=seen,
        covered_fraction=_mean(covered),
    )


def render(path: Path, category: str | None, options: Sequence[str], out: Path) -> None:
    """Write a redacted video, or PNG images into a folder, which are exact. Without a category, cover all instances."""
    kind = ["--format", "png"] if out.suffix == "" else []
    only = [] if category is None else ["--only", category]
    command = ["render", str(path), "--as", "grey-out", *only, "-o", str(out), "--quiet"]
    CliRunner().invoke(app, [*command, *kind, *options], catch_exceptions=False)
    if not out.exists():
        raise SystemExit(f"vis {' '.join(command)} failed")


def _mean(areas: Sequence[NDArray[np.bool_]]) -> float:
    return float(np.mean([area.mean() for area in areas]))


if __name__ == "__main__":
    main()
