"""Everything that the DAVIS evaluator would stop at, or count wrongly without a word, in an unsupervised submission.

Used by `export-json --check`, for submissions of any tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.bundle import Bundle, read_bundle
from vis_cli.records.davis import MAX_PROPOSALS, VOID, decode_label_png
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.matching import SplitSequences
from vis_cli.records.problems import Problem


def iter_davis_problems(path: Path, split: SplitSequences) -> Iterator[Problem]:
    """Yield every problem of a submission for the sequences of `split`.

    Args:
        path: a zip, or a folder of <sequence>/<frame>.png.
        split: the sequences, frames and sizes that it must have.

    Raises:
        VisError: it cannot be read at all.
    """
    with read_bundle(path) as bundle:
        prefix = find_enclosing_folder(bundle.names, {sequence.name for sequence in split.sequences})
        if prefix:
            yield Problem("enclosing folder", f"{path}: {prefix}", "the sequences must lie at the root, in no folder")
        files = {name.removeprefix(prefix): name for name in bundle.names if name.startswith(prefix)}
        wanted = {f"{s.name}/{frame}.png" for s in split.sequences for frame in s.frame_names}
        for name in bundle.names:
            if name.removeprefix(prefix) not in wanted:
                yield Problem("extra file", f"{path}: {name}", f"is no frame of {split.path}; take it out")
        for sequence in split.sequences:
            yield from _iter_sequence_problems(bundle, files, sequence)


def find_enclosing_folder(names: tuple[str, ...], sequences: Set[str]) -> str:
    """Return the folder, with / behind it, that all known sequences lie in; "" where it is the root."""
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1]):
            if part in sequences:
                return "".join(f"{folder}/" for folder in parts[:depth])
    return ""


def _iter_sequence_problems(bundle: Bundle, files: dict[str, str], sequence: SequenceFrames) -> Iterator[Problem]:
    paths = [f"{sequence.name}/{frame}.png" for frame in sequence.frame_names]
    if not any(path in files for path in paths):
        yield Problem("missing sequence", sequence.name, f"none of its {len(paths)} PNGs is there; write black ones")
        return
    highest = 0
    for path in paths:
        if path not in files:
            yield Problem("missing PNG", path, "is missing; write a black one where nothing was found")
            continue
        try:
            labels = decode_label_png(bundle.read(files[path]), path)
        except VisError as error:
            yield Problem("unreadable PNG", path, str(error))
            continue
        yield from _iter_label_problems(labels, sequence, path)
        highest = max(highest, int(labels[labels != VOID].max(initial=0)))
    if highest > MAX_PROPOSALS:
        complaint = f"its highest label is {highest}, but at most {MAX_PROPOSALS} proposals are allowed"
        yield Problem("too many proposals", sequence.name, complaint)


def _iter_label_problems(labels: NDArray[np.uint8], sequence: SequenceFrames, path: str) -> Iterator[Problem]:
    height, width = labels.shape
    if (width, height) != (sequence.width, sequence.height):
        complaint = f"is {width}x{height}, but the sequence is {sequence.width}x{sequence.height}"
        yield Problem("size", path, complaint)
    if (labels == VOID).any():
        yield Problem("void", path, f"has pixels of value {VOID}, which is void in the ground truth and no proposal")
