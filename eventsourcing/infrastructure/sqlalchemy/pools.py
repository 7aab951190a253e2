"""A pool whose queue no interrupt can leave locked.

SQLAlchemy's own waits for a condition that is written in Python. Who is interrupted between its
steps keeps its lock, and then all others wait for ever who take a connection or give one back.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.pool import QueuePool
from sqlalchemy.util import queue

__all__ = ["SteadyPool"]


class _Queue(queue.QueueCommon[Any]):
    """As much of a queue as a pool needs, by calls into C."""

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo  # which it does not
        self._items: SimpleQueue[Any] = SimpleQueue()

    def qsize(self) -> int:
        return self._items.qsize()

    def empty(self) -> bool:
        return self._items.empty()

    def full(self) -> bool:
        return 0 < self.maxsize <= self._items.qsize()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if self.full():
            raise queue.Full
        self._items.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._items.get(block, timeout)
        except Empty:
            raise queue.Empty from None


class SteadyPool(QueuePool):
    """Lends connections, and waits for those that are lent where it has no more."""

    _queue_class = _Queue
