"""Saves are told to other processes by PostgreSQL's LISTEN and NOTIFY, where that is asked for."""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from queue import Empty
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.subscription import Subscription
from eventsourcing.exceptions import ConcurrencyError, ProgrammingError
from eventsourcing.infrastructure.sequenceditem import SequencedItem
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.gapless import GaplessRecordManager
from eventsourcing.infrastructure.sqlalchemy.postgresqlnotify import (
    PostgreSQLAnnouncements,
    channel_of,
)
from tests.application.test_subscriptions import NEVER, PATIENCE, Reading, reading, store
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.infrastructure.sqlalchemy.helpers import eventually, run, stored, unnumbered_table
from tests.infrastructure.sqlalchemy.test_forks import fork, succeeded
from tests.projections.processes import PROCESSES

CHANNEL = "eventsourcing.stored_events"
LISTENERS = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
END = "end"


def application(uri: str | None, **options: Any) -> SimpleApplication:
    return SimpleApplication(settings=SQLAlchemySettings(uri, notify=True), **options)


@pytest.fixture
def saver(postgresql: Backend) -> Iterator[SimpleApplication]:
    with application(postgresql.uri) as app:
        yield app


def announcements_of(app: SimpleApplication) -> PostgreSQLAnnouncements:
    found = app.event_store.record_manager.announcements
    assert isinstance(found, PostgreSQLAnnouncements)
    return found


@contextmanager
def waiting_for_an_hour(app: SimpleApplication) -> Iterator[Reading]:
    """A reader that has come to the end of the feed, and will not look again for long."""
    with reading(app.subscribe(shortest_pause=NEVER / 2, longest_pause=NEVER)) as reader:
        eventually(lambda: reader.subscription._following._idle == NEVER)
        yield reader


def is_listening(subscription: Subscription) -> bool:
    assert subscription._listener is not None
    return subscription._listener.sources != ()


class Overhearing:
    """Listens too, and counts."""

    def __init__(self, backend: Backend, channel: str = CHANNEL) -> None:
        self._backend = backend
        self._channel = channel
        self._connection = backend.connect(autocommit=True)
        self._connection.execute(f'LISTEN "{channel}"')

    def heard(self) -> int:
        """Return how often was told so far, since the last time."""
        run(self._backend, "SELECT pg_notify(%s, %s)", self._channel, END)
        count = 0
        for each in self._connection.notifies():
            if each.payload == END:
                break
            count += 1
        return count

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def overhearing(postgresql: Backend) -> Iterator[Overhearing]:
    listening = Overhearing(postgresql)
    yield listening
    listening.close()


