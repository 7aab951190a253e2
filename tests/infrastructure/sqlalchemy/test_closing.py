"""Connections: given back whatever happens, and closed in the end."""

import os
import threading
from contextlib import closing
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    DatabaseUnavailable,
    PersistenceError,
)
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.drivers import driver_for
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    checked_out,
    eventually,
    in_threads,
    run,
    saved_note,
    stored,
)

ROUNDS = 5


def sessions(backend: Backend) -> int:
    """Return how many other connections to the database the server has."""
    if backend.name == "postgresql":
        sql = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    else:
        sql = (
            "SELECT count(*) FROM information_schema.processlist"
            " WHERE db = database() AND id <> connection_id()"
        )
    return int(run(backend, sql)[0][0])


def test_a_closed_application_has_no_connection(server_backend: Backend) -> None:
    with application(server_backend) as app:
        notes = in_threads(*[lambda: saved_note(app)] * 4)
        assert [type(note) for note in notes] == [Note] * 4
        assert sessions(server_backend) >= 1

    eventually(lambda: sessions(server_backend) == 0)


def test_a_file_is_closed_and_its_log_is_gone(sqlite_file: Backend) -> None:
    with application(sqlite_file) as app:
        saved_note(app)
        path = sqlite_file.connect_arguments["database"]
        assert os.path.exists(f"{path}-wal")

    assert sorted(os.listdir(path.parent)) == ["events.db"]


def test_closing_again_does_nothing_and_saving_is_refused(sql_backend: Backend) -> None:
    app = application(sql_backend)
    note = saved_note(app)
    note.edit("second")
    app.close()
    app.close()

    with pytest.raises(ApplicationClosedError):
        app.save(note)
    with pytest.raises(ApplicationClosedError):
        list(app.event_store.get_domain_events(note.id))


def test_what_other_threads_were_doing_at_the_close_is_closed_after_it(
    server_backend: Backend,
) -> None:
    with (
        application(server_backend, lock_timeout=60) as app,
        closing(server_backend.connect()) as other,
    ):
        note = saved_note(app)
        other.cursor().execute(
            "INSERT INTO stored_events"
            " (originator_id, originator_version, topic, state, event_id)"
            f" VALUES ('{note.id}', 1, '', '', '')"
        )
        note.edit("second")
        waiting = threading.Thread(target=app.save, args=(note,))
        waiting.start()
        eventually(lambda: checked_out(app) == 1)
        app.close()
        other.rollback()
        waiting.join()

    eventually(lambda: sessions(server_backend) == 0)
    assert stored(server_backend) == 2


def test_a_failed_construction_leaves_no_connection(server_backend: Backend) -> None:
    reserved = {"postgresql": "pg_mine", "mariadb": "information_schema"}[server_backend.name]

    with pytest.raises(PersistenceError):
        SimpleApplication(uri=server_backend.uri, schema=reserved)

    eventually(lambda: sessions(server_backend) == 0)


def test_a_connection_that_cannot_be_prepared_is_closed(
    server_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Driver, connection: Any, settings: SQLAlchemySettings) -> None:
        raise ZeroDivisionError

    kind = type(driver_for(SQLAlchemySettings(uri=server_backend.uri).url.get_backend_name()))
    monkeypatch.setattr(kind, "on_connect", fail)

    with pytest.raises(ZeroDivisionError):
        application(server_backend)

    eventually(lambda: sessions(server_backend) == 0)


def test_errors_leave_no_connection_lent(sql_backend: Backend) -> None:
    with application(sql_backend, pool_size=1, max_overflow=0, pool_timeout=0) as app:
        note = saved_note(app)
        for _ in range(ROUNDS):
            late = app.repository.get(note.id, Note)
            late.edit("late")
            late.edit("later")
            note.edit("edited")
            app.save(note)
            with pytest.raises(ConcurrencyError):
                app.save(late)
        run(sql_backend, "ALTER TABLE stored_events RENAME TO moved")
        for _ in range(ROUNDS):
            with pytest.raises(PersistenceError):
                app.repository.get(note.id, Note)
        run(sql_backend, "ALTER TABLE moved RENAME TO stored_events")

        note.edit("last")
        app.save(note)
        assert (checked_out(app), app.repository.get(note.id, Note).text) == (0, "last")


def test_an_exhausted_pool_is_unavailable_and_keeps_its_connections(
    server_backend: Backend,
) -> None:
    with application(server_backend, pool_size=1, max_overflow=0, pool_timeout=0.01) as app:
        note = saved_note(app)
        engine = app.event_store.record_manager.datastore.engine  # type: ignore[attr-defined]
        pool = engine.pool
        with engine.connect():
            with pytest.raises(DatabaseUnavailable, match="QueuePool limit"):
                saved_note(app)
            with pytest.raises(DatabaseUnavailable):
                app.repository.get(note.id, Note)

        assert engine.pool is pool
        saved_note(app)
    assert stored(server_backend) == 2
