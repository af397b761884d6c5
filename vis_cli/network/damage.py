"""What `torch.load` raises of a file that is cut or is something else; used where checkpoints are read."""

from __future__ import annotations

import pickle
import struct

DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    pickle.UnpicklingError,
    struct.error,
)
