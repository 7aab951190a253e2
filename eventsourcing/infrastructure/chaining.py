"""Chains of hashes: each event of a stream has one of itself and of the hash before it.

So whatever is done to a row other than the last one of its stream would have to be done to the
hashes of all that follow. What is hashed is in docs: reference/stored-format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from eventsourcing.exceptions import DataIntegrityError
from eventsourcing.infrastructure.recordmanager import (
    EVERYTHING,
    Bounds,
    ItemReader,
    RecordManager,
)
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.cipher import framed
from eventsourcing.utils.ids import id_to_text

__all__ = ["Chain", "PredecessorMissing"]

Item = tuple[Any, ...]


class PredecessorMissing(Exception):
    """The event before one that is to be stored is not there.

    Attributes:
        item: the one that was to be stored.
    """

    def __init__(self, item: Item) -> None:
        super().__init__(item[:2])
        self.item = item


class Chain(ItemReader):
    """Gives hashes to :class:`ChainedEvent` items that are to be stored, and checks those of what
    is read. May be used from several threads at once.
    """

    def __init__(self, record_manager: RecordManager, mapper: SequencedItemMapper) -> None:
        self._manager = record_manager
        self._mapper = mapper

    def linked(self, items: Sequence[Item]) -> Sequence[Item]:
        """Returns items with their hashes. Reads the event before the first one of each stream.

        Raises:
            PredecessorMissing: that event is not there.
            PersistenceError: it could not be read.
        """
        newest: dict[object, str | None] = {}
        found: list[Item] = []
        for item in items:
            stream = item[0]
            before = newest[stream] if stream in newest else self._hash_before(item)
            newest[stream] = link = self._hash_of(item, before)
            found.append(ChainedEvent._make((*item[:7], link)))
        return found

    def get_items(self, sequence_id: object, bounds: Bounds = EVERYTHING) -> Iterator[Item]:
        """Reads items as :meth:`RecordManager.get_items` does, and one more, to check each.

        Raises:
            DataIntegrityError: an item is not what was stored after the one before it.
            InvalidOriginatorID, PersistenceError: as that method.
        """
        first, limit = bounds.first, bounds.limit
        wider = bounds if limit is None else bounds._replace(limit=limit + 1)
        if first > 0:
            wider = wider._replace(gt=None, gte=first - 1)
        items = self._manager.get_items(sequence_id, wider)
        pairs = _upwards(items) if bounds.is_ascending else _downwards(items)
        within = ((item, before) for item, before in pairs if item[1] >= first)
        for item, before in islice(within, limit):
            if (what := self._problem(item, before)) is not None:
                raise DataIntegrityError(what, originator_id=item[0], originator_version=item[1])
            yield item

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[Item]:
        """Reads whole items: all of an item is hashed."""
        return self.get_items(sequence_id, bounds)

    def breaks(self, sequence_id: object) -> Iterator[tuple[Item, str]]:
        """Yields each item of a sequence that is not what was stored after the one before it, and
        what is wrong, in flat memory. Passes over those that cannot be opened.
        """
        for item, before in _upwards(self._manager.get_items(sequence_id)):
            try:
                what = self._problem(item, before)
            except DataIntegrityError:
                continue
            if what is not None:
                yield item, what

    def _hash_before(self, item: Item) -> str | None:
        if item[1] == 0:
            return None
        position = item[1] - 1
        one = Bounds(gte=position, lte=position)
        before = next(self._manager.get_items(item[0], one), None)
        if before is None:
            raise PredecessorMissing(item)
        return before[7]  # type: ignore[no-any-return]

    def _hash_of(self, item: Item, before: str | None) -> str:
        (plain,) = self._mapper.unsealed((item,))
        values = (before, id_to_text(plain[0]), *plain[1:7])
        return sha256(framed(*(v if v is None else str(v) for v in values))).hexdigest()

    def _problem(self, item: Item, before: Item | None) -> str | None:
        """Returns what is wrong with an item, given the one that was read before it."""
        link, last = item[7], None if before is None else before[7]
        if link is None:
            if last is None:
                return None  # the chain has not begun
            return f"event {item[1]} of {item[0]!r} has no hash, and the one before it has"
        if before is None or before[1] != item[1] - 1:
            last = None
        if link == self._hash_of(item, last):
            return None
        return (
            f"event {item[1]} of {item[0]!r} is not what was stored there, or does not follow the"
            " event that was stored before it: its hash is another"
        )


def _upwards(items: Iterable[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Yields ascending items, each with the one before it."""
    before = None
    for item in items:
        yield item, before
        before = item


def _downwards(items: Iterable[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Yields descending items, each with the one that is before it in the stream."""
    later = None
    for item in items:
        if later is not None:
            yield later, item
        later = item
    if later is not None:
        yield later, None