@contextmanager
def held_up(app: SimpleApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the thread that tells others wait where it would send."""
    announcements, go_on = announcements_of(app), threading.Event()
    send = announcements._send

    def wait_and_send() -> None:
        assert go_on.wait(PATIENCE)
        send()

    with monkeypatch.context() as patch:
        patch.setattr(announcements, "_send", wait_and_send)
        try:
            yield
        finally:
            go_on.set()


# -- who hears


def test_another_application_is_told_of_a_save(
    postgresql: Backend, saver: SimpleApplication
) -> None:
    with application(postgresql.uri) as app, waiting_for_an_hour(app) as reader:
        store(saver, 0)
        assert reader.next() == ("s", 0)


def save_elsewhere(uri: str) -> None:
    with application(uri, setup_table=False) as app:
        store(app, 0)


def test_another_process_tells_of_a_save(postgresql: Backend) -> None:
    with application(postgresql.uri) as app, waiting_for_an_hour(app) as reader:
        process = PROCESSES.Process(target=save_elsewhere, args=(postgresql.uri,))
        process.start()
        assert reader.next() == ("s", 0)
        process.join()


def test_control_without_notify_nothing_comes_until_it_looks(
    postgresql: Backend, saver: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(postgresql.uri) as app, waiting_for_an_hour(app) as reader:
        monkeypatch.setattr(announcements_of(saver), "_send", lambda: None)
        store(saver, 0)
        with pytest.raises(Empty):
            reader.found.get(timeout=1)
        run(postgresql, "SELECT pg_notify(%s, '')", CHANNEL)
        assert reader.next() == ("s", 0)


def test_all_that_comes_is_handed_out_in_order(
    postgresql: Backend, saver: SimpleApplication
) -> None:
    with (
        application(postgresql.uri) as app,
        reading(app.subscribe(shortest_pause=0.001, longest_pause=NEVER)) as reader,
    ):
        for position in range(300):
            store(saver, position)
        assert [reader.next() for _ in range(300)] == [("s", n) for n in range(300)]


def test_a_table_with_a_long_name_has_a_channel_too(postgresql: Backend) -> None:
    name = "events_" + "x" * 50
    with (
        application(postgresql.uri, table_name=name) as saver,
        application(postgresql.uri, table_name=name) as app,
        waiting_for_an_hour(app) as reader,
    ):
        store(saver, 0)
        assert reader.next() == ("s", 0)


def test_channels_fit_and_differ() -> None:
    names = [*("x" * n for n in range(40, 64)), "é" * 30, 'a"; SELECT 1', "50%"]
    channels = {channel_of(name) for name in names}
    assert (len(channels), max(len(each.encode()) for each in channels)) == (len(names), 63)
    assert not [each for each in channels if '"' in each or "%" in each]


# -- the listener's connection


def test_a_listener_that_is_cut_off_listens_again(
    postgresql: Backend, saver: SimpleApplication
) -> None:
    with application(postgresql.uri) as app, waiting_for_an_hour(app) as reader:
        ((killed,),) = run(postgresql, f"SELECT pid {LISTENERS}")
        run(postgresql, "SELECT pg_terminate_backend(%s)", killed)
        eventually(lambda: run(postgresql, f"SELECT pid {LISTENERS}") not in ([], [(killed,)]))
        store(saver, 0)
        assert reader.next() == ("s", 0)


def test_what_was_saved_while_nobody_listened_is_read_then(
    postgresql: Backend, saver: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements_of(saver), "_send", lambda: None)
    with application(postgresql.uri) as app, waiting_for_an_hour(app) as reader:
        store(saver, 0)
        run(postgresql, f"SELECT pg_terminate_backend(pid) {LISTENERS}")
        assert reader.next() == ("s", 0)


def test_it_outlives_a_restart_of_the_database(private_postgresql: Backend) -> None:
    assert private_postgresql.server is not None
    with application(private_postgresql.uri) as app, reading(app.subscribe()) as reader:
        eventually(lambda: is_listening(reader.subscription))
        private_postgresql.server.kill()
        eventually(lambda: not is_listening(reader.subscription))
        private_postgresql.server.start()
        store(app, 0)
        assert reader.next() == ("s", 0)
        eventually(lambda: is_listening(reader.subscription))


def test_it_looks_where_it_cannot_listen(
    postgresql: Backend, saver: SimpleApplication, caplog: pytest.LogCaptureFixture
) -> None:
    with application(postgresql.uri) as app:
        announcements_of(app)._channel = ""  # which PostgreSQL refuses
        with reading(app.subscribe()) as reader:
            store(saver, 0)
            assert reader.next() == ("s", 0)
            assert not is_listening(reader.subscription)
    assert "heard of by looking alone" in caplog.text


def test_no_listener_is_left_over(postgresql: Backend) -> None:
    with application(postgresql.uri) as app, waiting_for_an_hour(app):
        pass
    eventually(lambda: run(postgresql, f"SELECT pid {LISTENERS}") == [])


# -- the saver


def test_a_save_is_committed_and_acknowledged_before_it_is_told(
    postgresql: Backend,
    saver: SimpleApplication,
    overhearing: Overhearing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with held_up(saver, monkeypatch):
        store(saver, 0)
        assert (stored(postgresql), overhearing.heard()) == (1, 0)
    saver.close()
    assert overhearing.heard() == 1


def test_many_saves_are_told_as_one(
    saver: SimpleApplication, overhearing: Overhearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_up(saver, monkeypatch):
        store(saver, *range(50))
    saver.close()
    assert overhearing.heard() in (1, 2)


def test_a_save_that_is_rolled_back_is_not_told(
    postgresql: Backend, saver: SimpleApplication, overhearing: Overhearing
) -> None:
    with SimpleApplication(postgresql.uri) as rival:
        store(rival, 0, stream="t")
    with pytest.raises(ConcurrencyError):
        saver.event_store.store([happened("s", 0), happened("t", 0)])
    saver.close()
    assert overhearing.heard() == 0


def test_the_last_save_is_told_when_the_application_is_closed(
    postgresql: Backend, overhearing: Overhearing
) -> None:
    for position in range(5):
        with application(postgresql.uri) as app:
            store(app, position)
        assert overhearing.heard() == 1


def test_what_cannot_be_told_is_stored_and_logged(
    postgresql: Backend, saver: SimpleApplication, caplog: pytest.LogCaptureFixture
) -> None:
    announcements = announcements_of(saver)
    announcements._channel = "x" * 100  # which PostgreSQL refuses
    with caplog.at_level(logging.WARNING):
        store(saver, 0)
        eventually(lambda: announcements._has_failed)
    announcements._channel = CHANNEL
    store(saver, 1)
    eventually(lambda: not announcements._has_failed)
    assert stored(postgresql) == 2
    assert "saves are not told to other processes" in caplog.text


def test_nobody_is_told_where_it_was_not_asked_for(
    postgresql: Backend, overhearing: Overhearing
) -> None:
    with SimpleApplication(postgresql.uri) as app:
        store(app, 0)
        assert app.event_store.record_manager.announcements is None
    assert overhearing.heard() == 0


@pytest.mark.parametrize(
    "uri", ["sqlite://", "mysql://host/a", "mariadb://host/a", "postgresql+psycopg2://host/a"]
)
def test_other_databases_refuse(uri: str) -> None:
    with pytest.raises(ProgrammingError, match="notify"):
        SQLAlchemySettings(uri, notify=True)


def test_a_child_of_a_fork_tells_of_its_saves_and_its_parent_goes_on(
    saver: SimpleApplication, overhearing: Overhearing
) -> None:
    def save_and_end() -> None:
        store(saver, 0)
        saver.close()

    assert succeeded(fork(save_and_end))
    assert overhearing.heard() == 1
    store(saver, 1)
    saver.close()
    assert overhearing.heard() == 1


def test_the_thread_ends_with_the_application(postgresql: Backend) -> None:
    with application(postgresql.uri) as app:
        thread = announcements_of(app)._thread
        assert thread.is_alive()
    assert not thread.is_alive()


def test_an_application_that_cannot_be_made_leaves_no_thread(postgresql: Backend) -> None:
    before = threading.active_count()
    run(postgresql, "CREATE TABLE stored_events (id int)")
    with pytest.raises(ProgrammingError):
        application(postgresql.uri)
    assert threading.active_count() == before


def test_nor_does_a_record_manager_for_a_table_that_counts_no_rows(postgresql: Backend) -> None:
    before = threading.active_count()
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(postgresql.uri, notify=True))
    with closing(datastore), pytest.raises(ProgrammingError, match="no column that counts rows"):
        GaplessRecordManager(datastore, unnumbered_table(), SequencedItem)
    assert threading.active_count() == before
