"""Items that a thread computes ahead: their order, errors, bounds, and the end of the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing

import pytest

from vis_cli.errors import VisError
from vis_cli.records.read_ahead import read_ahead


class Source:
    """Items that record how many are computed, by which thread, and whether the generator is closed."""

    def __init__(self, num_items: int, error: BaseException | None = None) -> None:
        self.num_items, self.error = num_items, error
        self.num_done, self.is_closed = 0, False
        self.threads: set[threading.Thread] = set()

    def items(self) -> Generator[int, None, None]:
        try:
            for item in range(self.num_items):
                self.threads.add(threading.current_thread())
                self.num_done += 1
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.is_closed = True


@pytest.mark.parametrize("num_items", [0, 1, 5])
def test_the_items_are_the_same(num_items: int) -> None:
    source = Source(num_items)
    assert list(read_ahead(source.items(), depth=2)) == list(range(num_items))
    assert threading.current_thread() not in source.threads
    assert not any(thread.is_alive() for thread in source.threads)


@pytest.mark.parametrize("error", [VisError("damaged"), MemoryError(), KeyboardInterrupt()])
def test_an_error_is_raised_after_the_items_before_it(error: BaseException) -> None:
    items = read_ahead(Source(3, error).items(), depth=2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error


def test_the_number_of_waiting_items_is_limited() -> None:
    source = Source(100)
    with closing(read_ahead(source.items(), depth=2)) as items:
        assert next(items) == 0
        time.sleep(0.05)
        assert source.num_done <= 3  # one item is used, two wait


def test_the_thread_ends_if_not_all_items_are_used() -> None:
    source = Source(100)
    with closing(read_ahead(source.items(), depth=2)) as items:
        next(items)
    assert source.is_closed
    assert not any(thread.is_alive() for thread in source.threads)
    assert source.num_done < 100
