"""Imports without the garbage collector, which would take a fifth of the time of `vis segment` for one frame.

Used by `app` and by commands that import torch. An import creates hundreds of thousands of objects and hardly any
garbage, but the collector examines them again and again: docs/explanation/speed.md#start.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """Collect no garbage in the body, which imports modules. Later collections skip the objects of these modules.

    The collector stays disabled if it was disabled before.
    """
    was_enabled, num_modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > num_modules:
            gc.freeze()
        if was_enabled:
            gc.enable()
