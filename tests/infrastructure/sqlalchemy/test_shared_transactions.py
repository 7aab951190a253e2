"""Group commits on real databases: each save is for itself, whatever becomes of the others."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, String, TypeDecorator, func
from sqlalchemy.event import listens_for

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    LockTimeout,
    OutcomeUnknown,
    SequencedItemConflict,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy import groupcommit
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.groupcommit import GroupCommit
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.mysql import MySQLDriver
from eventsourcing.infrastructure.sqlalchemy.postgresql import PostgreSQLDriver
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from eventsourcing.infrastructure.sqlalchemy.statements import Write
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    Note,
    application,
    engine_of,
    eventually,
    in_threads,
    run,
    saved_note,
    stored,
    table_with,
)
from tests.infrastructure.sqlalchemy.test_group_commit import waiting
from tests.servers.address import Address
from tests.servers.proxy import Cut, Proxy, Where


@pytest.fixture(autouse=True)
def one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have savers wait as soon as one transaction is on its way."""
    for driver in (SQLiteDriver, PostgreSQLDriver, MySQLDriver):
        monkeypatch.setattr(driver, "lanes", 1)


def grouping(backend: Backend, **options: Any) -> SimpleApplication:
    """Return an application with group commit, also where that is not the default."""
    return application(backend, group_commit=True, **options)


def groups_of(app: SimpleApplication) -> GroupCommit:
    """Return the application's group commit."""
    groups = app.event_store.record_manager._groups  # type: ignore[attr-defined]
    assert isinstance(groups, GroupCommit)
    return groups


