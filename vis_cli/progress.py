"""Type of the callback that reports progress. Used by the engine, the evaluators and their callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with the name of a stage, the number of finished frames or videos, and the total number (0: unknown).
Progress: TypeAlias = Callable[[str, int, int], None]
