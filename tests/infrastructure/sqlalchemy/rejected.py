"""Ways to read the feed that were tried, and do not work: each skips or inverts events.

They are what the tests of the feed have to catch. All but `NaiveTail` and `FixedWait` are for
PostgreSQL.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from tests.backends import Backend

__all__ = [
    "REJECTED",
    "BoundedReader",
    "ByTransaction",
    "CompletedBound",
    "FixedWait",
    "NaiveTail",
    "XminFiltered",
]

Place = tuple[int, str, int]
"""A position in the feed, a stream, and a position in that."""

_COLUMNS = "id, originator_id, originator_version"
_OVER = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class NaiveTail:
    """Reads what is above the last position that it has seen.

    Attributes:
        found: what it has read, in its order.
    """

    def __init__(self, backend: Backend) -> None:
        self._connection = backend.connect(autocommit=True)
        self.found: list[Place] = []
        self.position = 0

    def read(self) -> int:
        """Read on, and return how many events that were."""
        before = len(self.found)
        self._read()
        return len(self.found) - before

    def passed(self, stored: Iterable[Place]) -> list[Place]:
        """Return of what is stored all that it has passed, and so should have read by now."""
        return [place for place in stored if place[0] <= self.position]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self) -> None:
        self._take(self._after(self.position))

    def _after(self, position: int) -> list[Place]:
        return self._select(f"WHERE id > {position} AND topic <> '' ORDER BY id")

    def _select(self, clauses: str, columns: str = _COLUMNS) -> list[Any]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT {columns} FROM stored_events {clauses}")
            return [tuple(row) for row in cursor.fetchall()]

    def _value(self, sql: str) -> int:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT {sql}")
            ((value,),) = cursor.fetchall()
            return int(value)

    def _take(self, places: Iterable[Place]) -> None:
        for place in places:
            self.found.append(place)
            self.position = place[0]

    def _contiguous(self) -> tuple[list[Place], list[Place]]:
        """Return what follows without a gap, and what is behind the gap."""
        found = self._after(self.position)
        count = sum(place[0] == self.position + i for i, place in enumerate(found, 1))
        return found[:count], found[count:]


class FixedWait(NaiveTail):
    """Waits for a moment at a gap, and then goes on."""

    SECONDS = 0.05

    def _read(self) -> None:
        safe, behind = self._contiguous()
        self._take(safe)
        if behind:
            time.sleep(self.SECONDS)
            self._take(self._after(self.position))


class BoundedReader(NaiveTail):
    """Holds at a gap until all transactions below a bound are over. This is right if the bound is
    a transaction id of its own, taken after the gap was seen.
    """

    BOUND = "pg_current_xact_id()::text::bigint"

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._bound = self._seen = 0

    def _read(self) -> None:
        while True:
            safe, behind = self._contiguous()
            self._take(safe)
            if not behind:
                self._bound = 0
                return
            if not self._bound:
                self._seen = behind[-1][0]
                self._bound = self._value(self.BOUND)
            if self._value(_OVER) < self._bound:
                return
            self._bound = 0
            self._take(place for place in self._after(self.position) if place[0] <= self._seen)


class CompletedBound(BoundedReader):
    """Takes one past the highest completed transaction for the bound."""

    BOUND = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


class XminFiltered(NaiveTail):
    """Reads what is of transactions older than all that are open."""

    def _after(self, position: int) -> list[Place]:
        return self._select(
            f"WHERE id > {position} AND xmin::text::bigint < {_OVER} ORDER BY id",
        )


class ByTransaction(NaiveTail):
    """Reads in the order of transaction ids."""

    _last = (0, 0)

    def passed(self, stored: Iterable[Place]) -> list[Place]:
        """Return what it has read: what is behind that by its order, the positions do not tell."""
        read = set(self.found)
        return [place for place in stored if place in read]

    def _read(self) -> None:
        number = "xmin::text::bigint"
        found = self._select(
            f"WHERE ({number}, id) > {self._last} AND {number} < {_OVER} ORDER BY {number}, id",
            f"{number}, {_COLUMNS}",
        )
        for transaction, *place in found:
            self.found.append((place[0], place[1], place[2]))
            self._last = (transaction, place[0])


REJECTED: dict[str, tuple[Callable[[Backend], NaiveTail], ...]] = {
    "postgresql": (NaiveTail, FixedWait, CompletedBound, XminFiltered, ByTransaction),
    "mariadb": (NaiveTail, FixedWait),
}
"""By backend."""
