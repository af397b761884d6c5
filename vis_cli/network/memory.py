"""The memory of one propagation: its entries and its readout for a query frame (Propose-Reduce, Sec. 3.1.2).

See docs/explanation/authors-implementation.md#fact-21.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from vis_cli.network.structures import MemoryEntry

Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

AFFINITY_BUDGET_BYTES = 64 * 2**20  # of float32 affinity held at once; longer queries are read in chunks


@dataclass(frozen=True, slots=True)
class MemoryRule:
    """The frames that a memory bank keeps in addition to the guidance frame."""

    stride: int = 1  # every stride-th frame, counted from the guidance frame
    max_frames: int | None = None  # maximum number of frames, including the guidance frame; None: no limit (the paper)
    keep_previous: bool = False  # also keep the previous frame until the next frame has been read
    detach_every: int | None = None  # number of written frames after which the gradient is cut; None: never


class MemoryBank:
    """Keys and values of the memorized frames of N objects.

    The guidance frame always stays. When the bank is full, the oldest other frame is removed.
    """

    def __init__(self, guidance: MemoryEntry, rule: MemoryRule) -> None:
        self._entries = [guidance]
        self._rule = rule
        self._num_written = 0
        self._stacked: MemoryEntry | None = None
        self._last_is_temporary = False

    def write(self, entry: MemoryEntry, *, temporary: bool = False) -> None:
        """Append a frame. A temporary frame is replaced by the next one."""
        if self._last_is_temporary:
            self._entries.pop()
        self._last_is_temporary = temporary
        self._entries.append(entry)
        if self._rule.max_frames is not None and len(self._entries) > self._rule.max_frames:
            self._entries.pop(min(1, len(self._entries) - 1))
        self._num_written += 1
        if self._rule.detach_every is not None and self._num_written % self._rule.detach_every == 0:
            self._entries = [kept.detach() for kept in self._entries]
        self._stacked = None

    def pick(self, row: int) -> MemoryBank:
        """Return the memory of one object."""
        bank = MemoryBank(self._entries[0].select([row]), self._rule)
        bank._entries = [entry.select([row]) for entry in self._entries]
        return bank

    def state_dict(self) -> dict[str, Any]:
        """Return the memory as tensors and numbers. `from_state_dict` restores it."""
        return {
            "entries": [[entry.key, entry.value] for entry in self._entries],
            "rule": dataclasses.asdict(self._rule),
            "num_written": self._num_written,
            "last_is_temporary": self._last_is_temporary,
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> MemoryBank:
        """Return the memory of `state_dict`."""
        entries = [MemoryEntry(key, value) for key, value in state["entries"]]
        bank = MemoryBank(entries[0], MemoryRule(**state["rule"]))
        bank._entries = entries
        bank._num_written = state["num_written"]
        bank._last_is_temporary = state["last_is_temporary"]
        return bank

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with the objects `rows` only, in that order."""
        self._entries = [entry.select(rows) for entry in self._entries]
        self._stacked = None

    def __len__(self) -> int:
        """Count the frames kept."""
        return len(self._entries)

    @property
    def key(self) -> Tensor:
        """Return the keys of all kept frames, (N, CK, T, hf, wf)."""
        return self._stack().key

    @property
    def value(self) -> Tensor:
        """Return the values of all kept frames, (N, CV, T, hf, wf)."""
        return self._stack().value

    def _stack(self) -> MemoryEntry:
        if self._stacked is None:
            keys = torch.stack([entry.key for entry in self._entries], dim=2)
            values = torch.stack([entry.value for entry in self._entries], dim=2)
            self._stacked = MemoryEntry(keys, values)
        return self._stacked


def read_memory(
    query_key: Tensor, mem_key: Tensor, mem_value: Tensor, attend: Attend = F.scaled_dot_product_attention
) -> Tensor:
    """Read softmax(Q K^T / sqrt(CK)) V over all memory positions.

    Args:
        query_key: (N, CK, hf, wf).
        mem_key: (N, CK, T, hf, wf).
        mem_value: (N, CV, T, hf, wf).
        attend: computes the readout (N, R, CV) of queries (N, R, CK), keys (N, M, CK) and values (N, M, CV).

    Returns:
        The readout (N, CV, hf, wf). Never more than AFFINITY_BUDGET_BYTES of affinity are held (one row at least), and
        as much of its softmax.
    """
    num, _, height, width = query_key.shape
    if num == 0:
        return mem_value[:, :, 0]
    query = query_key.flatten(2).transpose(1, 2)  # (N, hf*wf, CK)
    keys = mem_key.flatten(2).transpose(1, 2)  # (N, T*hf*wf, CK)
    values = mem_value.flatten(2).transpose(1, 2)  # (N, T*hf*wf, CV)
    rows = max(1, AFFINITY_BUDGET_BYTES // max(1, num * keys.shape[1] * 4))
    parts = [attend(part, keys, values) for part in torch.split(query, rows, dim=1)]
    return torch.cat(parts, dim=1).transpose(1, 2).reshape(num, -1, height, width)
