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

    That of other databases is a subclass beside their driver; until those are there, this one
    holds for all, and then a feed on PostgreSQL and MariaDB may skip a late commit.
    One instance serves one feed, and several threads. A position is settled if nothing will become visible there that is not
    visible already.
    """

    def __init__(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> None:
        self._statements = statements
        self._datastore = datastore

    def settle(self, first: int, last: int, seen: int) -> int:
        """Returns a position such that all from ``first`` to there are settled: at least
        ``first - 1``, and ``last`` or more if that is possible now.

        Args:
            first, last: positions, inclusive; not above ``seen``.
            seen: the greatest position that was visible, some time before this is called.
        """
        return seen

    def holders(self, position: int) -> tuple[Holder, ...]:
        """Returns who keeps what follows ``position`` from being settled, the oldest first."""
        return ()
