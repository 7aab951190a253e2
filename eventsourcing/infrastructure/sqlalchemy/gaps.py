"""What is known about gaps in the feed: who may still fill them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing.infrastructure.feed import Holder

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
    from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements

__all__ = ["GapRule"]


class GapRule:
    """The rule of a database that has one writer at a time: nobody fills a gap.

    That of another database is a subclass beside its driver. One instance serves one feed, and
    several threads. A position is settled if nothing will become visible there that is not
    visible already; what is visible is settled.
    """

    def __init__(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> None:
        self._statements = statements
        self._datastore = datastore
        self._settled = 0  # and all that is below it

    def settle(self, first: int, last: int, seen: int) -> int:
        """Returns a position such that all from ``first`` to there are settled: at least
        ``first - 1``, and ``last`` or more if that is possible now.

        Args:
            first, last: positions, inclusive; not above ``seen``.
            seen: the greatest position that was visible some time before this is called.
        """
        return seen

    def holders(self) -> tuple[Holder, ...]:
        """Returns who kept :meth:`settle` from going further, the oldest first."""
        return ()

    def _remember(self, first: int, last: int) -> int:
        """Keeps in mind that all from ``first`` to ``last`` are settled, and returns ``last``."""
        if first - 1 <= self._settled < last:
            self._settled = last
        return last

    def _is_full(self, first: int, last: int) -> bool:
        """Tells whether all of the positions are visible."""
        query = self._statements.count.with_values(first=first, last=last)
        ((count,),) = self._datastore.fetch(*query)
        return int(count) == last - first + 1

    def _numbers(self, first: int, last: int, limit: int) -> list[int]:
        """Returns the lowest visible positions, at most ``limit``."""
        query = self._statements.numbers.with_values(first=first, last=last, limit=limit)
        return [int(number) for (number,) in self._datastore.fetch(*query)]
