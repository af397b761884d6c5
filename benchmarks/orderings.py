"""Repeat the paper's ablations (Fig. 1, Fig. 7, Tab. 3 to 5): key frames, reduction, paradigms and training stages.

benchmarks/README.md describes data and results. A sequence proposal depends on one key frame only. The script therefore
propagates each proposal once, and each row of the tables selects some of the proposals.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from track_by_detect import FrameDetections, link_detections

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.device import autocast, choose_precision
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import FrameStore, network_size
from vis_cli.engine.instances import make_instances
from vis_cli.engine.key_frames import select_key_frames
from vis_cli.engine.masks import encode_probs
from vis_cli.engine.propose import Proposer, memory_rule
from vis_cli.engine.reduce import reduce_proposals
from vis_cli.engine.scoring import frame_class_probs
from vis_cli.engine.sequences import SequenceProposals, gather_proposals
from vis_cli.engine.windows import iter_windows
from vis_cli.metrics.davis import evaluate_results
from vis_cli.metrics.youtube_vis import evaluate_youtube_vis
from vis_cli.network.accelerate import accelerate
from vis_cli.network.class_agnostic import OBJECT, ClassAgnostic
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.davis_benchmark import DavisBenchmark, find_davis_benchmark
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.types import VideoInfo, VideoResult
from vis_cli.records.video import Video, open_video
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.records.youtube_vis_results import read_predictions
from vis_cli.settings import PRESETS, Reduction, SegmentSettings
from vis_cli.zoo.weights import LoadedModel, load_model

KEY_FRAMES = (1, 2, 4, 6, 8)  # K of Fig. 7
DAVIS_K, YOUTUBE_VIS_K = 4, 6  # values of the paper
ALL_FRAMES = "every frame"
DETECTING = dataclasses.replace(PRESETS["davis-uvos"], memory_previous=False)  # class-agnostic
SCORING = dataclasses.replace(DETECTING, class_agnostic=False)  # all classes are scored; a row can merge them later
CPU = torch.device("cpu")
FEATURE_BUDGET, FRAME_BUDGET = 2**30, 2**28  # bytes

Row = dict[str, Any]


def main() -> None:
    """Propagate all proposals that the cache lacks, score all rows, print the tables and draw the plot."""
    args = parse_args()
    tune_malloc()
    benchmark = find_davis_benchmark(args.data, "unsupervised", split=args.split, sequences=args.sequences)
    if benchmark.frames is None:
        raise SystemExit(f"cannot read {args.data}: no folder JPEGImages. Use a DAVIS folder.")
    split = select_videos(read_youtube_vis(args.data / f"{args.split}.json"), benchmark.sequences)
    loaded = load_model(args.model)
    lengths = {name: open_video(benchmark.frames / name).num_frames for name in benchmark.sequences}
    shortest = sorted(lengths, key=lambda name: (lengths[name] or 0, name))[: args.dense]
    kept: dict[str, SequenceProposals] = {}
    linked: dict[str, SequenceProposals] = {}
    infos: dict[str, VideoResult] = {}
    for name in benchmark.sequences:
        video = open_video(benchmark.frames / name)
        wanted = range(lengths[name] or 0) if name in shortest else key_frames(video, KEY_FRAMES)
        infos[name] = cached(args.cache / "proposals" / f"{name}.json", loaded, video, wanted)
        kept[name] = to_proposals(infos[name])
        linked[name] = to_proposals(cached_tracks(args.cache / "tracks" / f"{name}.json", loaded, video))

    def score(label: str, names: Iterable[str], chosen: dict[str, SequenceProposals], **rule: Any) -> Row:
        return score_row(label, [(infos[name], chosen[name]) for name in names], benchmark.masks, split, **rule)

    every = list(benchmark.sequences)
    tables = {"Key frames (Fig. 7)": [score(f"K = {k}", every, at_key_frames(kept, k)) for k in KEY_FRAMES]}
    if shortest:
        rows = [score(f"K = {k}", shortest, at_key_frames(kept, k)) for k in KEY_FRAMES]
        rows.append(score(ALL_FRAMES, shortest, kept))
        tables[f"Key frames, only {' and '.join(shortest)} (Fig. 7)"] = rows
    reduced = at_key_frames(kept, DAVIS_K)
    tables[f"Sequence reduction, K = {DAVIS_K} (Tab. 4)"] = [
        score("without", every, reduced, agnostic="none", by_class="none"),
        score("with", every, reduced),
    ]
    tables[f"Category-aware reduction, K = {YOUTUBE_VIS_K} (Tab. 5)"] = [
        score("sequence NMS", every, at_key_frames(kept, YOUTUBE_VIS_K), by_class="nms"),
        score("category-aware", every, at_key_frames(kept, YOUTUBE_VIS_K), by_class="category-aware"),
    ]
    tables["Paradigm (Fig. 1)"] = [
        score("(a) track-by-detect", every, linked, agnostic="none", by_class="none"),
        score("(c) one key frame", every, at_key_frames(kept, 1)),
        score(f"(d) Propose-Reduce, K = {DAVIS_K}", every, reduced),
    ]
    if args.stages:
        tables[f"Stages of training, K = {DAVIS_K} (Tab. 3)"] = [
            score_stage(folder, args.cache, benchmark, split) for folder in args.stages
        ]
    print_tables(tables)
    if args.json is not None:
        args.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    if args.plot is not None:
        draw_key_frames(tables, args.plot)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with JPEGImages, Annotations and SPLIT.json")
    parser.add_argument("--split", default="val", help="split that lists the sequences")
    parser.add_argument("--sequences", default="", help="measure only these sequences, separated by commas")
    parser.add_argument("--model", default="lite", help="name of a model, or a model folder")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the propagated proposals of this model")
    parser.add_argument(
        "--dense",
        type=int,
        default=2,
        help="number of the shortest sequences that are also measured with each frame as key frame",
    )
    parser.add_argument("--stages", default="", help="model folders to compare at K = 4, separated by commas")
    parser.add_argument("--json", type=Path, help="JSON file for the tables")
    parser.add_argument("--plot", type=Path, help="image file for a plot of J&F over K")
    args = parser.parse_args()
    args.sequences = tuple(name for name in args.sequences.split(",") if name)
    args.stages = tuple(Path(folder) for folder in args.stages.split(",") if folder)
    return args


def score_stage(folder: Path, cache: Path, benchmark: DavisBenchmark, split: YouTubeVis) -> Row:
    """Return the row of one training stage, measured with its weights."""
    loaded = load_model(str(folder))
    found = []
    for name in benchmark.sequences:
        video = open_video(benchmark.frames / name)  # type: ignore[operator]  # checked in main
        path = cache / "stages" / f"{folder.name}-{loaded.info.sha256[:8]}" / f"{name}.json"
        result = cached(path, loaded, video, key_frames(video, (DAVIS_K,)))
        found.append((result, to_proposals(result)))
    return score_row(folder.name, found, benchmark.masks, split)


def key_frames(video: Video, numbers: Iterable[int]) -> Sequence[int]:
    """Return the key frames of all these K."""
    length = video.num_frames or sum(1 for _ in video.iter_frames())
    return sorted({frame for k in numbers for frame in select_key_frames(length, k, "even")})


def cached(path: Path, loaded: LoadedModel[SeqMaskRCNN], video: Video, wanted: Sequence[int]) -> VideoResult:
    """Return the proposals of these key frames, from the cache if it has them."""
    return remembered(path, loaded, lambda: propose(loaded, video, tuple(wanted)))


def cached_tracks(path: Path, loaded: LoadedModel[SeqMaskRCNN], video: Video) -> VideoResult:
    """Return the linked detections of all frames, from the cache if it has them."""
    return remembered(path, loaded, lambda: track(loaded, video))


def remembered(path: Path, loaded: LoadedModel[SeqMaskRCNN], make: Callable[[], VideoResult]) -> VideoResult:
    """Return a cached result of this model, or compute and store it."""
    if path.exists():
        result = read_result(path)
        if result.model.sha256 != loaded.info.sha256 or result.config != dataclasses.asdict(SCORING):
            raise SystemExit(f"cannot use {path}: its weights or settings differ. Use another --cache.")
        return result
    began = time.perf_counter()
    result = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_result(result, path)
    print(f"{path.parent.name}/{path.stem}: {len(result.instances)} in {time.perf_counter() - began:.0f} s", flush=True)
    return result


@torch.inference_mode()
def propose(loaded: LoadedModel[SeqMaskRCNN], video: Video, key_frames: tuple[int, ...]) -> VideoResult:
    """Return the sequence proposals of all key frames (Alg. 1) without reduction."""
    network, frames = accelerate(loaded.model, CPU), open_frames(loaded, video)
    source = DetectedMasks(ClassAgnostic(network), key_frames, DETECTING)
    cache = FeatureCache(
        network,
        [frames],
        device=CPU,
        budget_bytes=FEATURE_BUDGET,
        reused_before=key_frames[-1],
        key_frames=key_frames,
        classifies_frames=source.classifies_frames,
    )
    size = (video.height, video.width)
    rule = memory_rule(SCORING, frames.num_frames)
    proposer = Proposer(network, cache, source, SCORING, frames=frames.indices, rule=rule, video=size)
    with autocast(CPU, choose_precision("auto", CPU)):
        found = proposer.propose([], lambda *_: None)
    proposals = gather_proposals(found, proposer.class_scores(found), frames.indices).without_empty()
    return to_result(loaded, video, proposals, frames.num_frames)


@torch.inference_mode()
def track(loaded: LoadedModel[SeqMaskRCNN], video: Video) -> VideoResult:
    """Detect in each frame as in a key frame, and link the detections (`track_by_detect`)."""
    network, frames = accelerate(loaded.model, CPU), open_frames(loaded, video)
    cache = FeatureCache(network, [frames], device=CPU, budget_bytes=0, reused_before=0, classifies_frames=True)
    source = DetectedMasks(ClassAgnostic(network), tuple(range(frames.num_frames)), DETECTING)
    found = []
    with autocast(CPU, choose_precision("auto", CPU)):
        for index in range(frames.num_frames):
            frame = cache.encode(index)
            probs = source.masks_at(frame).probs
            masks = probs > DETECTING.mask_threshold
            rles = tuple(encode_probs(probs, (video.height, video.width), DETECTING.mask_threshold))
            class_probs = frame_class_probs(network, frame.features, masks)
            found.append(FrameDetections(masks.numpy(), rles, class_probs))
    return to_result(loaded, video, link_detections(found), frames.num_frames)


def open_frames(loaded: LoadedModel[SeqMaskRCNN], video: Video) -> FrameStore:
    """Return the frames at the input size of the network."""
    config = loaded.model.config
    size = network_size((video.height, video.width), short_side=config.short_side, long_side=config.long_side)
    options = {"length": None, "cuts": False, "budget_bytes": FRAME_BUDGET}
    return next(iter_windows(video, size, progress=lambda *_: None, **options)).frames


def to_result(
    loaded: LoadedModel[SeqMaskRCNN], video: Video, proposals: SequenceProposals, num_frames: int
) -> VideoResult:
    """Return proposals as a result with the scores of all classes."""
    categories = loaded.model.config.categories
    return VideoResult(
        video=VideoInfo(video.name, video.path, video.width, video.height, video.fps, num_frames),
        model=loaded.info,
        config=dataclasses.asdict(SCORING),
        categories=categories,
        instances=make_instances(proposals, categories, reported_score=0.0, confident_score=0.0),
    )


def to_proposals(result: VideoResult) -> SequenceProposals:
    """Return the proposals of a result. Their background score is 0, because a result does not contain it."""
    scores = [[0.0, *(i.category_scores[c.id] for c in result.categories)] for i in result.instances]
    return SequenceProposals(
        ids=tuple(i.id for i in result.instances),
        key_frames=tuple(i.key_frame for i in result.instances),
        segmentations=tuple(i.segmentations for i in result.instances),
        class_scores=np.array(scores).reshape(len(scores), 1 + len(result.categories)),
    )


def at_key_frames(kept: dict[str, SequenceProposals], num_key_frames: int) -> dict[str, SequenceProposals]:
    """Return the proposals that start from one of K key frames."""
    chosen = {}
    for name, proposals in kept.items():
        length = len(proposals.segmentations[0]) if proposals.segmentations else 1
        frames = select_key_frames(length, num_key_frames, "even")
        chosen[name] = proposals.select(row for row, frame in enumerate(proposals.key_frames) if frame in frames)
    return chosen


def score_row(
    label: str,
    sequences: Sequence[tuple[VideoResult, SequenceProposals]],
    masks: Path,
    split: YouTubeVis,
    *,
    agnostic: Reduction = "soft-nms",
    by_class: Reduction = "nms",
) -> Row:
    """Reduce and score: J&F with one class and at most 20 sequences, AP and AR with the classes of the model."""
    one_class = dataclasses.replace(DETECTING, reduction=agnostic)
    classes = PRESETS["ytvis2019"]
    if by_class != classes.reduction:  # its low score_threshold is the category-aware reduction's
        classes = dataclasses.replace(classes, reduction=by_class, score_threshold=SegmentSettings().score_threshold)
    davis = [reduce(result, forget_classes(found), one_class) for result, found in sequences]
    names = [result.video.name for result, _ in sequences]
    jf = evaluate_results(masks, davis, sequences=names, num_workers=None).summary
    chosen = select_videos(split, names)
    with tempfile.TemporaryDirectory() as temporary:
        for result, found in sequences:
            write_result(reduce(result, found, classes), Path(temporary) / f"{result.video.name}.json")
        ap = evaluate_youtube_vis(chosen, read_predictions(Path(temporary), chosen).readers).summary
    return {
        "row": label,
        "sequences": sum(len(result.instances) for result in davis),
        "J&F": 100 * jf.jf_mean,
        "J": 100 * jf.region.mean,
        "F": 100 * jf.boundary.mean,
        "AP": 100 * ap.ap,
        "AR@100": 100 * ap.ar100,
    }


def forget_classes(proposals: SequenceProposals) -> SequenceProposals:
    """Return proposals with one class whose score is the sum over all classes, like the setting `class_agnostic`."""
    scores = np.stack([proposals.class_scores[:, 0], proposals.class_scores[:, 1:].sum(axis=1)], axis=1)
    return dataclasses.replace(proposals, class_scores=scores)


def reduce(result: VideoResult, proposals: SequenceProposals, config: SegmentSettings) -> VideoResult:
    """Return the result of a video after the reduction."""
    categories = (OBJECT,) if config.class_agnostic else result.categories
    final = reduce_proposals(proposals, config)
    instances = make_instances(final, categories, reported_score=config.score_threshold, confident_score=0.0)
    return dataclasses.replace(result, categories=categories, instances=instances)


def select_videos(split: YouTubeVis, names: Sequence[str]) -> YouTubeVis:
    """Return a split with only these videos."""
    videos = tuple(video for video in split.videos if video.name in names)
    ids = {video.id for video in videos}
    annotations = tuple(a for a in split.annotations or () if a.video_id in ids)
    return dataclasses.replace(split, videos=videos, annotations=annotations)


def print_tables(tables: dict[str, list[Row]]) -> None:
    """Print all tables as Markdown."""
    for title, rows in tables.items():
        columns = list(rows[0])
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
        for row in rows:
            print(f"| {' | '.join(f'{v:.1f}' if isinstance(v, float) else str(v) for v in row.values())} |")


def draw_key_frames(tables: dict[str, list[Row]], path: Path) -> None:
    """Draw J&F over the number of key frames."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for title, rows in tables.items():
        if title.startswith("Key frames"):
            labels = [row["row"].removeprefix("K = ") for row in rows]
            axes.plot(labels, [row["J&F"] for row in rows], marker="o", label=title.removesuffix(" (Fig. 7)"))
    axes.set_xlabel("key frames K")
    axes.set_ylabel("J&F")
    axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
