"""Decoder of COCO's compressed run-length counts for many masks at once.

Used by `segmentation_json` to check masks, and by `exports.measures`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_RUN_CHARACTERS = 7  # of 5 bits each: enough for every run length that pycocotools can store (32 bits)


def run_lengths(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.intp]] | None:
    """Decode COCO's compressed counts to run lengths, background first.

    Each character stores 5 bits of a run, lowest bits first, and a bit that is set if more characters follow. From the
    fourth run, the number is the difference to the run two positions before. `vis` decodes the counts itself because
    pycocotools returns uninitialised memory for counts that are too short.

    Returns:
        The runs of all strings in one array, and the index of each string's first run. None if a string is invalid.
    """
    sizes = np.array([len(text) for text in texts], dtype=np.intp)
    if len(sizes) == 0 or sizes.min() == 0:
        return None
    characters = np.frombuffer("".join(texts).encode("utf-8", "surrogatepass"), dtype=np.uint8)
    codes = characters - np.uint8(ord("0"))  # characters below "0" wrap around to codes above the maximum
    text_ends = np.cumsum(sizes)
    if codes.max() > 0x3F or (codes[text_ends - 1] & 0x20).any():
        return None
    ends = np.flatnonzero(codes < 0x20)  # the last character of each run
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1  # characters per run
    if lengths.max() > MAX_RUN_CHARACTERS:
        return None
    runs = (codes[starts] & 0x1F).astype(np.int64)
    for k in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > k)
        runs[longer] += (codes[starts[longer] + k] & 0x1F).astype(np.int64) << 5 * k
    runs -= np.where(codes[ends] & 0x10, np.int64(1) << (5 * lengths), 0)  # two's complement
    firsts = np.searchsorted(ends, text_ends - sizes)
    _add_up_differences(runs, firsts)
    return runs, firsts


def _add_up_differences(runs: NDArray[np.int64], firsts: NDArray[np.intp]) -> None:
    """Replace the differences to the run two positions before by run lengths, in place.

    Odd and even runs are summed separately. The first run of a string is not a difference.
    """
    positions = np.arange(len(runs)) - np.repeat(firsts, np.diff(np.append(firsts, len(runs))))
    for chain in (positions % 2 == 1, (positions % 2 == 0) & (positions > 0)):
        members = np.flatnonzero(chain)
        sums = np.append(0, np.cumsum(runs[members]))
        begins = np.searchsorted(members, firsts)  # index of each string's first run in the chain
        before = np.repeat(sums[begins], np.diff(np.append(begins, len(members))))
        runs[members] = sums[1:] - before
