"""Calls in a second thread: in order, with errors, and not too many at once."""

from __future__ import annotations

import threading

import pytest
import torch

from vis_cli.engine.background import MAX_WAITING, Background


def test_calls_run_in_order_in_another_thread_with_one_core() -> None:
    background = Background()
    seen: list[tuple[int, bool, int]] = []
    here, num_threads = threading.get_ident(), torch.get_num_threads()

    def see(number: int) -> None:
        seen.append((number, threading.get_ident() == here, torch.get_num_threads()))

    for number in range(3 * MAX_WAITING):
        background.call(lambda number=number: see(number))  # type: ignore[misc]
    background.wait()
    assert seen == [(number, False, 1) for number in range(3 * MAX_WAITING)]
    assert torch.get_num_threads() == num_threads


def test_an_error_reaches_the_caller() -> None:
    background = Background()

    def fail() -> None:
        raise ValueError("no space")

    background.call(fail)
    with pytest.raises(ValueError, match="no space"):
        background.wait()
    background.wait()  # it is raised once


def test_a_slow_thread_stops_the_caller() -> None:
    background, go = Background(), threading.Event()

    def wait() -> None:
        go.wait(10)

    for _ in range(MAX_WAITING):
        background.call(wait)
    caller = threading.Thread(target=background.call, args=(wait,))
    caller.start()
    caller.join(0.2)
    assert caller.is_alive()
    go.set()
    caller.join(10)
    assert not caller.is_alive()
    background.wait()
