"""The feed's next page is fetched while the reader handles the one before."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from itertools import islice
from typing import Any
from weakref import WeakSet

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import DatabaseUnavailable, TableNotFound
from eventsourcing.infrastructure.sqlalchemy import feed
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.readahead import fetch_ahead
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    application,
    checked_out,
    engine_of,
    eventually,
    run,
)
from tests.infrastructure.sqlalchemy.test_forks import fork, succeeded

FIRST, LATER, COUNT = (
    2,
    5,
    20,
)  # of 20 events two are on the first page, and then there are 5, 5, 5, 3
HERE, AHEAD = "here", "ahead"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "FIRST_PAGE", FIRST)
    monkeypatch.setattr(feed, "LARGEST_PAGE", LATER)
    monkeypatch.setattr(feed, "LARGEST_PAGE_AHEAD", LATER)


@pytest.fixture
def app(postgresql: Backend) -> Iterator[SimpleApplication]:
    with application(postgresql) as app:
        app.event_store.store([happened("s", n) for n in range(COUNT)])
        yield app


class Page(list[Any]):
    """Rows, of which can be told whether anybody holds them."""

    __hash__ = object.__hash__  # type: ignore[assignment]


class Watched:
    """Tells of each page that is fetched who does it, and how many are held then."""

    def __init__(self, app: SimpleApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        assert isinstance(app.event_store.record_manager, SQLAlchemyRecordManager)
        datastore: SQLAlchemyDatastore = app.event_store.record_manager.datastore
        self._fetch = datastore.fetch
        self._pages = WeakSet[Page]()
        self.by: list[str] = []
        self.held: list[int] = []
        self.sizes: list[int] = []
        monkeypatch.setattr(datastore, "fetch", self.fetch)

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        if "LIMIT" not in sql:
            return self._fetch(sql, parameters)
        is_here = threading.current_thread() is threading.main_thread()
        self.by.append(HERE if is_here else AHEAD)
        self.held.append(len(self._pages))
        page = Page(self._fetch(sql, parameters))
        self._pages.add(page)
        self.sizes.append(len(page))
        return page


def versions(app: SimpleApplication) -> Iterator[int]:
    return (each.originator_version for each in app.notification_log.select())


def test_pages_behind_the_second_are_fetched_ahead(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(app, monkeypatch)
    assert list(versions(app)) == [*range(COUNT)]
    assert watched.by == [HERE, HERE, AHEAD, AHEAD, AHEAD]
    assert watched.sizes == [FIRST, LATER, LATER, LATER, 3]


def test_backwards_too_and_no_more_than_the_limit(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(app, monkeypatch)
    read = app.notification_log.select(limit=9, is_ascending=False)
    assert [each.originator_version for each in read] == [*range(COUNT - 1, COUNT - 10, -1)]
    assert watched.sizes == [FIRST, LATER, 2]
    assert watched.by == [HERE, HERE, AHEAD]


def test_one_page_is_held_while_the_next_is_fetched(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(app, monkeypatch)
    assert sum(1 for _ in versions(app)) == COUNT
    assert watched.held == [0, 0, 1, 1, 1]


def test_the_next_page_is_there_before_it_is_asked_for(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(app, monkeypatch)
    read = versions(app)
    assert list(islice(read, FIRST + 1)) == [0, 1, 2]
    eventually(lambda: len(watched.sizes) == 3)
    run_on = list(read)
    assert run_on == [*range(FIRST + 1, COUNT)]


def test_what_is_fetched_for_nobody_keeps_no_connection(app: SimpleApplication) -> None:
    for _ in range(40):  # which is more than the pool has
        list(islice(versions(app), FIRST + 1))
    eventually(lambda: checked_out(app) == 0)
    assert list(versions(app)) == [*range(COUNT)]


def test_an_error_of_the_thread_is_raised_to_the_reader(
    app: SimpleApplication, postgresql: Backend
) -> None:
    read = versions(app)
    list(islice(read, FIRST + LATER))  # the third page has been begun, and not the fourth
    eventually(lambda: checked_out(app) == 0)
    run(postgresql, "DROP TABLE stored_events")
    with pytest.raises(TableNotFound):
        list(read)


def test_what_went_wrong_while_a_page_was_handled_is_no_error(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's own attempt tells: the server may have been started again meanwhile."""
    watched = Watched(app, monkeypatch)
    failed: list[str] = []

    def fails_ahead(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        if threading.current_thread() is not threading.main_thread():
            failed.append(sql)
            raise DatabaseUnavailable("the server is starting")
        return watched.fetch(sql, parameters)

    datastore = app.event_store.record_manager.datastore  # type: ignore[attr-defined]
    monkeypatch.setattr(datastore, "fetch", fails_ahead)
    assert list(versions(app)) == [*range(COUNT)]
    assert len(failed) == 3


def test_a_server_that_was_started_again_meanwhile_is_read_on(private_postgresql: Backend) -> None:
    assert private_postgresql.server is not None
    with application(private_postgresql) as app:
        app.event_store.store([happened("s", n) for n in range(COUNT)])
        read = versions(app)
        first = list(islice(read, FIRST))
        private_postgresql.server.kill()
        private_postgresql.server.start()
        first += islice(read, 1)  # now the third page is read ahead
        private_postgresql.server.kill()
        private_postgresql.server.start()
        assert first + list(read) == [*range(COUNT)]


def test_without_threads_it_is_read_all_the_same(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(app, monkeypatch)

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert list(versions(app)) == [*range(COUNT)]
    assert watched.by == [HERE] * 5


def test_a_child_of_a_fork_reads_on(app: SimpleApplication) -> None:
    read = versions(app)
    list(islice(read, FIRST + 1))

    def read_on() -> None:
        assert list(read) == [*range(FIRST + 1, COUNT)]

    child = fork(read_on)
    assert list(read) == [*range(FIRST + 1, COUNT)]
    assert succeeded(child)


def test_somebody_elses_engine_is_asked_by_the_reader_alone(
    app: SimpleApplication, postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listeners may do to a connection what is right for the thread that asks for it."""
    with engine_of(postgresql) as engine, SimpleApplication(engine=engine) as theirs:
        watched = Watched(theirs, monkeypatch)
        assert list(versions(theirs)) == [*range(COUNT)]
    assert watched.by == [HERE] * 5


def test_nothing_is_fetched_ahead_of_what_is_safe(
    app: SimpleApplication, postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored while it is read is not part of it, wherever the pages end."""
    watched = Watched(app, monkeypatch)
    read = versions(app)
    list(islice(read, FIRST + LATER))
    with application(postgresql) as other:
        other.event_store.store([happened("t", n) for n in range(COUNT)])
    assert list(read) == [*range(FIRST + LATER, COUNT)]
    assert watched.sizes == [FIRST, LATER, LATER, LATER, 3]


def test_it_is_fetched_in_the_readers_context() -> None:
    request = ContextVar[str]("request")
    request.set("mine")

    def fetch() -> Sequence[str]:
        assert threading.current_thread() is not threading.main_thread()
        return [request.get()]

    assert fetch_ahead(fetch)() == ["mine"]


def test_no_exit_waits_for_it() -> None:
    """And it says nothing on the way out."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EXITS)],
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_WAIT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


EXITS = """
    import threading, time
    from eventsourcing.infrastructure.sqlalchemy.readahead import fetch_ahead

    wait = fetch_ahead(lambda: time.sleep(3600))
    print(threading.active_count())
"""
