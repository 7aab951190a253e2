"""Clocks at the borders of the library's layers.

What a layer takes is counted without the layers that it calls, and without the clocks, whose own
cost is measured first.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager

DOMAIN = "aggregate: its creation, its event, and what the event changes"
APPLICATION = "application: whose aggregate it is, that no event is missing, subscribers"
STORE = "event store: the batch, its order, and what becomes of conflicts"
MAPPING = "mapper: checks, and the values as JSON"
GROUPS = "record manager and group commit"
STATEMENTS = "statements: parameters"
CONNECTION = "connection: taken and given back, kept safe from forks and interrupts"
DRIVER = "driver and database"

SAVING = (DOMAIN, APPLICATION, STORE, MAPPING, GROUPS, STATEMENTS, CONNECTION, DRIVER)


class Clock:
    """Sums up what each layer takes.

    Attributes:
        spent: Seconds by layer.
    """

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []  # what the calls under way spent in others
        self._inside = self._outside = 0.0  # a clock's own cost, by whose time it is in
        self._calibrate()

    def call(self, layer: str, function: Callable[..., Any], *args: Any) -> Any:
        """Return what the function returns, whose time is the layer's."""
        inner = self._inner
        inner.append(0.0)
        began = perf_counter()
        try:
            return function(*args)
        finally:
            took = perf_counter() - began
            self.spent[layer] += took - inner.pop() - self._inside
            if inner:
                inner[-1] += took + self._outside

    def take(self) -> dict[str, float]:
        """Return what was spent, and begin anew."""
        spent, self.spent = self.spent, defaultdict(float)
        return spent

    def watch(self, app: SimpleApplication) -> None:
        """Put clocks around the layers of an application."""
        store = app.event_store
        manager = store.record_manager
        assert isinstance(manager, SQLAlchemyRecordManager)
        for layer, owner, name in (
            (STORE, store, "store"),
            (MAPPING, store.mapper, "item_from_event"),
            (GROUPS, manager, "record"),
            (STATEMENTS, manager._statements, "rows"),
            (STATEMENTS, manager._statements, "write"),
            (STATEMENTS, manager._statements, "read"),
            (CONNECTION, manager.datastore, "execute"),
            (CONNECTION, manager.datastore, "fetch"),
        ):
            setattr(owner, name, partial(self.call, layer, getattr(owner, name)))
        connections: Any = manager.datastore._connections
        dbapi = connections._dbapi
        connections._dbapi = lambda lent: WatchedConnection(self, dbapi(lent))

    def _calibrate(self, n: int = 20_000) -> None:
        def nothing() -> None:
            pass

        began = perf_counter()
        for _ in range(n):
            nothing()
        bare = (perf_counter() - began) / n
        began = perf_counter()
        for _ in range(n):
            self.call("", nothing)
        whole = (perf_counter() - began) / n
        recorded = self.take()[""] / n
        self._inside, self._outside = max(0.0, recorded - bare), max(0.0, whole - recorded)


class WatchedCursor:
    """A driver's cursor, whose time is the driver's."""

    __slots__ = ("_call", "_cursor")

    def __init__(self, call: Callable[..., Any], cursor: Any) -> None:
        self._call = call
        self._cursor = cursor

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        return self._call(DRIVER, self._cursor.execute, sql, parameters)

    def fetchall(self) -> Any:
        return self._call(DRIVER, self._cursor.fetchall)

    def close(self) -> None:
        self._call(DRIVER, self._cursor.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class WatchedConnection:
    """A driver's connection, which makes such cursors."""

    __slots__ = ("_call", "_connection")

    def __init__(self, clock: Clock, connection: Any) -> None:
        self._call = clock.call
        self._connection = connection

    def cursor(self) -> WatchedCursor:
        return WatchedCursor(self._call, self._call(DRIVER, self._connection.cursor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
