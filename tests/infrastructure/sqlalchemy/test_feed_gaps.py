"""The feed, while several transactions are open."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.notificationlog import NotificationLog
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.infrastructure.sqlalchemy.helpers import application, eventually, run
from tests.infrastructure.sqlalchemy.interleavings import (
    INTERLEAVINGS,
    Follower,
    Interleaving,
    Writers,
    a_late_commit,
    a_rollback,
    feed_of,
    writers_on,
)


@pytest.fixture
def writers(server_backend: Backend) -> Iterator[Writers]:
    with writers_on(server_backend) as writers:
        yield writers


@pytest.fixture
def app(server_backend: Backend, writers: Writers) -> Iterator[SimpleApplication]:
    with application(server_backend) as app:
        yield app


each_interleaving = pytest.mark.parametrize("interleaving", INTERLEAVINGS)


@each_interleaving
def test_a_follower_reads_each_event_once_in_the_order_of_the_feed(
    server_backend: Backend, writers: Writers, app: SimpleApplication, interleaving: Interleaving
) -> None:
    follower = Follower(app.notification_log)
    for _ in interleaving(writers):
        follower.read()
    assert follower.found == feed_of(server_backend)


@each_interleaving
def test_so_does_one_that_learns_all_anew_each_time(
    server_backend: Backend, writers: Writers, app: SimpleApplication, interleaving: Interleaving
) -> None:
    follower = Follower(app.notification_log)
    for _ in interleaving(writers):
        follower.log = NotificationLog(app.event_store)
        while follower.read(1):
            pass
    assert follower.found == feed_of(server_backend)


@each_interleaving
def test_what_is_selected_or_read_backwards_is_of_the_same_events(
    writers: Writers, app: SimpleApplication, interleaving: Interleaving
) -> None:
    log = app.notification_log
    for _ in interleaving(writers):
        forwards = [n.position for n in log.select()]
        assert [n.position for n in log.select(event_types=type(happened("", 0)))] == forwards
        assert [n.position for n in log.select(is_ascending=False)] == forwards[::-1]


@each_interleaving
def test_nothing_is_ever_read_above_the_mark(
    writers: Writers, app: SimpleApplication, interleaving: Interleaving
) -> None:
    log = app.notification_log
    for _ in interleaving(writers):
        mark = log.high_water_mark()
        positions = [n.position for n in log.select()]
        assert max(positions, default=0) <= mark.position
        assert bool(mark.holders) == (len(positions) < _visible(app))


def _visible(app: SimpleApplication) -> int:
    manager = app.event_store.record_manager
    sql = "SELECT count(*) FROM stored_events WHERE topic <> ''"
    ((count,),) = manager.datastore.fetch(sql, ())  # type: ignore[attr-defined]
    return int(count)


def test_who_holds_the_feed_back_is_named(
    server_backend: Backend, writers: Writers, app: SimpleApplication
) -> None:
    steps = a_late_commit(writers)
    next(steps)
    mark = app.notification_log.high_water_mark()
    assert mark.position == 0
    function = "pg_backend_pid" if server_backend.name == "postgresql" else "connection_id"
    late = writers._writers[0].connection
    ((pid,),) = late.exec_driver_sql(f"SELECT {function}()").fetchall()
    assert [holder.pid for holder in mark.holders] == [pid]
    assert mark.holders[0].age is not None
    assert 0 <= mark.holders[0].age < 60
    list(steps)
    assert app.notification_log.high_water_mark() == (2, ())


def test_a_gap_is_passed_once_who_left_it_is_gone(
    server_backend: Backend, writers: Writers, app: SimpleApplication
) -> None:
    steps = a_rollback(writers)
    next(steps)
    follower = Follower(app.notification_log)
    assert follower.read() == 0
    list(steps)
    assert follower.read() == 2


def test_a_killed_connection_holds_nothing(
    server_backend: Backend, writers: Writers, app: SimpleApplication
) -> None:
    next(a_late_commit(writers))
    follower = Follower(app.notification_log)
    assert follower.read() == 0
    (holder,) = follower.log.high_water_mark().holders
    kill = "SELECT pg_terminate_backend(%s)" if server_backend.name == "postgresql" else "KILL %s"
    run(server_backend, kill, holder.pid)
    writers._writers[0].connection.invalidate()
    eventually(lambda: follower.read() == 1)


def test_a_number_beyond_a_jump_is_reached_at_once(
    server_backend: Backend, writers: Writers, app: SimpleApplication
) -> None:
    """As after a restore, a change of the counter, or the removal of what is old."""
    app.event_store.store(happened("s", 0))
    _jump(server_backend, 5_000_000)
    app.event_store.store(happened("s", 1))
    positions = [n.position for n in app.notification_log.select()]
    assert positions == [1, 5_000_000]
    with closing(server_backend.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stored_events")
        assert cursor.fetchone() == (2,)


def test_a_jump_is_passed_while_somebody_is_writing(
    server_backend: Backend, writers: Writers, app: SimpleApplication
) -> None:
    app.event_store.store(happened("s", 0))
    _jump(server_backend, 25_000)
    app.event_store.store(happened("s", 1))
    late = writers.writer()
    late.stores(("late", 0))
    follower = Follower(app.notification_log)
    if server_backend.name == "postgresql":
        assert follower.read() == 1  # where it has to wait until that is over
        late.rolls_back()
        assert follower.read() == 1
    else:
        assert follower.read() == 2
    assert follower.found == [("s", 0), ("s", 1)]


def _jump(backend: Backend, number: int) -> None:
    if backend.name == "postgresql":
        run(backend, "SELECT setval('stored_events_id_seq', %s, false)", number)
    else:
        run(backend, f"ALTER TABLE stored_events AUTO_INCREMENT = {number}")
