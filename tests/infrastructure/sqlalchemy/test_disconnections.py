"""The connection breaks, before COMMIT or between COMMIT and its answer."""

from collections.abc import Iterator

import pytest

from eventsourcing.exceptions import ConcurrencyError, DatabaseUnavailable, OutcomeUnknown
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy import mysql
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import Note, application, run, saved_note, stored
from tests.servers.address import Address
from tests.servers.proxy import Cut, Proxy, Where

EVERYWHERE = pytest.mark.parametrize("where", list(Where), ids=lambda where: where.name)


@pytest.fixture
def proxy(server_backend: Backend) -> Iterator[Proxy]:
    """A proxy in front of the backend's server."""
    assert server_backend.uri
    with Proxy(Address.from_uri(server_backend.uri, default_port=0)) as proxy:
        yield proxy


@EVERYWHERE
def test_a_save_that_was_cut_once_is_stored_once(
    server_backend: Backend, proxy: Proxy, where: Where
) -> None:
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = saved_note(app)
        note.edit("second")
        proxy.cut(Cut(b"INSERT", where))

        app.save(note)

        assert note.pending_events == ()
        assert app.repository.get(note.id, Note).text == "second"
    assert (proxy.cuts, stored(server_backend)) == (1, 2)


@EVERYWHERE
@pytest.mark.parametrize("is_statement", [True, False], ids=["a statement", "a transaction"])
def test_a_save_of_several_events_that_was_cut_once_is_stored_once(
    server_backend: Backend,
    proxy: Proxy,
    where: Where,
    is_statement: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = b"INSERT"  # PostgreSQL takes all that is saved at once by one statement
    if server_backend.name == "mariadb" and not is_statement:
        monkeypatch.setattr(mysql, "LARGEST_STATEMENT", 0)
        end = b"COMMIT"
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        a, b = saved_note(app), saved_note(app)
        a.edit("second")
        a.edit("third")
        b.edit("second")
        proxy.cut(Cut(end, where))

        app.save(a, b)

        versions = [app.repository.get(note.id, Note).version for note in (a, b)]
    assert versions == [3, 2]
    assert (proxy.cuts, stored(server_backend)) == (1, 5)


def test_control_a_save_that_is_not_compared_conflicts_with_itself(
    server_backend: Backend, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventStore, "_same", lambda self, stored, item: False)
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = Note.create()
        proxy.cut(Cut(b"INSERT", Where.BEFORE_ANSWER))

        with pytest.raises(ConcurrencyError):
            app.save(note)

    assert stored(server_backend) == 1


@EVERYWHERE
def test_a_save_whose_outcome_cannot_be_found_out_says_so_and_can_be_repeated(
    server_backend: Backend, proxy: Proxy, where: Where
) -> None:
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = saved_note(app)
        note.edit("second")
        proxy.refuse()
        proxy.cut(Cut(b"INSERT", where))

        with pytest.raises(OutcomeUnknown):
            app.save(note)

        proxy.accept()
        assert len(note.pending_events) == 1
        app.save(note)
        note.edit("third")
        app.save(note)
        assert app.repository.get(note.id, Note).text == "third"
    assert stored(server_backend) == 3


def test_a_stored_save_that_cannot_be_looked_up_is_not_said_to_be_lost(
    server_backend: Backend, proxy: Proxy
) -> None:
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = Note.create()
        look_up = Cut(b"originator_version >=", Where.BEFORE_REQUEST)
        proxy.cut(Cut(b"INSERT", Where.BEFORE_ANSWER), look_up, look_up)

        with pytest.raises(OutcomeUnknown):
            app.save(note)

        assert (proxy.cuts, stored(server_backend)) == (3, 1)
        app.save(note)
    assert stored(server_backend) == 1


def test_a_rival_that_came_first_is_a_concurrency_error_although_the_connection_broke(
    server_backend: Backend, proxy: Proxy
) -> None:
    with (
        application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app,
        application(server_backend) as other,
    ):
        theirs = saved_note(other)
        mine = app.repository.get(theirs.id, Note)
        mine.edit("mine")
        theirs.edit("theirs")
        other.save(theirs)
        proxy.cut(Cut(b"INSERT", Where.BEFORE_ANSWER))

        with pytest.raises(ConcurrencyError):
            app.save(mine)

        assert app.repository.get(theirs.id, Note).text == "theirs"


@EVERYWHERE
def test_a_read_that_was_cut_is_repeated(
    server_backend: Backend, proxy: Proxy, where: Where
) -> None:
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = saved_note(app)
        proxy.cut(Cut(b"SELECT", where))

        assert app.repository.get(note.id, Note).text == "first"
    assert proxy.cuts == 1


def test_when_nobody_can_connect_nothing_is_stored_and_the_error_says_so(
    server_backend: Backend, proxy: Proxy
) -> None:
    with application(server_backend, uri=proxy.uri(str(server_backend.uri))) as app:
        note = saved_note(app)
        note.edit("second")
        manager = app.event_store.record_manager
        assert isinstance(manager, SQLAlchemyRecordManager)
        assert manager.datastore.engine
        manager.datastore.engine.dispose()
        proxy.refuse()

        with pytest.raises(DatabaseUnavailable):
            app.save(note)

    assert stored(server_backend) == 1


def test_a_connection_that_the_server_ends_is_replaced(server_backend: Backend) -> None:
    with application(server_backend) as app:
        note = saved_note(app)
        end_connections(server_backend)

        note.edit("second")
        app.save(note)

        end_connections(server_backend)
        assert app.repository.get(note.id, Note).text == "second"
    assert stored(server_backend) == 2


def end_connections(backend: Backend) -> None:
    """Have the server end all other connections to the database."""
    if backend.name == "postgresql":
        run(
            backend,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        return
    for (number,) in run(
        backend,
        "SELECT id FROM information_schema.processlist"
        " WHERE db = database() AND id <> connection_id()",
    ):
        run(backend, f"KILL CONNECTION {number}")
