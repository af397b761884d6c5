"""Random sequences, and the script that records the identity metrics of the package trackeval for them.

`make identity-golden` runs it. It needs trackeval, which no other part of the tests imports.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.metrics.youtube_vis_factory import Box, encode, paint

NUM_PROBLEMS, NUM_VIDEOS = 12, 4
FILE = Path(__file__).with_name("identity_trackeval.json")

Boxes = list[Box | None]  # one per frame
Video = tuple[list[Boxes], list[Boxes]]  # objects and predictions


def make_problem(seed: int) -> list[Video]:
    """Make videos with objects that move, leave and return, and with predictions that exchange, lose and add masks."""
    rng = np.random.default_rng(seed)
    return [_make_video(rng, int(rng.integers(1, 16)), int(rng.integers(0, 5))) for _ in range(NUM_VIDEOS)]


def _make_video(rng: np.random.Generator, num_frames: int, num_objects: int) -> Video:
    objects = [_moving_box(rng, num_frames) for _ in range(num_objects)]
    predictions: list[Boxes] = [[None] * num_frames for _ in range(num_objects + int(rng.integers(0, 3)))]
    order = rng.permutation(len(predictions))
    for frame in range(num_frames):
        if rng.random() < 0.4:
            order = rng.permutation(len(predictions))
        for index, boxes in enumerate(objects):
            predictions[order[index]][frame] = _predicted(rng, boxes[frame])
        for index in order[num_objects:]:
            predictions[index][frame] = _random_box(rng) if rng.random() < 0.4 else None
    return objects, predictions


def _moving_box(rng: np.random.Generator, num_frames: int) -> Boxes:
    y, x = int(rng.integers(0, 6)), int(rng.integers(0, 9))
    boxes: Boxes = []
    for _ in range(num_frames):
        y, x = min(6, max(0, y + int(rng.integers(-1, 2)))), min(9, max(0, x + int(rng.integers(-1, 2))))
        boxes.append(None if rng.random() < 0.15 else (y, x, 5, 6))
    return boxes


def _predicted(rng: np.random.Generator, box: Box | None) -> Box | None:
    if box is None or rng.random() < 0.15:
        return _random_box(rng) if rng.random() < 0.2 else None
    y, x, height, width = box
    return y, x, height - int(rng.integers(0, 4)), width - int(rng.integers(0, 3))


def _random_box(rng: np.random.Generator) -> Box:
    return int(rng.integers(0, 6)), int(rng.integers(0, 9)), int(rng.integers(1, 6)), int(rng.integers(1, 7))


def trackeval_data(objects: Sequence[Boxes], predictions: Sequence[Boxes]) -> dict[str, Any]:
    """Describe a video as the metrics of trackeval read it. A sequence without masks has no id."""
    from pycocotools import mask as coco_mask

    num_frames = len([*objects, *predictions][0]) if objects or predictions else 0
    data: dict[str, Any] = {"num_timesteps": num_frames, "similarity_scores": []}
    kept = {}
    for name, group in (("gt", objects), ("tracker", predictions)):
        kept[name] = [encode([paint(box) for box in boxes]) for boxes in group if any(boxes)]
        present = [[i for i, masks in enumerate(kept[name]) if masks[t] is not None] for t in range(num_frames)]
        data[f"{name}_ids"] = [np.array(ids, dtype=int) for ids in present]
        data[f"num_{name}_ids"] = len(kept[name])
        data[f"num_{name}_dets"] = sum(map(len, present))
    for t in range(num_frames):
        true, found = ([masks[t] for masks in kept[name] if masks[t] is not None] for name in ("gt", "tracker"))
        ious = np.asarray(coco_mask.iou(true, found, [0] * len(found)))
        data["similarity_scores"].append(ious.reshape(len(true), len(found)))
    return data


def trackeval_scores(metrics: Any, videos: Sequence[dict[str, Any]]) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return the metrics of trackeval for each video and for all videos, with the names of `IdentityScore`."""
    quiet = {"PRINT_CONFIG": False}
    evaluators = (metrics.HOTA(), metrics.Identity(quiet), metrics.CLEAR(quiet))
    by_metric = [{i: metric.eval_sequence(data) for i, data in enumerate(videos)} for metric in evaluators]
    totals = [metric.combine_sequences(found) for metric, found in zip(evaluators, by_metric, strict=True)]
    return [_named(*(found[i] for found in by_metric)) for i in range(len(videos))], _named(*totals)


def _named(hota: dict[str, Any], identity: dict[str, Any], clear: dict[str, Any]) -> dict[str, float]:
    values = {"hota": "HOTA", "det_a": "DetA", "ass_a": "AssA", "loc_a": "LocA"}
    return {
        "id_switches": int(clear["IDSW"]),
        **{ours: float(np.mean(hota[theirs])) for ours, theirs in values.items()},
        **{name.lower(): float(identity[name]) for name in ("IDF1", "IDP", "IDR")},
        "mota": float(clear["MOTA"]),
    }


def record() -> None:
    """Write the golden file."""
    from trackeval import metrics

    cases = []
    for seed in range(NUM_PROBLEMS):
        data = [trackeval_data(objects, predictions) for objects, predictions in make_problem(seed)]
        videos, total = trackeval_scores(metrics, data)
        with_masks = [
            {"num_object_masks": item["num_gt_dets"], **video} for item, video in zip(data, videos, strict=True)
        ]
        cases.append({"seed": seed, "videos": with_masks, "total": total})
    FILE.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    record()
