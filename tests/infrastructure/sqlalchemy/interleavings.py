"""Transactions that are open at once, step by step, and what a reader of the feed makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Engine, text

from eventsourcing.infrastructure.notificationlog import NotificationLog
from eventsourcing.infrastructure.sqlalchemy.factory import construct_sqlalchemy_eventstore
from eventsourcing.utils.topic import get_topic
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.contracts.model import Happened
from tests.infrastructure.sqlalchemy.helpers import engine_of, run

Event: TypeAlias = tuple[str, int]
"""A stream, and a position in it."""


class Writer:
    """A transaction, which begins with what is first done in it."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.connection = engine.connect()
        self.name = name
        self.store = construct_sqlalchemy_eventstore(self.connection, setup_table=False)

    def writes_elsewhere(self) -> None:
        self.connection.execute(text("INSERT INTO elsewhere VALUES (1)"))

    def stores(self, *events: Event) -> None:
        self.store.store([happened(stream, position) for stream, position in events])

    def commits(self) -> None:
        self.connection.commit()

    def rolls_back(self) -> None:
        self.connection.rollback()


def plain_id(event: Event) -> str:
    """Return the id of what a `PlainWriter` stores."""
    return uuid5(NAMESPACE_OID, f"{event}").hex


class PlainWriter(Writer):
    """A writer without savepoints, which have transaction ids of their own."""

    def stores(self, *events: Event) -> None:
        sql = "INSERT INTO stored_events ({columns}) SELECT :a, :b, :c, '{{}}', :d".format(
            columns="originator_id, originator_version, topic, state, event_id"
        )
        if self.connection.dialect.name == "postgresql":
            sql += " WHERE pg_current_xact_id() IS NOT NULL"
        for stream, position in events:
            self.connection.execute(
                text(sql),
                {
                    "a": stream,
                    "b": position,
                    "c": get_topic(Happened),
                    "d": plain_id((stream, position)),
                },
            )


class PreparedWriter(Writer):
    """A writer whose transaction is to be prepared. Not SQLAlchemy's, to have it in our hands."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self.is_xa = engine.dialect.name != "postgresql"
        if self.is_xa:
            self.connection.execute(text(f"XA START '{name}'"))

    def prepares(self) -> None:
        """Leave the transaction to the server, prepared."""
        self._run(f"XA END '{self.name}'", "")
        self._run(f"XA PREPARE '{self.name}'", f"PREPARE TRANSACTION '{self.name}'")
        self.connection.invalidate()  # a rollback, as of close(), is refused now

    def commits(self) -> None:
        with self.connection.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as another:
            word = "XA COMMIT" if self.is_xa else "COMMIT PREPARED"
            another.execute(text(f"{word} '{self.name}'"))

    def _run(self, xa: str, other: str) -> None:
        if sql := xa if self.is_xa else other:
            self.connection.execute(text(sql))


class Writers:
    """Opens transactions, and remembers them by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writers: list[Writer] = []

    def writer(self, name: str = "", cls: type[Writer] = Writer) -> Any:
        self._writers.append(cls(self._engine, name))
        return self._writers[-1]

    def close(self) -> None:
        for writer in self._writers:
            writer.connection.close()


@contextmanager
def writers_on(backend: Backend) -> Iterator[Writers]:
    """Writers to an empty table of events, beside which there is another table."""
    assert backend.uri is not None
    construct_sqlalchemy_eventstore(uri=backend.uri).close()
    run(backend, "CREATE TABLE elsewhere (n INT)")
    with engine_of(backend) as engine:
        writers = Writers(engine)
        try:
            yield writers
        finally:
            writers.close()


Interleaving: TypeAlias = Callable[[Writers], Iterator[None]]
"""Stops wherever a reader is to read. The last time, all transactions are over."""


def a_late_commit(writers: Writers) -> Iterator[None]:
    late, quick = writers.writer(), writers.writer()
    late.stores(("late", 0))
    quick.stores(("quick", 0))
    quick.commits()
    yield
    late.commits()
    yield


def an_id_taken_first_and_a_number_last(writers: Writers) -> Iterator[None]:
    early, late = writers.writer(cls=PlainWriter), writers.writer(cls=PlainWriter)
    early.writes_elsewhere()
    late.stores(("late", 0))
    early.stores(("early", 0))
    early.commits()
    yield
    late.commits()
    yield


def a_stream_across_transactions(writers: Writers) -> Iterator[None]:
    early, late = writers.writer(cls=PlainWriter), writers.writer(cls=PlainWriter)
    early.writes_elsewhere()
    late.stores(("s", 0))
    late.commits()
    early.stores(("s", 1))
    early.commits()
    yield


def three_writers(writers: Writers) -> Iterator[None]:
    one, two, three = writers.writer(), writers.writer(), writers.writer()
    one.writes_elsewhere()
    two.stores(("two", 0), ("two", 1))
    one.stores(("one", 0))
    three.stores(("three", 0))
    three.commits()
    yield
    one.commits()
    yield
    two.commits()
    yield


def a_late_commit_before_each_reading(writers: Writers) -> Iterator[None]:
    late = writers.writer()
    late.stores(("0", 0))
    for n in range(1, 5):
        following, quick = writers.writer(), writers.writer()
        following.stores((str(n), 0))
        quick.stores((f"quick {n}", 0))
        quick.commits()
        yield
        late.commits()
        late = following
        yield
    late.commits()
    yield


def a_rollback(writers: Writers) -> Iterator[None]:
    lost, quick, late = writers.writer(), writers.writer(), writers.writer()
    lost.stores(("lost", 0), ("lost", 1))
    late.stores(("late", 0))
    quick.stores(("quick", 0))
    quick.commits()
    yield
    lost.rolls_back()
    yield
    late.commits()
    yield


def a_savepoint(writers: Writers) -> Iterator[None]:
    late, quick = writers.writer(), writers.writer()
    savepoint = late.connection.begin_nested()
    late.stores(("lost", 0))
    savepoint.rollback()
    with late.connection.begin_nested():
        late.stores(("late", 0))
    quick.stores(("quick", 0))
    quick.commits()
    yield
    late.commits()
    yield


def a_prepared_transaction(writers: Writers) -> Iterator[None]:
    late, quick = writers.writer("late", PreparedWriter), writers.writer()
    late.stores(("late", 0))
    quick.stores(("quick", 0))
    quick.commits()
    yield
    late.prepares()
    yield
    late.commits()
    yield


INTERLEAVINGS: tuple[Interleaving, ...] = (
    a_late_commit,
    an_id_taken_first_and_a_number_last,
    a_stream_across_transactions,
    three_writers,
    a_late_commit_before_each_reading,
    a_rollback,
    a_savepoint,
    a_prepared_transaction,
)


def feed_of(backend: Backend) -> list[Event]:
    """Return all events, by the column that counts them: when all is over, that is the feed."""
    found = run(
        backend,
        "SELECT originator_id, originator_version FROM stored_events WHERE topic <> '' ORDER BY id",
    )
    return [(stream, position) for stream, position in found]


class Follower:
    """Goes on where it stopped."""

    def __init__(self, log: NotificationLog) -> None:
        self.log = log
        self.position = 0
        self.found: list[Event] = []

    def read(self, limit: int | None = None) -> int:
        before = len(self.found)
        for notification in self.log.select(self.position + 1, limit):
            self.position = notification.position
            self.found.append((str(notification.originator_id), notification.originator_version))
        return len(self.found) - before
