"""Two that want the same position, or each other's locks."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    LockTimeout,
    SequencedItemConflict,
    TransactionConflict,
)
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    engine_of,
    in_threads,
    run,
    saved_note,
    shown,
    stored,
)


def rivals(app: SimpleApplication) -> tuple[Note, Note]:
    """Return one stored note twice, each with a change to save."""
    note = saved_note(app)
    other = app.repository.get(note.id, Note)
    note.edit("mine")
    other.edit("theirs")
    return note, other


def test_a_taken_position_is_a_conflict_with_all_that_a_caller_needs(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        note, other = rivals(app)
        app.save(other)

        with pytest.raises(ConcurrencyError) as raised:
            app.save(note)

    error = raised.value
    found = (error.originator_id, error.expected_version, error.actual_version)
    assert found == (note.id, 1, 2)
    assert isinstance(error.__cause__, SequencedItemConflict)
    assert stored(sql_backend) == 2


def test_an_event_that_is_stored_already_does_not_conflict_with_itself(
    sql_backend: Backend,
) -> None:
    with application(sql_backend) as app:
        note = Note.create()
        event = note.pending_events[0]
        app.event_store.store(event)

        app.event_store.store(event)

    assert stored(sql_backend) == 1


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_reads_an_old_state_conflicts_on_postgresql(
    postgresql: Backend, level: str
) -> None:
    _conflict_of_an_old_snapshot(postgresql, level)


def test_a_transaction_that_reads_an_old_state_conflicts_on_mariadb(mariadb: Backend) -> None:
    _conflict_of_an_old_snapshot(mariadb, "REPEATABLE READ")


def _conflict_of_an_old_snapshot(backend: Backend, level: str) -> None:
    with application(backend) as app, engine_of(backend, isolation_level=level) as engine:
        note = saved_note(app)
        with engine.connect() as connection:
            with SimpleApplication(session=connection) as mine:
                late = mine.repository.get(note.id, Note)
                note.edit("theirs")
                app.save(note)
                late.edit("mine")

                with pytest.raises(ConcurrencyError) as raised:
                    mine.save(late)

            connection.rollback()
    assert (raised.value.originator_id, raised.value.expected_version) == (note.id, 1)
    assert raised.value.actual_version is None
    assert stored(backend) == 2


def test_a_serialization_failure_is_a_transaction_conflict(postgresql: Backend) -> None:
    application(postgresql).close()
    with engine_of(postgresql, isolation_level="SERIALIZABLE") as engine:
        outcomes = _write_skew(engine)

    assert outcomes == ["stored", TransactionConflict]


def _write_skew(engine: Engine) -> list[Any]:
    """Have two transactions each read what the other one writes, and the first commit first."""
    with engine.connect() as first, engine.connect() as second:
        outcomes: list[Any] = []
        notes = {}
        for connection in (first, second):
            connection.exec_driver_sql("SELECT count(*) FROM stored_events")
            notes[connection] = Note.create()
        with SimpleApplication(session=first) as app:
            app.save(notes[first])
        first.commit()
        outcomes.append("stored")
        with SimpleApplication(session=second, setup_table=False) as app:
            with pytest.raises(ConcurrencyError) as raised:
                app.save(notes[second])
            outcomes.append(type(raised.value.__cause__))
        second.rollback()
        return outcomes


def test_a_snapshot_conflict_of_mariadb_is_a_concurrency_error(mariadb: Backend) -> None:
    # With innodb_snapshot_isolation (MariaDB 10.6.18 and later; on by default since 11.6).
    with application(mariadb) as app, engine_of(mariadb) as engine:
        note = saved_note(app)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET SESSION innodb_snapshot_isolation = ON")
            with SimpleApplication(session=connection) as mine:
                late = mine.repository.get(note.id, Note)
                run(mariadb, "UPDATE stored_events SET topic = concat(topic, '')")
                note.edit("theirs")
                app.save(note)
                late.edit("mine")

                with pytest.raises(ConcurrencyError):
                    mine.save(late)
            connection.rollback()


def crosswise(engine: Engine, outcome: Callable[[Connection, Note], Any]) -> list[Any]:
    """Have two transactions take two positions, each in the other's order, and wait for the end."""
    app = SimpleApplication(engine=engine)
    a, b = saved_note(app, "a"), saved_note(app, "b")
    app.close()
    held = []

    def start(first: Note) -> Connection:
        connection = engine.connect()
        with SimpleApplication(session=connection, setup_table=False, name="first") as mine:
            copy = mine.repository.get(first.id, Note)
            copy.edit("first")
            mine.save(copy)
        held.append(connection)
        return connection

    one, two = start(a), start(b)

    def finish(connection: Connection, note: Note) -> Any:
        try:
            return outcome(connection, note)
        finally:
            connection.rollback()

    results = in_threads(lambda: finish(one, b), lambda: finish(two, a))
    for connection in held:
        connection.close()
    return results


