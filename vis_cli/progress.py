"""The callback that reports progress; used by the engine, the evaluators and the programs that call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with the name of a stage, the number of frames or videos that are done, and their total (0: not known).
Progress: TypeAlias = Callable[[str, int, int], None]
