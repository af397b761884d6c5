"""A DAVIS unsupervised submission: a palette PNG for every frame, in a folder for every sequence.

Used by `export-json`; `davis_check` reads it again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vis_cli.records.bundle import write_bundle
from vis_cli.records.davis import MAX_PROPOSALS, encode_label_png, iter_label_maps, label_instances
from vis_cli.records.matching import ExportReport, ResultMatcher, SplitSequences
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult


def write_davis_submission(
    results: Iterable[VideoResult], split: SplitSequences | None, path: Path, *, selection: Selection
) -> ExportReport:
    """Write <sequence>/<frame>.png into a zip or a folder, with no folder around the sequences.

    Args:
        results: one a video; they are taken one at a time.
        split: names sequences and frames, and those without a result get black frames, since the server asks for all;
            None: each result is a sequence, its frames named as its images, or 00000, 00001, …
        path: a name that ends in .zip becomes a zip, any other a folder.
        selection: the best `top` instances of a video are painted. The limit of MAX_PROPOSALS holds for results that
            started from detections; given masks keep their ids, up to 254.

    Raises:
        VisError: a result does not fit the split, or a file cannot be written.
    """
    matcher, num_entries, relabelled = ResultMatcher(split, selection), 0, list[str]()
    with write_bundle(path) as add:
        for result in results:
            is_given = result.given_masks is not None
            match = matcher.match(result, max_instances=None if is_given else MAX_PROPOSALS)
            num_entries += len(match.instances)
            selected = dataclasses.replace(result, instances=match.instances)
            if is_given:
                relabelled += _list_changes(selected)
            label_maps = iter_label_maps(selected)
            for name, labels in zip(match.sequence.frame_names, label_maps, strict=True):
                add(f"{match.sequence.name}/{name}.png", encode_label_png(labels))
        for sequence in matcher.unmatched():
            black = encode_label_png(np.zeros((sequence.height, sequence.width), np.uint8))
            for name in sequence.frame_names:
                add(f"{sequence.name}/{name}.png", black)
    return dataclasses.replace(matcher.report(num_entries), relabelled=tuple(relabelled))


def _list_changes(result: VideoResult) -> list[str]:
    changed = [(instance.id, label) for label, instance in label_instances(result) if instance.id != label]
    return [f"{result.video.name}: {id_} as {label}" for id_, label in sorted(changed)]