def _save_another(connection: Connection, note: Note) -> str:
    with SimpleApplication(session=connection, setup_table=False) as mine:
        copy = mine.repository.get(note.id, Note)
        copy.edit("second")
        mine.save(copy)
    return "saved"


def test_the_victim_of_a_deadlock_gets_a_concurrency_error(server_backend: Backend) -> None:
    with engine_of(server_backend) as engine:
        results = crosswise(engine, _save_another)

    # The other one may be refused too: by then its position was taken, if only for a moment.
    victims = [r for r in results if isinstance(r, ConcurrencyError)]
    assert [type(victim.__cause__) for victim in victims] == [TransactionConflict]
    assert [r for r in results if r != "saved"] == victims
    assert stored(server_backend) == 2


def test_a_deadlock_does_not_let_mariadb_go_on_without_the_callers_work(mariadb: Backend) -> None:
    run(mariadb, "CREATE TABLE mine (n integer PRIMARY KEY)")

    def save_and_go_on(connection: Connection, note: Note) -> str:
        try:
            return _save_another(connection, note)
        except ConcurrencyError:
            with pytest.raises(Exception, match="Can't reconnect until invalid transaction"):
                connection.exec_driver_sql("INSERT INTO mine VALUES (1)")
            return "refused"

    with engine_of(mariadb) as engine:
        results = crosswise(engine, save_and_go_on)

    assert sorted(results) == ["refused", "saved"]


def test_a_lock_that_is_held_too_long_is_a_lock_timeout(sql_backend: Backend) -> None:
    with (
        application(sql_backend, lock_timeout=0.05) as app,
        closing(sql_backend.connect()) as other,
    ):
        note = saved_note(app)
        _hold(other, note)
        note.edit("second")

        with pytest.raises(LockTimeout):
            app.save(note)

        other.rollback()
        app.save(note)
    assert stored(sql_backend) == 2


def test_a_program_that_reads_a_file_without_a_wal_is_waited_for_and_then_a_lock_timeout(
    sqlite_file: Backend,
) -> None:
    """The lock is not missing at the beginning of the transaction, but at its COMMIT."""
    with (
        application(sqlite_file, sqlite_journal_mode="DELETE", lock_timeout=0.05) as app,
        closing(sqlite_file.connect(isolation_level=None)) as other,
    ):
        note = saved_note(app)
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM stored_events").fetchall() == [(1,)]
        note.edit("second")

        with pytest.raises(LockTimeout):
            app.save(note)

        other.execute("COMMIT")
        assert stored(sqlite_file) == 1
        app.save(note)
    assert stored(sqlite_file) == 2


def _hold(connection: Any, note: Note) -> None:
    """Take the note's next position in a transaction that is left open."""
    connection.cursor().execute(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state, event_id)"
        f" VALUES ('{note.id}', {note.version}, '', '', '')"
    )


def test_a_cancelled_statement_is_a_lock_timeout(postgresql: Backend) -> None:
    uri = f"{postgresql.uri}?options=-c%20statement_timeout%3D50"
    with (
        application(postgresql) as app,
        application(postgresql, uri=uri, lock_timeout=None, setup_table=False) as impatient,
        closing(postgresql.connect()) as other,
    ):
        note = saved_note(app)
        _hold(other, note)
        note.edit("second")

        with pytest.raises(LockTimeout, match="statement timeout"):
            impatient.event_store.store(note.pending_events)


def test_a_busy_snapshot_of_sqlite_is_a_concurrency_error(sqlite_file: Backend) -> None:
    with application(sqlite_file) as app, engine_of(sqlite_file) as engine:
        note, another = saved_note(app), saved_note(app)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            with SimpleApplication(session=connection) as mine:
                late = mine.repository.get(note.id, Note)
                another.edit("elsewhere")
                app.save(another)
                late.edit("mine")

                with pytest.raises(ConcurrencyError) as raised:
                    mine.save(late)
            connection.rollback()

    assert isinstance(raised.value.__cause__, TransactionConflict)


def test_errors_show_no_state(sql_backend: Backend) -> None:
    with application(sql_backend) as app, engine_of(sql_backend) as engine:
        note = saved_note(app)
        with engine.connect() as connection:
            with SimpleApplication(session=connection) as mine:
                late = mine.repository.get(note.id, Note)
                late.edit("canary")
                app.event_store.record_manager.record(
                    [app.event_store.mapper.item_from_event(_edit(app, note))]
                )

                with pytest.raises(ConcurrencyError) as raised:
                    mine.save(late)
            connection.rollback()

    assert "canary" not in shown(raised.value)


def _edit(app: SimpleApplication, note: Note) -> Any:
    copy = app.repository.get(note.id, Note)
    copy.edit("another")
    return copy.pending_events[0]


def test_of_two_savers_at_once_one_is_refused(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        note, other = rivals(app)
        results = in_threads(lambda: app.save(note), lambda: app.save(other))

    assert sorted(type(result).__name__ for result in results) == ["ConcurrencyError", "Saved"]
