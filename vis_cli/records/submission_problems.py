"""Problems of a submission, grouped by kind: the first ones of each kind in full, then the number of others.

Used by the checks of submissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from vis_cli.files.limits import MAX_PROBLEMS


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a submission."""

    kind: str  # name of the group, such as "missing PNG"
    where: str  # file or entry
    description: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        return f"{self.where}: {self.description}"


@dataclass(frozen=True, slots=True)
class Problems:
    """Summary of all problems of a submission."""

    count: int  # number of all problems
    lines: tuple[str, ...]  # to print


def summarise_problems(problems: Iterable[Problem], *, shown: int) -> Problems:
    """Count the problems and keep the first `shown` of each kind. The kinds stay in the order of occurrence.

    The check stops at MAX_PROBLEMS, because a list of millions of damaged entries takes hours.
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
