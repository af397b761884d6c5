"""Suggestion of the nearest known name for a mistyped name of a command line or a file."""

from __future__ import annotations

from collections.abc import Collection

CUTOFF = 0.6  # minimum similarity from 0 to 1; the default of `difflib`


def nearest(name: str, known: Collection[str], *, cutoff: float = CUTOFF) -> str | None:
    """Return the known name that is most similar to `name`, None if the similarity of all is below `cutoff`."""
    return next(iter(nearest_names(name, known, limit=1, cutoff=cutoff)), None)


def nearest_names(name: str, known: Collection[str], *, limit: int, cutoff: float = CUTOFF) -> list[str]:
    """Return at most `limit` known names that are similar to `name`, the most similar one first."""
    import difflib  # here, because only messages need it

    return difflib.get_close_matches(name, sorted(known), n=limit, cutoff=cutoff)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a remedy that names the nearest known name, or all known names if none is near."""
    if near := nearest(name, known):
        return f"Did you mean {near}?"
    return f"Use one of: {', '.join(sorted(known))}." if known else "None is known."
