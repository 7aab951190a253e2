"""Keeps items in memory: for tests of a domain model, and to show what a record manager does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from eventsourcing.exceptions import ApplicationClosedError, SequencedItemConflict, ValueTooLarge
from eventsourcing.infrastructure.feed import (
    WHOLE_FEED,
    Feed,
    FeedBounds,
    FeedPage,
    HighWaterMark,
)
from eventsourcing.infrastructure.recordmanager import (
    EVERYTHING,
    MAX_POSITION,
    Bounds,
    RecordManager,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.snapshotrecords import MemorySnapshotRecords
from eventsourcing.infrastructure.subjectkeys import MemorySubjectKeys, SubjectKeys
from eventsourcing.utils.ids import id_from_text, id_to_text

__all__ = ["MemoryRecordManager"]


class MemoryRecordManager(RecordManager):
    """Keeps items in this process, until it is closed. The state is not copied to a child.

    Args:
        item_class: a named tuple class.
    """

    def __init__(self, item_class: type[tuple[Any, ...]] = StoredEvent) -> None:
        self.item_class = item_class
        self.commits = True
        self._sequences: dict[str, dict[int, tuple[Any, ...]]] = {}
        self._all: list[tuple[Any, ...]] = []
        self._snapshots = MemorySnapshotRecords()
        self._subject_keys = MemorySubjectKeys()
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
                self._all.append(item)

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

    def feed_position(self, sequence_id: object, position: int) -> int | None:
        """See :meth:`RecordManager.feed_position`. Quick for what was recorded not long ago."""
        key = id_to_text(sequence_id)
        with self._lock:
            self._check_open()
            item = self._sequences.get(key, {}).get(position)
            if item is None:
                return None
            return next(at for at in range(len(self._all), 0, -1) if self._all[at - 1] is item)

    def feed(self) -> Feed:
        """See :meth:`RecordManager.feed`."""
        return _MemoryFeed(self)

    def snapshots(self, setup_table: bool = True) -> MemorySnapshotRecords:
        """See :meth:`RecordManager.snapshots`."""
        return self._snapshots

    def subject_keys(self, creates_table: bool = True) -> SubjectKeys:
        """See :meth:`RecordManager.subject_keys`."""
        return self._subject_keys

    def close(self) -> None:
        """Forgets all items."""
        self._snapshots.delete()
        with self._lock:
            self._closed = True
            self._sequences.clear()
            self._all.clear()

    def _count(self) -> int:
        """Returns how many items there are."""
        with self._lock:
            self._check_open()
            return len(self._all)

    def _check_open(self) -> None:
        if self._closed:
            raise ApplicationClosedError("the record manager has been closed")


class _MemoryFeed(Feed):
    """The items in the order in which they were recorded, counted from 1."""

    def __init__(self, manager: MemoryRecordManager) -> None:
        self.item_class = manager.item_class
        self._manager = manager

    def get_pages(self, bounds: FeedBounds = WHOLE_FEED) -> Iterator[FeedPage]:
        """See :meth:`Feed.get_pages`."""
        positions = range(bounds.first, min(bounds.last, self._manager._count()) + 1)
        wanted = positions if bounds.is_ascending else reversed(positions)
        items = self._manager._all
        within = (at for at in wanted if _is_within(items[at - 1], bounds))
        found = list(islice(within, bounds.limit))
        yield FeedPage(found, [items[at - 1] for at in found])

    def high_water_mark(self) -> HighWaterMark:
        """See :meth:`Feed.high_water_mark`."""
        return HighWaterMark(self._manager._count())

    def incomplete_sequences(self) -> Iterator[object]:
        """See :meth:`Feed.incomplete_sequences`."""
        for key, items in list(self._manager._sequences.items()):
            if sorted(items) != list(range(len(items))):
                yield id_from_text(key)

    def disordered_items(self) -> Iterator[tuple[object, int]]:
        """See :meth:`Feed.disordered_items`."""
        seen: set[tuple[str, int]] = set()
        for item in list(self._manager._all):
            key, position = id_to_text(item[0]), item[1]
            before = (key, position - 1)
            if before not in seen and before[1] in self._manager._sequences[key]:
                yield item[0], position
            seen.add((key, position))


def _is_within(item: tuple[Any, ...], bounds: FeedBounds) -> bool:
    is_wanted = bounds.topics is None or item[2] in bounds.topics
    return is_wanted and (
        bounds.sequence_id is None or id_to_text(item[0]) == id_to_text(bounds.sequence_id)
    )
