"""What is wrong with a submission, told by kind: the first of each kind with the entry's name, then how many more.

Used by the checks of submissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from vis_cli.files.limits import MAX_PROBLEMS


@dataclass(frozen=True, slots=True)
class Problem:
    """Name one entry or file, what is wrong with it, and what kind of wrong that is."""

    kind: str
    where: str
    complaint: str

    def __str__(self) -> str:
        """Return the problem as a line."""
        return f"{self.where}: {self.complaint}"


@dataclass(frozen=True, slots=True)
class Problems:
    """Hold the lines to show of all problems found, and how many there are."""

    count: int
    lines: tuple[str, ...]


def summarise_problems(problems: Iterable[Problem], *, shown: int) -> Problems:
    """Count the problems, and keep the first ones of each kind in the order in which the kinds appear.

    The check ends at MAX_PROBLEMS: a list of millions of damaged entries would take hours.
    """
    kept: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for problem in islice(problems, MAX_PROBLEMS):
        counts[problem.kind] = counts.get(problem.kind, 0) + 1
        lines = kept.setdefault(problem.kind, [])
        if len(lines) < shown:
            lines.append(str(problem))
    for kind, lines in kept.items():
        if counts[kind] > len(lines):
            lines.append(f"{kind}: {counts[kind] - len(lines)} more of this kind")
    lines = [line for some in kept.values() for line in some]
    count = sum(counts.values())
    if count == MAX_PROBLEMS:
        lines.append(f"the check ended after {MAX_PROBLEMS:,} problems")
    return Problems(count, tuple(lines))
