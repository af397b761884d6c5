"""Check of a DAVIS unsupervised submission. It finds what the official evaluator rejects, or silently miscounts.

Used by `vis export-json --check`, for submissions of any tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.bundle import Bundle, read_bundle
from vis_cli.records.davis import MAX_PROPOSALS, VOID, decode_label_png
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.result_matching import SplitSequences
from vis_cli.records.submission_problems import Problem


def iter_davis_problems(path: Path, split: SplitSequences) -> Iterator[Problem]:
    """Yield all problems of a submission.

    Args:
        path: A zip, or a folder, with <sequence>/<frame>.png.
        split: The required sequences, frames and sizes.

    Raises:
        VisError: The submission cannot be read.
    """
    with read_bundle(path) as bundle:
        prefix = find_enclosing_folder(bundle.names, {sequence.name for sequence in split.sequences})
        if prefix:
            description = "the sequences are inside this folder. Move them to the root"
            yield Problem("enclosing folder", f"{path}: {printable(prefix)}", description)
        files = {name.removeprefix(prefix): name for name in bundle.names if name.startswith(prefix)}
        wanted = {f"{s.name}/{frame}.png" for s in split.sequences for frame in s.frame_names}
        for name in bundle.names:
            if name.removeprefix(prefix) not in wanted:
                description = f"the file is not a frame of {split.path}. Remove the file"
                yield Problem("extra file", f"{path}: {printable(name)}", description)
        for sequence in split.sequences:
            yield from _iter_sequence_problems(bundle, files, sequence)


def find_enclosing_folder(names: tuple[str, ...], sequences: Set[str]) -> str:
    """Return the path of the folder that contains the sequences, with a final slash; "" for the root."""
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1]):
            if part in sequences:
                return "".join(f"{folder}/" for folder in parts[:depth])
    return ""


def _iter_sequence_problems(bundle: Bundle, files: dict[str, str], sequence: SequenceFrames) -> Iterator[Problem]:
    paths = [f"{sequence.name}/{frame}.png" for frame in sequence.frame_names]
    if not any(path in files for path in paths):
        description = f"all {len(paths)} PNGs are missing. Add black PNGs if nothing was detected"
        yield Problem("missing sequence", printable(sequence.name), description)
        return
    highest = 0
    for path in paths:
        if path not in files:
            yield Problem("missing PNG", path, "the file is missing. Add a black PNG if nothing was detected")
            continue
        try:
            labels = decode_label_png(bundle.read(files[path]), path)
        except VisError as error:
            yield Problem("unreadable PNG", path, str(error))
            continue
        yield from _iter_label_problems(labels, sequence, path)
        highest = max(highest, int(labels[labels != VOID].max(initial=0)))
    if highest > MAX_PROPOSALS:
        description = f"the highest label is {highest}. Use labels from 0 to {MAX_PROPOSALS}"
        yield Problem("too many proposals", printable(sequence.name), description)


def _iter_label_problems(labels: NDArray[np.uint8], sequence: SequenceFrames, path: str) -> Iterator[Problem]:
    height, width = labels.shape
    if (width, height) != (sequence.width, sequence.height):
        description = f"the size is {width}x{height}, the sequence is {sequence.width}x{sequence.height}"
        yield Problem("size", path, description)
    if (labels == VOID).any():
        description = f"pixels have label {VOID}, which means void in ground truth. Use 0 for the background"
        yield Problem("void", path, description)
