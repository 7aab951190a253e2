"""What the tests of the SQLAlchemy adapter share."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
)

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.stores import activate, deactivate
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.tables import OriginatorId, State
from tests.backends import Backend

SECONDS_TO_WAIT = 30.0


class Note(AggregateRoot):
    """An aggregate with as little to it as can be."""

    def __init__(self, text: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text

    @event("Edited")
    def edit(self, text: str) -> None:
        self.text = text


def table_with(*more: Any, topic: Any = State, state: Any = State) -> Table:
    """Return a table for stored events as a user might define it."""
    return Table(
        "mine",
        MetaData(),
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("originator_id", OriginatorId, nullable=False),
        Column("originator_version", BigInteger, nullable=False),
        Column("topic", topic, nullable=False),
        Column("state", state, nullable=False),
        Column("event_id", String(32), nullable=False),
        Column("correlation_id", String(255)),
        Column("causation_id", String(255)),
        UniqueConstraint("originator_id", "originator_version", name="mine_key"),
        *more,
    )


def unnumbered_table() -> Table:
    """Return a table for sequenced items whose rows nobody counts."""
    return Table(
        "unnumbered",
        MetaData(),
        Column("sequence_id", OriginatorId, primary_key=True),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("topic", State),
        Column("state", State),
    )


def application(backend: Backend, **options: Any) -> SimpleApplication:
    """Return an application with settings of its own."""
    setup_table = options.pop("setup_table", True)
    settings = SQLAlchemySettings(uri=options.pop("uri", backend.uri), **options)
    return SimpleApplication(settings=settings, setup_table=setup_table)


def application_on(table: Table, backend: Backend, **options: Any) -> SimpleApplication:
    """Return an application that keeps its events in `table`."""
    settings = SQLAlchemySettings(uri=backend.uri, **options)
    manager = SQLAlchemyRecordManager(SQLAlchemyDatastore(settings), table)
    manager.setup_table()
    return SimpleApplication(record_manager=manager)


def saved_note(app: SimpleApplication, text: str = "first") -> Note:
    """Return a note with one event, which is stored."""
    activate(app.persistence_policy)  # other applications may be open
    try:
        note = Note.create(text=text)
    finally:
        deactivate(app.persistence_policy)
    app.save(note)
    return note


def checked_out(app: SimpleApplication) -> int:
    """Return how many connections are in use: lent by the pool, and not just kept at hand."""
    connections = app.event_store.record_manager.datastore._connections  # type: ignore[attr-defined]
    return int(connections.engine.pool.checkedout()) - len(connections._spares)


def run(backend: Backend, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Execute one statement over a connection of its own, commit, and return the rows."""
    with closing(backend.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(sql, parameters)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        connection.commit()
        return rows


def stored(backend: Backend, table: str = "stored_events") -> int:
    """Return how many events there are."""
    ((count,),) = run(backend, f"SELECT count(*) FROM {table}")
    return int(count)


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@contextmanager
def engine_of(backend: Backend, **options: Any) -> Iterator[Engine]:
    """An engine as a user would make it."""
    engine = create_engine(SQLAlchemySettings(uri=backend.uri).url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def engine_with_schema(backend: Backend, schema: str, path: Path) -> Iterator[Engine]:
    """An engine on a SQLite file, with another file attached as a schema."""
    with engine_of(backend, pool_size=1, max_overflow=0) as engine:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ATTACH '{path}' AS {schema}")
        yield engine


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Call all functions at once, and return what each returned or raised."""
    barrier = threading.Barrier(len(functions))
    results: list[Any] = [None] * len(functions)

    def call(i: int) -> None:
        barrier.wait(SECONDS_TO_WAIT)
        try:
            results[i] = functions[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def causes(error: BaseException) -> Sequence[BaseException]:
    """Return the error and all that a traceback would show above it."""
    found = []
    current: BaseException | None = error
    while current is not None:
        found.append(current)
        is_hidden = current.__suppress_context__
        current = current.__cause__ or (None if is_hidden else current.__context__)
    return found


def shown(error: BaseException) -> str:
    """Return all that a traceback would say."""
    return "\n".join(f"{type(e).__name__}: {e} {e!r}" for e in causes(error))
