"""The feed of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Table

from eventsourcing.infrastructure.feed import (
    WHOLE_FEED,
    Feed,
    FeedBounds,
    FeedPage,
    HighWaterMark,
)
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements
from eventsourcing.infrastructure.sqlalchemy.readahead import Fetch, fetch_ahead

__all__ = ["SQLAlchemyFeed"]

FIRST_PAGE = 100
LARGEST_PAGE = 500  # twice as much is slower: it leaves the processor's cache
LARGEST_PAGE_AHEAD = 1000  # but half as much would start twice as many threads
PAGE_BYTES = 16 * 2**20  # about as much as a page may hold, going by the one before
SPAN = 10_000  # positions to settle at a time, where that takes reading them


class SQLAlchemyFeed(Feed):
    """Reads the rows of a table by the column that counts them.

    Each page is read in a transaction of its own, which begins after it is known that all
    positions of the page are settled: then what is there is all that there will ever be.

    Args:
        datastore: the database; not a transaction of the caller's.
        table, item_class: see :class:`SQLAlchemyRecordManager`.

    Raises:
        ProgrammingError: the table has no column that counts its rows.
    """

    def __init__(
        self, datastore: SQLAlchemyDatastore, table: Table, item_class: type[tuple[Any, ...]]
    ) -> None:
        fields: tuple[str, ...] = item_class._fields  # type: ignore[attr-defined]
        self.item_class = item_class
        self._datastore = datastore
        self._statements = FeedStatements(table, fields, datastore.dialect, datastore.driver)
        self._gaps = datastore.driver.gap_rule(self._statements, datastore)

    def get_pages(self, bounds: FeedBounds = WHOLE_FEED) -> Iterator[FeedPage]:
        """See :meth:`Feed.get_pages`."""
        if bounds.is_empty:
            return
        seen = self._seen()
        last = min(bounds.last, seen)
        if not bounds.is_ascending:
            last = min(last, self._settle(bounds.first, last, seen))
            yield from self._read(bounds._replace(last=last))
            return
        first, remaining = bounds.first, bounds.limit
        while first <= last and (remaining is None or remaining > 0):
            wanted = min(last, first + SPAN - 1)
            settled = min(last, self._gaps.settle(first, wanted, seen))
            span = bounds._replace(first=first, last=settled, limit=remaining)
            for read in self._read(span):
                yield read
                remaining = None if remaining is None else remaining - len(read.items)
                del read  # not to hold two pages at once
            if settled < wanted:
                return
            first = settled + 1

    def safe_position(self) -> int:
        """See :meth:`Feed.safe_position`."""
        seen = self._seen()
        return self._settle(1, seen, seen)

    def high_water_mark(self) -> HighWaterMark:
        """See :meth:`Feed.high_water_mark`."""
        seen = self._seen()
        position = self._settle(1, seen, seen)
        return HighWaterMark(position, self._gaps.holders() if position < seen else ())

    def incomplete_sequences(self) -> Iterator[object]:
        """See :meth:`Feed.incomplete_sequences`."""
        return (found[0] for found in self._sequences(self._statements.incomplete))

    def disordered_items(self) -> Iterator[tuple[object, int]]:
        """See :meth:`Feed.disordered_items`."""
        found = self._sequences(self._statements.disordered)
        return ((sequence, int(position)) for sequence, position, _ in found)

    def _sequences(
        self, select: Callable[[Any, int], tuple[str, tuple[Any, ...]]]
    ) -> Iterator[tuple[Any, ...]]:
        """Yields what is selected, page by page: each begins behind the last row of the one
        before.
        """
        size, last = LARGEST_PAGE, None
        while True:
            rows = self._datastore.fetch(*select(last, size))
            yield from self._statements.sequences(rows)
            if len(rows) < size:
                return
            last = rows[-1]

    def _seen(self) -> int:
        ((greatest,),) = self._datastore.fetch(self._statements.greatest.sql, ())
        return int(greatest or 0)

    def _settle(self, first: int, last: int, seen: int) -> int:
        """Returns up to where all is settled, if not up to ``last`` or more."""
        position = first - 1
        while position < last:
            wanted = min(last, position + SPAN)
            position = self._gaps.settle(position + 1, wanted, seen)
            if position < wanted:
                break
        return position

    def _read(self, bounds: FeedBounds) -> Iterator[FeedPage]:
        """Reads what is within the bounds, page by page.

        Who has come behind the first page is likely to read on: each later one is read ahead,
        where that is quicker.
        """
        if bounds.is_empty:
            return
        reads_ahead = self._datastore.reads_ahead
        largest = LARGEST_PAGE_AHEAD if reads_ahead else LARGEST_PAGE
        fetch, size = self._page(bounds, FIRST_PAGE)
        is_first = True
        while True:
            rows = fetch()
            if len(rows) == size:
                bounds = bounds.behind(rows[-1][0], size)
            if len(rows) < size or bounds.is_empty:
                yield from self._statements.items(rows)
                return
            fetch, size = self._page(bounds, _next_page(rows, largest))
            if reads_ahead and not is_first:
                fetch = fetch_ahead(fetch)
            yield from self._statements.items(rows)
            del rows  # not to hold more pages than these
            is_first = False

    def _page(self, bounds: FeedBounds, size: int) -> tuple[Fetch, int]:
        """Returns what fetches the next rows, and how many there are if the bounds have as many."""
        size = size if bounds.limit is None else min(size, bounds.limit)
        return partial(self._datastore.fetch, *self._statements.read(bounds, size)), size


def _next_page(rows: Sequence[Sequence[Any]], largest: int) -> int:
    """Returns how many rows to read next, going by the size of some that were read."""
    sample = rows[::20]
    size = sum(len(row[4]) for row in sample if isinstance(row[4], str | bytes)) // len(sample)
    return min(largest, max(1, PAGE_BYTES // max(1, size)))
