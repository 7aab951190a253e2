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

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.feed import Holder
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule

__all__ = ["PostgreSQLGaps"]

FEW = 1000  # positions to look at before a bound is taken, which costs a transaction id
SPAN = 10_000  # to look at, at a time

_OLDEST = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NEXT = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
OLDEST = f"SELECT {_OLDEST}, {_NEXT}"
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
SEQUENCES = """
SELECT s.seqcache, s.seqcycle, s.seqincrement FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
    OR p.deptype = 'i' AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum
JOIN pg_sequence s ON s.seqrelid IN (p.objid, p.refobjid)
WHERE a.attrelid = %s::regclass AND a.attname = %s
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
    _is_checked = False

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
            oldest, following = self._transactions()
            if oldest >= barrier.bound:
                self._settled = max(self._settled, barrier.position)
                if seen <= barrier.position:
                    return
            elif following > barrier.bound:
                return
            # Else the server has lost the bound in a crash, and would come to it again when
            # others have written enough.
        self._check_sequence()
        ((bound, oldest),) = self._datastore.fetch(BOUND, ())
        if oldest >= bound or self._transactions()[0] >= bound:
            self._settled = max(self._settled, seen)
        else:
            self._barrier = Barrier(seen, bound)

    def _transactions(self) -> tuple[int, int]:
        """Returns the id below which all transactions are over, and one above all that are."""
        ((oldest, following),) = self._datastore.fetch(OLDEST, ())
        return int(oldest), int(following)

    def _check_sequence(self) -> None:
        """Refuses numbers that are not taken in ascending order."""
        if self._is_checked:
            return
        table, column = self._statements.table, self._statements.column.name
        name = self._datastore.dialect.identifier_preparer.format_table(table)
        for cache, cycles, increment in self._datastore.fetch(SEQUENCES, (name, column)):
            if cache != 1 or cycles or increment < 1:
                raise ProgrammingError(
                    f"table {table.fullname!r} has no safe feed: the sequence of its column"
                    f" {column!r} must count upwards, with CACHE 1 and NO CYCLE"
                )
        self._is_checked = True
