"""When a gap in the feed is final on PostgreSQL.

Whoever inserts has its transaction id before it takes its first number (see
:mod:`.postgresql`), and numbers ascend in the order in which they are taken. So who owns a
number below one that is visible has an id below any that is handed out from now on. The reader
takes such an id, the bound. Once every transaction below the bound is over, what is visible is
all that there will be below the number it had seen. Prepared transactions are among those that
are not over. Nothing is locked, and nothing stored.
"""

from __future__ import annotations

from typing import NamedTuple

from eventsourcing.infrastructure.feed import Holder
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule

__all__ = ["PostgreSQLGaps"]

FEW = 1000  # positions to look at before a bound is taken, which costs a transaction id
SPAN = 10_000  # to look at, at a time

_OLDEST = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
OLDEST = f"SELECT {_OLDEST}"
# The snapshot is older than the bound: then it tells of an older state, which does no harm.
BOUND = f"SELECT pg_current_xact_id()::text::bigint, {_OLDEST}"
HOLDERS = """
SELECT l.pid, extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), p.gid
FROM pg_snapshot_xip(pg_current_snapshot()) AS o(xid)
LEFT JOIN pg_locks l ON l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock'
    AND l.granted AND l.transactionid = o.xid::xid
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts p ON p.transaction = o.xid::xid
WHERE o.xid::text::bigint < {bound}
ORDER BY o.xid
"""


class Barrier(NamedTuple):
    """What there is to wait for.

    Attributes:
        position: will be settled, and all below it,
        bound: once all transactions below this one are over.
    """

    position: int
    bound: int


class PostgreSQLGaps(GapRule):
    """The rule of PostgreSQL. It remembers one barrier, which it has not passed yet."""

    _barrier: Barrier | None = None

    def settle(self, first: int, last: int, seen: int) -> int:
        """See :class:`GapRule`."""
        known = max(first - 1, self._settled)
        if last <= known:
            return known
        if seen - known <= FEW and self._is_full(known + 1, seen):
            return self._remember(first, seen)
        self._pass_barrier(known, seen)
        known = max(known, self._settled)
        while known < last:
            end = min(last, known + SPAN)
            if not self._is_full(known + 1, end):
                found = self._numbers(known + 1, end, end - known)
                known += sum(n == known + i for i, n in enumerate(found, 1))
                break
            known = end
        return self._remember(first, known)

    def holders(self) -> tuple[Holder, ...]:
        """See :class:`GapRule`."""
        bound = self._barrier.bound if self._barrier is not None else MAX_POSITION
        found = self._datastore.fetch(HOLDERS.format(bound=bound), ())
        return tuple(
            Holder(pid, None if age is None else float(age), name) for pid, age, name in found
        )

    def _pass_barrier(self, known: int, seen: int) -> None:
        """Settles what had been seen when the barrier was put up, if it can be passed now; and
        puts up a new one for what has been seen by now.
        """
        barrier = self._barrier
        if barrier is not None and barrier.position > known:
            if self._oldest() < barrier.bound:
                return
            self._settled = max(self._settled, barrier.position)
            if seen <= barrier.position:
                return
        ((bound, oldest),) = self._datastore.fetch(BOUND, ())
        if oldest >= bound or self._oldest() >= bound:
            self._settled = max(self._settled, seen)
        else:
            self._barrier = Barrier(seen, bound)

    def _oldest(self) -> int:
        """Returns the id below which all transactions are over."""
        ((oldest,),) = self._datastore.fetch(OLDEST, ())
        return int(oldest)
