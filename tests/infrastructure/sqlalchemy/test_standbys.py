"""A PostgreSQL server with standbys: a commit waits for one, and somebody may end that wait.

The standby here is one that never comes. What waits for it can be seen by others once the wait has
ended, and is on one server only.
"""

import threading
from collections.abc import Iterator

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy.postgresql import PostgreSQLDriver
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    eventually,
    run,
    saved_note,
    stored,
)
from tests.servers.process import free_port

IN_WAIT = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
ENDS = ["pg_cancel_backend(pid)", "pg_terminate_backend(pid, 5000)"]


@pytest.fixture
def app(private_postgresql: Backend) -> Iterator[SimpleApplication]:
    """An application on a server which will soon wait for a standby that is not there."""
    with application(private_postgresql) as app:
        yield app
        await_standby(private_postgresql, "")


def await_standby(backend: Backend, name: str) -> None:
    """Have every commit wait for the standby of this name; or none."""
    with backend.connect(autocommit=True, options="-c synchronous_commit=local") as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        connection.execute("SELECT pg_reload_conf()")
    eventually(lambda: run(backend, "SHOW synchronous_standby_names") == [(name,)])


def waiting(backend: Backend) -> int:
    """Return how many commits wait."""
    ((count,),) = run(backend, f"SELECT count(*) {IN_WAIT}")
    return int(count)


def save_while_waits_end(app: SimpleApplication, backend: Backend, end: str) -> threading.Thread:
    """Return a thread in which a note is saved, once its wait for the standby has been ended."""
    note = saved_note(app)
    note.edit("second")
    await_standby(backend, "nobody")
    saver = threading.Thread(target=app.save, args=(note,))
    saver.start()
    eventually(lambda: waiting(backend) == 1)
    assert stored(backend) == 1
    run(backend, f"SELECT {end} {IN_WAIT}")
    eventually(lambda: stored(backend) == 2)
    return saver


@pytest.mark.parametrize("end", ENDS)
def test_a_save_whose_wait_for_a_standby_is_ended_waits_again(
    app: SimpleApplication, private_postgresql: Backend, end: str
) -> None:
    saver = save_while_waits_end(app, private_postgresql, end)

    eventually(lambda: waiting(private_postgresql) == 1)
    assert saver.is_alive()

    await_standby(private_postgresql, "")
    saver.join()
    assert stored(private_postgresql) == 2


@pytest.mark.parametrize("end", ENDS)
def test_control_without_a_confirmation_it_is_acknowledged_and_no_standby_has_it(
    app: SimpleApplication,
    private_postgresql: Backend,
    end: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PostgreSQLDriver, "confirmation", None)

    save_while_waits_end(app, private_postgresql, end).join()

    assert waiting(private_postgresql) == 0


def test_control_without_the_warning_a_cancelled_wait_is_an_acknowledgement(
    app: SimpleApplication, private_postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgreSQLDriver, "check_commit", lambda self, connection: None)

    save_while_waits_end(app, private_postgresql, ENDS[0]).join()

    assert waiting(private_postgresql) == 0


def test_a_caller_who_stores_the_same_again_waits_for_the_standby_at_its_commit(
    app: SimpleApplication, private_postgresql: Backend
) -> None:
    event = Note.create(text="same").pending_events[0]
    app.event_store.store(event)
    await_standby(private_postgresql, "nobody")
    engine = app.event_store.record_manager.datastore.engine  # type: ignore[attr-defined]
    with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        with SimpleApplication(session=connection, setup_table=False) as mine:
            mine.event_store.store(event)
        committer = threading.Thread(target=connection.commit)
        committer.start()

        eventually(lambda: waiting(private_postgresql) == 1)

        await_standby(private_postgresql, "")
        committer.join()


def test_the_application_finds_the_server_that_writes_among_several(postgresql: Backend) -> None:
    at = postgresql.connect_arguments
    hosts = [f"host=127.0.0.1:{free_port()}", f"host={at['host']}:{at['port']}"]
    uri = f"postgresql://{at['user']}@/{at['dbname']}?{'&'.join(hosts)}"

    with application(postgresql, uri=f"{uri}&target_session_attrs=read-write") as app:
        note = saved_note(app)
        run(
            postgresql,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        note.edit("second")
        app.save(note)
        assert app.repository.get(note.id, Note).text == "second"
