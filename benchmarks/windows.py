"""Compare windows with the whole-video method, track-by-detect and clip-match, on a clip of `long_clip.py`.

    python benchmarks/long_clip.py --data DATA/stills -o CLIP
    python benchmarks/windows.py CLIP --method windows:96 --method whole --method track-by-detect --method clip-match

Each method has two rows, for its confident instances and for all, and is measured in its own process.
benchmarks/README.md describes methods and measures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clip_match
import identity
import track_by_detect
from baselines import make_method, make_result

from vis_cli.engine.key_frames import select_among
from vis_cli.engine.segmenter import Segmenter
from vis_cli.errors import VisError
from vis_cli.metrics.identity import count_identities
from vis_cli.metrics.overlaps import measure_sequences
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.rle import Rle, sequence_iou
from vis_cli.records.types import Shot, VideoResult
from vis_cli.records.video import Video, open_video
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation, read_youtube_vis
from vis_cli.settings import RunSettings, SegmentSettings, find_preset, parse_overrides
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.weights import LoadedModel

NEAR = 10  # frames between a birth or a death and the truth
NUMBERS = {  # of each kind of method: their names in the help, and how many are required
    "windows": (("N",), 1),
    "whole": (("K",), 0),
    "track-by-detect": ((), 0),
    "clip-match": (("LENGTH", "OVERLAP"), 0),
}
FORMS = "windows:N, whole, whole:K, track-by-detect, clip-match or clip-match:LENGTH:OVERLAP"
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method with its numbers, such as windows:96."""

    text: str
    kind: str
    numbers: tuple[int, ...]


def main() -> None:
    """Measure each method, print its rows, and write the finished rows after each one."""
    args = parse_args()
    for choice in args.method:
        choose_settings(choice, args.preset, args.set)  # reports a mistake before the first measurement
    rows: list[dict[str, Any]] = []
    for choice in args.method:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = pool.submit(measure_method, args, choice).result()
        for row in found:
            print(*(f"{key} {shown(value)}," for key, value in row.items()), flush=True)
        rows += found
        if args.json is not None:
            args.json.write_text(json.dumps(describe(args, rows), indent=1) + "\n", encoding="utf-8")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, metavar="CLIP", help="folder of long_clip.py")
    parser.add_argument("--method", action="append", required=True, type=parse_method, help=f"{FORMS}; repeatable")
    parser.add_argument("--frames", type=positive, metavar="N", help="use only the first N frames of the clip")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--preset", default="default", help="preset of `vis segment`")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="setting, repeatable")
    parser.add_argument("--json", type=Path, help="JSON file for the measures; windows_table.py reads it")
    parser.add_argument("--results", type=Path, metavar="DIR", help="folder for the result of each method")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Return a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def parse_method(text: str) -> MethodChoice:
    """Parse a method with its numbers."""
    kind, *numbers = text.split(":")
    if kind not in NUMBERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a method. Use {FORMS}")
    names, num_required = NUMBERS[kind]
    if not num_required <= len(numbers) <= len(names):
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers. Use {FORMS}")
    choice = MethodChoice(text, kind, tuple(positive(number) for number in numbers))
    if kind == "clip-match":
        length, overlap = clip_size(choice)
        if overlap >= length:
            raise argparse.ArgumentTypeError(f"{text!r}: the overlap {overlap} is not below the length {length}")
    return choice


def clip_size(choice: MethodChoice) -> tuple[int, int]:
    """Return length and overlap of the clips of clip-match."""
    defaults = clip_match.CLIP_LENGTH, clip_match.CLIP_OVERLAP
    length, overlap = (*choice.numbers, *defaults[len(choice.numbers) :])
    return length, overlap


def choose_settings(choice: MethodChoice, preset: str, texts: Sequence[str]) -> SegmentSettings:
    """Return the settings of a row. All methods have the same settings, except for windows, cuts and key frames.

    Raises:
        VisError: A setting is unknown or has another type, or is `window`.
    """
    overrides = parse_overrides(texts)
    if "window" in overrides:
        raise VisError("belongs to a method", field="window", hint="Use --method windows:N.")
    if choice.kind == "windows":
        overrides = {"cuts": True} | overrides | {"window": choice.numbers[0]}
    else:
        overrides = {"cuts": False} | overrides | {"window": None}
    if choice.kind == "whole" and choice.numbers:
        overrides["num_key_frames"] = choice.numbers[0]
    return dataclasses.replace(find_preset(preset), **overrides)


