"""A DAVIS unsupervised submission: a palette PNG for every frame, in a folder for every sequence.

Used by `export-json`; `davis_check` reads it again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vis_cli.records.bundle import write_bundle
from vis_cli.records.davis import MAX_PROPOSALS, encode_label_png, iter_label_maps
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
        selection: the best `top` instances of a video are painted, MAX_PROPOSALS where it is None.

    Raises:
        VisError: a result does not fit the split, or a file cannot be written.
    """
    top = min(selection.top or MAX_PROPOSALS, MAX_PROPOSALS)
    matcher, num_entries = ResultMatcher(split, dataclasses.replace(selection, top=top)), 0
    with write_bundle(path) as add:
        for result in results:
            match = matcher.match(result)
            num_entries += len(match.instances)
            label_maps = iter_label_maps(dataclasses.replace(result, instances=match.instances))
            for name, labels in zip(match.sequence.frame_names, label_maps, strict=True):
                add(f"{match.sequence.name}/{name}.png", encode_label_png(labels))
        for sequence in matcher.unmatched():
            black = encode_label_png(np.zeros((sequence.height, sequence.width), np.uint8))
            for name in sequence.frame_names:
                add(f"{sequence.name}/{name}.png", black)
    return matcher.report(num_entries)
