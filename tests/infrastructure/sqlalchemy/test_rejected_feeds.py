"""The controls of the feed: ways to read it that were rejected fail where the library does not."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from eventsourcing.exceptions import LockTimeout
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import application, saved_note
from tests.infrastructure.sqlalchemy.interleavings import (
    INTERLEAVINGS,
    Event,
    Interleaving,
    Writers,
    a_late_commit,
    a_prepared_transaction,
    a_rollback,
    a_savepoint,
    a_stream_across_transactions,
    an_id_taken_first_and_a_number_last,
    feed_of,
    three_writers,
    writers_on,
)
from tests.infrastructure.sqlalchemy.rejected import (
    REJECTED,
    BoundedReader,
    ByTransaction,
    CompletedBound,
    NaiveTail,
    XminFiltered,
)

Reader = Callable[[Backend], NaiveTail]


@pytest.fixture
def writers(server_backend: Backend) -> Iterator[Writers]:
    with writers_on(server_backend) as writers:
        yield writers


def read(backend: Backend, reader: Reader, interleaving: Iterator[None]) -> list[Event]:
    """Return what a reader makes of it."""
    with closing(reader(backend)) as following:
        for _ in interleaving:
            following.read()
        following.read()
    return [(stream, position) for _, stream, position in following.found]


@pytest.mark.parametrize(
    "interleaving",
    [a_late_commit, three_writers, a_rollback, a_savepoint, a_prepared_transaction],
)
@pytest.mark.parametrize("number", range(2))
def test_a_reader_that_does_not_wait_to_the_end_skips_what_is_late(
    server_backend: Backend, writers: Writers, interleaving: Interleaving, number: int
) -> None:
    reader = REJECTED[server_backend.name][number]
    found = read(server_backend, reader, interleaving(writers))
    assert set(found) < set(feed_of(server_backend))


@pytest.mark.parametrize("server_backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("reader", [CompletedBound, XminFiltered])
def test_a_number_that_was_taken_after_an_older_id_is_skipped(
    server_backend: Backend, writers: Writers, reader: Reader
) -> None:
    found = read(server_backend, reader, an_id_taken_first_and_a_number_last(writers))
    assert feed_of(server_backend) == [("late", 0), ("early", 0)]
    assert found == [("early", 0)]


@pytest.mark.parametrize("server_backend", ["postgresql"], indirect=True)
def test_the_order_of_transactions_is_not_that_of_a_stream(
    server_backend: Backend, writers: Writers
) -> None:
    found = read(server_backend, ByTransaction, a_stream_across_transactions(writers))
    assert feed_of(server_backend) == [("s", 0), ("s", 1)]
    assert found == [("s", 1), ("s", 0)]


@pytest.mark.parametrize("server_backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("interleaving", INTERLEAVINGS)
def test_an_id_of_the_readers_own_is_the_right_bound(
    server_backend: Backend, writers: Writers, interleaving: Interleaving
) -> None:
    found = read(server_backend, BoundedReader, interleaving(writers))
    assert found == feed_of(server_backend)


@pytest.mark.parametrize("server_backend", ["postgresql"], indirect=True)
def test_a_locked_table_makes_writers_wait_for_each_other(
    server_backend: Backend, writers: Writers
) -> None:
    first = writers.writer()
    first.connection.execute(text("LOCK TABLE stored_events IN EXCLUSIVE MODE"))
    first.stores(("first", 0))
    with application(server_backend, lock_timeout=0.1) as app, pytest.raises(LockTimeout):
        saved_note(app)


def test_without_that_they_do_not(server_backend: Backend, writers: Writers) -> None:
    first = writers.writer()
    first.stores(("first", 0))
    with application(server_backend, lock_timeout=0.1) as app:
        assert saved_note(app).id in app.repository
