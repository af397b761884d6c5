"""Writer of a DAVIS unsupervised submission, with one folder per sequence and one palette PNG per frame.

Used by `vis export-json`. `davis_check` checks the files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vis_cli.records.bundle import write_bundle
from vis_cli.records.davis import MAX_PROPOSALS, encode_label_png, iter_label_maps, label_instances
from vis_cli.records.result_matching import ExportReport, ResultMatcher, SplitSequences, require_complete
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult, gives_all_objects


def write_davis_submission(
    results: Iterable[VideoResult], split: SplitSequences | None, path: Path, *, selection: Selection
) -> ExportReport:
    """Write <sequence>/<frame>.png into a zip or a folder.

    Args:
        results: One result per video. They are read one at a time.
        split: The split, with the names of sequences and frames. A sequence without a result gets black frames,
            because the server requires all frames. None makes each result a sequence, with the names of its images or
            with the names 00000, 00001, …
        path: A path with the extension .zip becomes a zip, any other path a folder.
        selection: The instances to export. The limit of MAX_PROPOSALS applies only to detected instances. Instances
            from given masks keep their ids, up to 254.

    Raises:
        VisError: A result does not match the split or covers a part of its video, or a file cannot be written.
    """
    matcher, num_entries, relabelled = ResultMatcher(split, selection), 0, list[str]()
    with write_bundle(path) as add:
        for result in results:
            if split is None:
                require_complete(result.video)
            is_given = gives_all_objects(result.given_masks, result.given_prompts)
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
