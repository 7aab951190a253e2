"""Keeps items in memory: for tests of a domain model, and to show what a record manager does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from eventsourcing.exceptions import ApplicationClosedError, SequencedItemConflict, ValueTooLarge
from eventsourcing.infrastructure.recordmanager import (
    EVERYTHING,
    MAX_POSITION,
    Bounds,
    RecordManager,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.ids import id_to_text

__all__ = ["MemoryRecordManager"]


class MemoryRecordManager(RecordManager):
    """Keeps items in this process, until it is closed. The state is not copied to a child.

    Args:
        item_class: a named tuple class.
    """

    def __init__(self, item_class: type[tuple[Any, ...]] = StoredEvent) -> None:
        self.item_class = item_class
        self._sequences: dict[str, dict[int, tuple[Any, ...]]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        """See :meth:`RecordManager.record`."""
        added: dict[tuple[str, int], tuple[Any, ...]] = {}
        with self._lock:
            self._check_open()
            for item in items:
                key, position = id_to_text(item[0]), item[1]
                taken = position in self._sequences.get(key, ()) or (key, position) in added
                if taken:
                    raise SequencedItemConflict(f"position {position} of {item[0]!r} is taken")
                if position > MAX_POSITION:
                    raise ValueTooLarge(f"position {position} of {item[0]!r} has over 63 bits")
                added[key, position] = item
            for (key, position), item in added.items():
                self._sequences.setdefault(key, {})[position] = item

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`RecordManager.get_items`."""
        with self._lock:
            self._check_open()
            sequence = self._sequences.get(id_to_text(sequence_id), {})
            positions = sorted(sequence, reverse=not bounds.is_ascending)
            first, last = bounds.first, bounds.last
            found = [sequence[position] for position in positions if first <= position <= last]
        yield from found[: bounds.limit]

    def close(self) -> None:
        """Forgets all items."""
        with self._lock:
            self._closed = True
            self._sequences.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise ApplicationClosedError("the record manager has been closed")