def measure_method(args: argparse.Namespace, choice: MethodChoice) -> list[dict[str, Any]]:
    """Segment the clip with a method. Return the row of its confident instances, and the row of all its instances."""
    tune_malloc()
    truth = first_frames_of_truth(read_youtube_vis(args.clip / "annotations.json"), args.frames)
    video = open_video(args.clip / "clip.mp4", end=args.frames)
    loaded = load_network(args.model)
    config = choose_settings(choice, args.preset, args.set)
    began, cpu_began = time.perf_counter(), time.process_time()
    result, num_key_frames = segment(choice, loaded, config, video)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT / 1e9
    costs = {"key_frames": num_key_frames, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_gb": peak_gb}
    if args.results is not None:
        args.results.mkdir(parents=True, exist_ok=True)
        result.save(args.results / f"{choice.text.replace(':', '-')}.json")
    every = tuple(dataclasses.replace(instance, confident=True) for instance in result.instances)
    return [
        {"method": choice.text, **measure(result, truth), **costs},
        {"method": f"{choice.text}, all", **measure(dataclasses.replace(result, instances=every), truth), **costs},
    ]


def first_frames_of_truth(truth: YouTubeVis, num_frames: int | None) -> YouTubeVis:
    """Return the objects that the first frames show, with the masks of these frames. None: all frames.

    Raises:
        VisError: These frames show no object.
    """
    limited = (limit_annotation(entry, num_frames) for entry in truth.annotations or ())
    visible = tuple(entry for entry in limited if any(entry.segmentations))
    if not visible:
        raise VisError("no object is visible", where=truth.path, hint="Use more --frames.")
    return dataclasses.replace(truth, annotations=visible)


def limit_annotation(entry: YouTubeVisAnnotation, num_frames: int | None) -> YouTubeVisAnnotation:
    """Return the first frames of an object."""
    return dataclasses.replace(entry, segmentations=entry.segmentations[:num_frames], areas=entry.areas[:num_frames])


def segment(
    choice: MethodChoice,
    loaded: LoadedModel[VideoNetwork],
    config: SegmentSettings,
    video: Video,
    run: RunSettings | None = None,
) -> tuple[VideoResult, int]:
    """Segment a video with a method. Return the result and the number of key frames."""
    if choice.kind in ("windows", "whole"):
        result = Segmenter(loaded, config=config, run=run).segment(video)
        return result, count_key_frames(result.shots, config)
    method = make_method(loaded, config, run)
    if choice.kind == "track-by-detect":
        found = track_by_detect.track_by_detect(method, video)
    else:
        length, overlap = clip_size(choice)
        found = clip_match.clip_match(method, video, length=length, overlap=overlap)
    return make_result(method, loaded.info, video, found), found.num_key_frames


def count_key_frames(shots: Iterable[Shot], config: SegmentSettings) -> int:
    """Return the number of key frames of all windows. A shot starts a window."""
    total = 0
    for first, last in shots:
        length = config.window or last - first + 1
        for start in range(first, last + 1, length):
            frames = range(start, min(start + length, last + 1))
            total += len(select_among(frames, config.num_key_frames, config.key_frame_spacing))
    return total


def measure(result: VideoResult, truth: YouTubeVis) -> dict[str, float]:
    """Return the measures of the confident instances of a result."""
    names = {category.id: category.name for category in truth.categories}
    objects = list(truth.annotations or ())
    counts = identity.Counts()
    identity.count(counts, objects, result, names)
    found = [instance.segmentations for instance in result.instances if instance.confident]
    true = [entry.segmentations for entry in objects]
    num_frames = result.video.num_frames
    return counts.figures() | identity_figures(found, true, num_frames) | life_figures(found, true)


def identity_figures(
    found: Sequence[Sequence[Rle | None]], true: Sequence[Sequence[Rle | None]], num_frames: int
) -> dict[str, float]:
    """Return HOTA, IDF1 and identity switches, without categories, as `vis eval` computes them."""
    _, overlaps = measure_sequences(found, true, num_frames)
    score = count_identities(overlaps).score
    if score is None:
        raise ValueError("no object is visible")
    return {"identity_switches": score.id_switches, "hota": score.hota, "idf1": score.idf1}


def life_figures(found: Sequence[Sequence[Rle | None]], true: Sequence[Sequence[Rle | None]]) -> dict[str, float]:
    """Return the fraction of objects that are matched, and whose first or last mask is within NEAR frames of the truth.

    "births" compares the first masks, "deaths" the last masks.
    """
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


def describe(args: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows with everything that must be equal to compare them."""
    settings = {"clip": args.clip.name, "frames": args.frames, "model": args.model, "preset": args.preset}
    return {**settings, "set": sorted(args.set), "rows": list(rows)}


def shown(value: Any) -> str:
    """Return a value for the terminal."""
    return value if isinstance(value, str) else f"{value:.4g}"


if __name__ == "__main__":
    main()
