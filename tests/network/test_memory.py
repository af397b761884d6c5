"""The memory bank keeps what it should, and reading it is attention, whatever the chunk."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from vis_cli.network import memory as memory_module
from vis_cli.network.accelerate import readout
from vis_cli.network.accelerate.readout import attend
from vis_cli.network.memory import Attend, MemoryBank, MemoryRule, read_memory
from vis_cli.network.structures import MemoryEntry


def entry(number: float) -> MemoryEntry:
    return MemoryEntry(torch.full((2, 3, 4, 5), number), torch.full((2, 6, 4, 5), number))


@pytest.mark.parametrize(
    ("max_frames", "kept"), [(None, [0.0, 1.0, 2.0, 3.0]), (3, [0.0, 2.0, 3.0]), (2, [0.0, 3.0]), (1, [0.0])]
)
def test_bank_keeps_the_first_and_the_most_recent(max_frames: int | None, kept: list[float]) -> None:
    bank = MemoryBank(entry(0.0), MemoryRule(max_frames=max_frames))
    for number in (1.0, 2.0, 3.0):
        bank.write(entry(number))
    assert bank.key.shape == (2, 3, len(kept), 4, 5)
    assert bank.key[0, 0, :, 0, 0].tolist() == kept
    assert bank.value[1, 5, :, 3, 4].tolist() == kept
    assert len(bank) == len(kept)


@pytest.mark.parametrize("attention", [F.scaled_dot_product_attention, attend])
def test_read_is_scaled_dot_product_attention_over_all_positions(attention: Attend) -> None:
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(2, 4, 3, 5, generator=generator)
    key = torch.randn(2, 4, 2, 3, 5, generator=generator)
    value = torch.randn(2, 7, 2, 3, 5, generator=generator)
    affinity = torch.einsum("ncq,ncm->nqm", query.flatten(2), key.flatten(2)) / 4**0.5
    expected = torch.einsum("nqm,ncm->ncq", affinity.softmax(dim=2), value.flatten(2)).reshape(2, 7, 3, 5)
    torch.testing.assert_close(read_memory(query, key, value, attention), expected)


@pytest.mark.parametrize("attention", [F.scaled_dot_product_attention, attend])
@pytest.mark.parametrize("by_autocast", [False, True])
def test_the_affinity_of_bfloat16_is_not_rounded_before_its_softmax(by_autocast: bool, attention: Attend) -> None:
    """With keys as spread as trained ones, a rounded affinity is off by seven times as much."""
    generator = torch.Generator().manual_seed(3)
    query, key = (3 * torch.randn(1, 64, *size, generator=generator) for size in ((6, 5), (3, 6, 5)))
    value = torch.randn(1, 8, 3, 6, 5, generator=generator)
    parts = (query, key, value) if by_autocast else (query.bfloat16(), key.bfloat16(), value.bfloat16())
    with torch.autocast("cpu", torch.bfloat16, enabled=by_autocast):
        rough = read_memory(*parts, attention)
    expected = read_memory(query.bfloat16().float(), key.bfloat16().float(), value.bfloat16().float())
    assert rough.dtype == torch.bfloat16
    assert float((rough.float() - expected).abs().mean()) < 0.002


def test_a_small_affinity_budget_gives_the_same_readout(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    query, key = torch.randn(1, 4, 6, 5, generator=generator), torch.randn(1, 4, 3, 6, 5, generator=generator)
    value = torch.randn(1, 2, 3, 6, 5, generator=generator)
    whole = read_memory(query, key, value)
    seen: list[int] = []

    def spy(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        seen.append(q.shape[1] * k.shape[1] * 4)
        return F.scaled_dot_product_attention(q, k, v)

    monkeypatch.setattr(memory_module, "AFFINITY_BUDGET_BYTES", 4000)
    torch.testing.assert_close(read_memory(query, key, value, spy), whole)
    assert len(seen) > 1
    assert max(seen) <= 4000


def test_the_readout_of_a_cpu_holds_a_part_of_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    query, keys, values = torch.randn(2, 50, 4), torch.randn(2, 30, 4), torch.randn(2, 30, 3)
    expected = F.scaled_dot_product_attention(query, keys, values)
    held: list[int] = []
    exact = readout._attend

    def spy(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        held.append(len(q) * q.shape[1] * k.shape[1] * 4)
        return exact(q, k, v)

    monkeypatch.setattr(readout, "AFFINITY_BUDGET_BYTES", 8000)
    monkeypatch.setattr(readout, "_attend", spy)
    torch.testing.assert_close(attend(query, keys, values), expected)
    assert held == [7680, 4320]  # 32 rows of 240 bytes, and the rest
    monkeypatch.setattr(readout, "AFFINITY_BUDGET_BYTES", 0)
    torch.testing.assert_close(attend(query, keys, values), expected)


def test_the_softmax_needs_no_second_affinity() -> None:
    results: list[torch.Tensor] = []

    class Spy(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            results.extend([result] if func in (torch.bmm, torch.softmax) else [])
            return result

    with Spy():
        attend(torch.randn(1, 5, 4), torch.randn(1, 9, 4), torch.randn(1, 9, 3))
    affinity, weights, _ = results
    assert weights.data_ptr() == affinity.data_ptr()


def test_read_of_no_objects_is_empty() -> None:
    readout = read_memory(torch.zeros(0, 4, 3, 5), torch.zeros(0, 4, 2, 3, 5), torch.zeros(0, 7, 2, 3, 5))
    assert readout.shape == (0, 7, 3, 5)


def test_a_temporary_frame_is_replaced_by_the_next_one() -> None:
    bank = MemoryBank(entry(0.0), MemoryRule(max_frames=3))
    kept = []
    for number, temporary in ((1.0, True), (2.0, False), (3.0, True), (4.0, True)):
        bank.write(entry(number), temporary=temporary)
        kept.append(bank.key[0, 0, :, 0, 0].tolist())
    assert kept == [[0.0, 1.0], [0.0, 2.0], [0.0, 2.0, 3.0], [0.0, 2.0, 4.0]]


def test_the_gradient_is_cut_after_a_number_of_written_frames() -> None:
    def learned() -> MemoryEntry:
        return MemoryEntry(torch.zeros(1, 2, 1, 1, requires_grad=True), torch.zeros(1, 2, 1, 1, requires_grad=True))

    bank = MemoryBank(learned(), MemoryRule(detach_every=2))
    has_gradient = []
    for _ in range(4):
        bank.write(learned())
        has_gradient.append((bank.key.requires_grad, bank.value.requires_grad))
    assert has_gradient == [(True, True), (False, False), (True, True), (False, False)]
