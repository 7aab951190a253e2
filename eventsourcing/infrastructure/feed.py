"""The port to the feed: all items of a database, in one order that never changes.

Each item has a position in the feed, which the database gave it. The order agrees with the
order of every sequence. Positions ascend, and need not follow each other: what was rolled back
leaves a gap. An item may become visible later than one with a greater position, so not all that
can be seen may be read yet; what can is called safe, for nothing will ever come between it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eventsourcing.infrastructure.recordmanager import MAX_POSITION

__all__ = ["WHOLE_FEED", "Feed", "FeedBounds", "FeedPage", "HighWaterMark", "Holder"]


class FeedBounds(NamedTuple):
    """Which items of the feed to read. All holds at once.

    Attributes:
        first, last: positions in the feed, both inclusive.
        limit: at most so many items; None for all.
        topics: of the items; None for all.
        sequence_id: of the items; None for all.
        is_ascending: False to begin with the last one.
    """

    first: int = 1
    last: int = MAX_POSITION
    limit: int | None = None
    topics: frozenset[str] | None = None
    sequence_id: object = None
    is_ascending: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether no item can be within these bounds."""
        return self.limit == 0 or self.topics == frozenset() or self.first > self.last

    def behind(self, position: int, count: int) -> FeedBounds:
        """Returns what is left to read behind the last one of so many items that were read."""
        limit = None if self.limit is None else self.limit - count
        if self.is_ascending:
            return self._replace(first=position + 1, limit=limit)
        return self._replace(last=position - 1, limit=limit)


WHOLE_FEED = FeedBounds()


class Holder(NamedTuple):
    """A transaction that may still add an item to what has been passed already.

    Attributes:
        pid: of the server's process (PostgreSQL) or connection (MariaDB, MySQL); None for a
            prepared transaction.
        age: seconds since it began; None if the server does not tell.
        name: of a prepared transaction.
    """

    pid: int | None
    age: float | None
    name: str | None = None


class HighWaterMark(NamedTuple):
    """How far the feed can be read now.

    Attributes:
        position: the greatest position up to which all is safe; 0 if there is none.
        holders: the transactions that keep it from being greater, the oldest first, as far as
            the database tells. None of them where nothing waits behind the position.
    """

    position: int
    holders: tuple[Holder, ...] = ()


class FeedPage(NamedTuple):
    """Some items in their order, and their positions.

    Attributes:
        positions: in the feed.
        items: tuples with the values of the item class's fields; of that class or not.
    """

    positions: Sequence[int]
    items: Sequence[tuple[Any, ...]]


class Feed(ABC):
    """Reads the feed, and remembers what it has learnt about gaps in it.

    May be used from several threads at once.

    Attributes:
        item_class: a named tuple; see :class:`RecordManager`.
    """

    item_class: type[tuple[Any, ...]]

    def get_items(self, bounds: FeedBounds = WHOLE_FEED) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Reads items as :meth:`get_pages` does, one by one, as instances of their class."""
        new, item_class = tuple.__new__, self.item_class
        for page in self.get_pages(bounds):
            for position, item in zip(*page, strict=True):
                yield position, new(item_class, item)
            del page  # not to hold two pages at once

    @abstractmethod
    def get_pages(self, bounds: FeedBounds = WHOLE_FEED) -> Iterator[FeedPage]:
        """Reads items with their positions, up to where the feed is safe when this begins.

        Returns:
            An iterator, to be used once, that reads as it is advanced and holds no more than a
            page of items, or two if it reads ahead. No transaction is open between two steps, but
            for that of a page that is read ahead.

        Raises:
            DataIntegrityError: the id of an item's sequence cannot be read.
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    def safe_position(self) -> int:
        """Returns the position of :meth:`high_water_mark`. Override it where that is quicker.

        Raises:
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """
        return self.high_water_mark().position

    @abstractmethod
    def high_water_mark(self) -> HighWaterMark:
        """Returns how far the feed can be read now.

        Raises:
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    @abstractmethod
    def incomplete_sequences(self) -> Iterator[object]:
        """Yields the ids of the sequences whose positions are not 0, 1, 2 and so on. One whose id
        cannot be read is passed over. Holds no more than a page of them, as :meth:`get_pages`.

        Raises:
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    @abstractmethod
    def disordered_items(self) -> Iterator[tuple[object, int]]:
        """Yields the items that the feed has before the one that precedes them in their sequence:
        the id of the sequence, and the position in it. In pages, too.

        Raises:
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """
