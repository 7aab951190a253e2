"""Adapters with a fault, for controls: a suite that passes with them checks nothing."""

from collections.abc import Sequence
from typing import Any

from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.ids import id_to_text


class LastOneWins(MemoryRecordManager):
    """Lets a position be taken again."""

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        for item in items:
            self._sequences.setdefault(id_to_text(item[0]), {})[item[1]] = item


class HalfBatches(MemoryRecordManager):
    """Keeps what comes before a clash."""

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        for item in items:
            super().record([item])


class LosesTheLast(MemoryRecordManager):
    """Acknowledges an event that it does not store."""

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        super().record(items)
        sequence = self._sequences[id_to_text(items[-1][0])]
        if items[-1][1] > 0:
            del sequence[items[-1][1]]


class BrokenPlace:
    """A place whose record managers have a fault."""

    def __init__(self, manager_class: type[MemoryRecordManager]) -> None:
        self.manager_class = manager_class

    def open(self, item_class: type[tuple[Any, ...]] = StoredEvent) -> RecordManager:
        return self.manager_class(item_class)
