"""Items of an iterator that a thread computes ahead of their use.

Used by `commands.rendering`: one thread decodes and draws while the other thread encodes.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from queue import Queue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


def read_ahead(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """Yield the items of a generator, which a thread computes.

    An exception of the generator is raised after the items before it. When the iterator is closed, the thread finishes
    its current item, closes the generator and ends.

    Args:
        items: The generator. Only the thread runs it.
        depth: Maximum number of items that are computed and not yet used.
    """
    thread = _Reader(items, depth)
    thread.start()
    try:
        while True:
            item = thread.take()
            if item is None:
                return
            yield item.value
    finally:
        thread.stop()


class _Box(Generic[Item]):
    """An item. None marks the end of the items, so items are boxed."""

    def __init__(self, value: Item) -> None:
        self.value = value


class _Reader(Thread, Generic[Item]):
    """Thread that runs a generator."""

    def __init__(self, items: Generator[Item, None, None], depth: int) -> None:
        super().__init__(name="vis-read-ahead", daemon=True)
        self._items = items
        self._free = Semaphore(depth)
        self._queue: Queue[_Box[Item] | BaseException | None] = Queue()
        self._is_stopped = False

    def run(self) -> None:
        """Put the items into the queue, then None or the exception that ended the generator."""
        end = None
        try:
            with closing(self._items) as items:
                while self._may_continue():
                    self._queue.put(_Box(next(items)))
        except StopIteration:
            pass
        except BaseException as error:  # the other thread raises it
            end = error
        self._queue.put(end)

    def take(self) -> _Box[Item] | None:
        """Return the next item, or None after the last item."""
        box = self._queue.get()
        if isinstance(box, BaseException):
            raise box
        self._free.release()
        return box

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped = True
        self._free.release()
        self.join()

    def _may_continue(self) -> bool:
        """Wait until one more item may be computed. Return False if the items are not needed any more."""
        self._free.acquire()
        return not self._is_stopped