class Gate:
    """Holds an application's next write back, and counts those that are made.

    Attributes:
        writes: how many were made.
    """

    def __init__(self, app: SimpleApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        self._then: Callable[[], None] = lambda: None
        self._execute = SQLAlchemyDatastore.execute
        self._is_held = threading.Event()
        self._is_open = threading.Event()
        datastore: Any = app.event_store.record_manager.datastore  # type: ignore[attr-defined]

        def held(write: Write, work: None) -> None:
            self.writes += 1
            if self.writes > 1:
                self._execute(datastore, write)
                return
            self._is_held.set()
            assert self._is_open.wait(SECONDS_TO_WAIT)
            self._execute(datastore, write)
            self._then()

        monkeypatch.setattr(datastore, "execute", held)

    def wait(self) -> None:
        """Wait until a write is held back."""
        assert self._is_held.wait(SECONDS_TO_WAIT)

    def open(self) -> None:
        """Let the write go on."""
        self._is_open.set()

    def execute_next_by(self, execute: Callable[[SQLAlchemyDatastore, Write], None]) -> None:
        """Have the write after this one executed by something else."""
        self.when_open(lambda: setattr(self, "_execute", execute))

    def when_open(self, then: Callable[[], None]) -> None:
        """Call something between this write and the next one."""
        self._then = then


class Group(NamedTuple):
    """Saves that are to share a transaction, and what holds them back."""

    saves: list[Future[Any]]
    gate: Gate


@contextmanager
def together(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch, notes: Sequence[Note]
) -> Iterator[Group]:
    """Have the notes saved as one group, which begins at the end of the block."""
    groups, first = groups_of(app), saved_note(app)
    first.edit("holds up the others")
    with ThreadPoolExecutor(len(notes) + 1) as threads:
        gate = Gate(app, monkeypatch)
        futures = [threads.submit(app.save, first)]
        try:
            gate.wait()
            for count, note in enumerate(notes, start=1):
                futures.append(threads.submit(app.save, note))
                eventually(lambda count=count: waiting(groups) == count)  # type: ignore[misc]
            yield Group(futures[1:], gate)
        finally:
            gate.open()
        for future in futures:
            future.exception(SECONDS_TO_WAIT)


def edited(app: SimpleApplication, count: int = 3) -> list[Note]:
    """Return notes that are stored, and edited since."""
    notes = [saved_note(app) for _ in range(count)]
    for note in notes:
        note.edit("second")
        note.edit("third")
    return notes


def versions(app: SimpleApplication, notes: Sequence[Note]) -> list[int]:
    """Return what is stored of each note."""
    return [app.repository.get(note.id, Note).version for note in notes]


def raised(futures: Sequence[Future[Any]]) -> list[type[BaseException] | None]:
    """Return what each save raised."""
    errors = [future.exception() for future in futures]
    return [None if error is None else type(error) for error in errors]


# -- each save for itself ----------------------------------------------------------------


def test_saves_of_several_threads_are_one_transaction(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with grouping(sql_backend) as app:
        notes = edited(app)
        with together(app, monkeypatch, notes) as group:
            pass
        assert raised(group.saves) == [None] * 3
        assert group.gate.writes == 2
        assert versions(app, notes) == [3] * 3
        assert [note.pending_events for note in notes] == [()] * 3
    assert stored(sql_backend) == 3 * 3 + 2


def _refused_in_a_group(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> list[type[BaseException] | None]:
    """Return what each of three saves raises, if the second has a conflict."""
    with grouping(backend) as app:
        notes = edited(app)
        rival = app.repository.get(notes[1].id, Note)
        rival.edit("rival")
        app.save(rival)
        with together(app, monkeypatch, notes) as group:
            pass
        refused = raised(group.saves)
        expected = [3 if error is None else 1 for error in refused]
        expected[1] = 2
        assert versions(app, notes) == expected
    return refused


def test_a_conflict_in_the_middle_is_of_one_save_alone(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _refused_in_a_group(sql_backend, monkeypatch) == [None, ConcurrencyError, None]


def test_control_without_isolation_it_is_of_all(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(self: GroupCommit, group: object, rows: object) -> None:
        raise SequencedItemConflict("of somebody")

    monkeypatch.setattr(GroupCommit, "_part", part)

    assert None not in _refused_in_a_group(sql_backend, monkeypatch)


def test_who_waits_for_a_row_of_another_program_does_not_hold_up_the_others(
    postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with grouping(postgresql) as app, closing(postgresql.connect()) as program:
        notes = edited(app)
        take_position(program, notes[1], 1)
        with together(app, monkeypatch, notes) as group:
            group.gate.open()
            eventually(lambda: group.saves[0].done() and group.saves[2].done())
            assert not group.saves[1].done()
            program.rollback()
        assert raised(group.saves) == [None] * 3
        assert versions(app, notes) == [3] * 3


def test_who_waits_for_a_locked_file_waits_once(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "PATIENCE_OF_LOCKS", 1)  # until all have come together
    with grouping(sqlite_file, lock_timeout=0.5) as app, closing(sqlite_file.connect()) as program:
        notes = edited(app)
        with together(app, monkeypatch, notes) as group:
            program.execute("BEGIN IMMEDIATE")
        assert raised(group.saves) == [LockTimeout] * 3
        assert group.gate.writes == 2
        program.rollback()
        assert versions(app, notes) == [1] * 3
        app.save(*notes)
        assert versions(app, notes) == [3] * 3


def take_position(program: Any, note: Note, position: int) -> None:
    """Insert a row in a transaction that stays open."""
    program.cursor().execute(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state, event_id)"
        f" VALUES ('{note.id}', {position}, '', '', '')"
    )


def test_a_value_that_cannot_be_bound_is_of_one_save_alone(
    postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_with(Column("due", Fussy))
    with closing(datastore_of(postgresql)) as datastore:
        manager = SQLAlchemyRecordManager(datastore, table, ItemWithDue)
        manager.setup_table()
        groups = manager._groups
        assert groups is not None
        with ThreadPoolExecutor(3) as threads, groups._changing:
            futures = [
                threads.submit(manager.record, [ItemWithDue(s, 0, "t", "{}", s, None, None, s)])
                for s in "abc"
            ]
            eventually(futures[1].done)  # before it could join anybody
        assert raised(futures) == [None, TypeError, None]


class Fussy(TypeDecorator[str]):
    """Binds no "b"."""

    impl = String(255)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> Any:
        if value == "b":
            raise TypeError("no b")
        return value


class ItemWithDue(NamedTuple):
    """As of a table with a column of its own."""

    originator_id: Any
    originator_version: int
    topic: str
    state: str
    event_id: str
    correlation_id: str | None
    causation_id: str | None
    due: str


def datastore_of(backend: Backend, **options: Any) -> SQLAlchemyDatastore:
    """Return a datastore with group commit."""
    return SQLAlchemyDatastore(SQLAlchemySettings(uri=backend.uri, group_commit=True, **options))


@pytest.mark.parametrize("is_grouping", [False, True])
def test_on_a_given_engine_each_thread_writes_over_connections_of_its_own(
    postgresql: Backend, monkeypatch: pytest.MonkeyPatch, is_grouping: bool
) -> None:
    tenant = threading.local()
    with engine_of(postgresql) as engine:

        @listens_for(engine, "checkout")
        def choose_tenant(connection: Any, *_: object) -> None:
            name = getattr(tenant, "name", "nobody")
            connection.execute(f"SELECT set_config('application_name', '{name}', false)")
            connection.commit()

        with closing(SQLAlchemyDatastore(engine=engine, group_commit=is_grouping)) as datastore:
            who = Column("who", String(63), server_default=func.current_setting("application_name"))
            manager = SQLAlchemyRecordManager(datastore, table_with(who))
            manager.setup_table()

            def save(name: str) -> None:
                tenant.name = name
                for n in range(20):
                    manager.record([StoredEvent(name, n, "t", "{}", f"{name}{n}")])

            in_threads(*[partial(save, name) for name in "abcd"])
    ((foreign,),) = run(postgresql, "SELECT count(*) FROM mine WHERE who <> originator_id")
    assert (foreign > 0) == is_grouping  # which is why it is not the default
    assert SQLAlchemyDatastore(engine=engine).commits_groups is False


def test_what_a_group_has_stored_is_not_said_to_be_refused_when_the_application_is_closed(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with grouping(sqlite_file) as app:
        notes = edited(app)
        execute = SQLAlchemyDatastore.execute

        def close_and_interrupt(self: SQLAlchemyDatastore, write: Write) -> None:
            execute(self, write)
            self.close()
            raise KeyboardInterrupt

        with together(app, monkeypatch, notes) as group:
            group.gate.execute_next_by(close_and_interrupt)
        assert raised(group.saves) == [KeyboardInterrupt, OutcomeUnknown, OutcomeUnknown]
    assert stored(sqlite_file) == 3 * 3 + 2


# -- outcomes that nobody knows ----------------------------------------------------------


@pytest.mark.parametrize("where", Where)
def test_a_group_that_was_cut_off_is_stored_once(
    server_backend: Backend, monkeypatch: pytest.MonkeyPatch, where: Where
) -> None:
    uri = str(server_backend.uri)
    with (
        Proxy(Address.from_uri(uri, default_port=0)) as proxy,
        grouping(server_backend, uri=proxy.uri(uri)) as app,
    ):
        notes = edited(app)
        with together(app, monkeypatch, notes) as group:
            group.gate.when_open(lambda: proxy.cut(Cut(b"INSERT", where)))
        assert proxy.cuts == 1
        assert raised(group.saves) == [None] * 3
        assert versions(app, notes) == [3] * 3
    assert stored(server_backend) == 3 * 3 + 2
