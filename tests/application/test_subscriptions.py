"""Subscriptions, on every backend."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from queue import Queue
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.subscription import Subscription
from eventsourcing.exceptions import (
    ApplicationClosedError,
    DatabaseUnavailable,
    ProgrammingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.memory import MemoryRecordManager
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.contracts.model import Account, Happened, Noted
from tests.infrastructure.sqlalchemy.helpers import engine_of, eventually, run
from tests.infrastructure.sqlalchemy.interleavings import (
    INTERLEAVINGS,
    Interleaving,
    a_late_commit,
    feed_of,
    writers_on,
)
from tests.projections.processes import PROCESSES

PATIENCE = 30.0
NEVER = 3600.0  # seconds, for a subscription that relies on being told


def application_on(backend: Backend) -> SimpleApplication:
    if backend.uri is None:
        return SimpleApplication(record_manager=MemoryRecordManager())
    return SimpleApplication(backend.uri)


@pytest.fixture
def app(backend: Backend) -> Iterator[SimpleApplication]:
    with application_on(backend) as app:
        yield app


@pytest.fixture(params=["postgresql", "mariadb"])
def server_backend(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def store(app: SimpleApplication, *positions: int, stream: Any = "s") -> None:
    for position in positions:
        app.event_store.store(happened(stream, position))


def taken(subscription: Subscription, count: int) -> list[int]:
    """Return the positions of so many notifications."""
    return [each.position for each in islice(subscription, count)]


class Reading:
    """A thread that iterates over a subscription."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.found: Queue[Any] = Queue()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            for each in self.subscription:
                self.found.put((str(each.originator_id), each.originator_version))
        except BaseException as error:
            self.error = error

    def next(self) -> Any:
        return self.found.get(timeout=PATIENCE)

    def ends(self) -> bool:
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()


@contextmanager
def reading(subscription: Subscription) -> Iterator[Reading]:
    with subscription:
        reading = Reading(subscription)
        reading.thread.start()
        try:
            yield reading
        finally:
            subscription.stop()
            assert reading.ends()


def waits(subscription: Subscription) -> bool:
    """Whether it has come to the end of the feed, and only news or time will go on."""
    return subscription._batch is None and subscription._following._idle > 1


# -- what is handed out


def test_what_is_stored_is_handed_out_from_the_start(app: SimpleApplication) -> None:
    store(app, 0, 1, 2)
    with app.subscribe() as subscription:
        assert taken(subscription, 3) == [1, 2, 3]
    with app.subscribe(start=2) as subscription:
        assert taken(subscription, 2) == [2, 3]


def test_it_goes_on_with_what_is_saved_here_and_is_told_of_it(app: SimpleApplication) -> None:
    with reading(app.subscribe(longest_pause=NEVER, shortest_pause=1)) as reader:
        for position in range(3):
            eventually(lambda: waits(reader.subscription))
            store(app, position)
            assert reader.next() == ("s", position)


def test_all_subscriptions_are_told(app: SimpleApplication) -> None:
    with (
        reading(app.subscribe(longest_pause=NEVER)) as one,
        reading(app.subscribe(longest_pause=NEVER)) as other,
    ):
        store(app, 0)
        assert one.next() == other.next() == ("s", 0)


def test_a_save_of_an_aggregate_is_told_too(app: SimpleApplication) -> None:
    with reading(app.subscribe(longest_pause=NEVER)) as reader:
        account = Account.create(owner="Ann")
        account.save()
        assert reader.next() == (str(account.id), 0)


def test_it_is_chosen_as_in_select(app: SimpleApplication) -> None:
    app.event_store.store([happened("s", 0), Noted(originator_id="s", originator_version=1)])
    store(app, 0, stream="t")
    for options, expected in (
        ({"event_types": Happened}, [1, 3]),
        ({"event_types": (Noted,)}, [2]),
        ({"originator_id": "s"}, [1, 2]),
    ):
        with app.subscribe(**options) as subscription:
            assert taken(subscription, len(expected)) == expected


def test_what_was_not_asked_for_is_not_read_again(app: SimpleApplication) -> None:
    store(app, 0, 1, 2)
    with reading(app.subscribe(event_types=Noted)) as reader:
        eventually(lambda: reader.subscription.position == 3)


def test_a_position_is_enough_to_resume(app: SimpleApplication) -> None:
    store(app, 0, 1, 2, 3)
    found: list[int] = []
    for _ in range(4):
        with app.subscribe(start=found[-1] + 1 if found else 1) as subscription:
            found += taken(subscription, 1)
            assert subscription.position == found[-1]
    assert found == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "options",
    [
        *({"start": 0}, {"start": "1"}, {"start": True}, {"event_types": int}),
        *({"shortest_pause": 0}, {"longest_pause": 0.001}, {"longest_pause": float("inf")}),
        {"shortest_pause": "1"},
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_used_is_refused(sqlite_file: Backend, options: Any) -> None:
    with application_on(sqlite_file) as app, pytest.raises(ProgrammingError):
        app.subscribe(**options)


# -- the end


def test_another_thread_may_stop_it_while_it_waits(app: SimpleApplication) -> None:
    with reading(app.subscribe(longest_pause=NEVER, shortest_pause=1)) as reader:
        eventually(lambda: waits(reader.subscription))
        reader.subscription.stop()
        assert reader.ends()
    assert reader.error is None


def test_one_that_was_stopped_hands_nothing_out(app: SimpleApplication) -> None:
    store(app, 0, 1)
    subscription = app.subscribe()
    assert taken(subscription, 1) == [1]
    subscription.stop()
    assert list(subscription) == list(subscription) == []


def test_it_ends_with_the_application(backend: Backend) -> None:
    with application_on(backend) as app:
        with reading(app.subscribe(longest_pause=NEVER, shortest_pause=1)) as reader:
            eventually(lambda: waits(reader.subscription))
            app.close()
            assert reader.ends()
        assert reader.error is None


def test_a_closed_application_takes_no_subscription(app: SimpleApplication) -> None:
    app.close()
    with pytest.raises(ApplicationClosedError):
        app.subscribe()


def test_nobody_is_told_of_saves_once_all_are_closed(app: SimpleApplication) -> None:
    with app.subscribe() as one, app.subscribe():
        assert len(app.event_store._listeners) == 2
        one.close()
        assert len(app.event_store._listeners) == 1
    assert app.event_store._listeners == ()
    one.close()
    store(app, 0)


def test_a_signal_handler_may_save_and_stop(sqlite_file: Backend) -> None:
    with application_on(sqlite_file) as app:
        subscription = app.subscribe(longest_pause=NEVER)

        def handle(number: int, frame: Any) -> None:
            store(app, 0)
            subscription.stop()

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            timer = threading.Timer(
                0.1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)
            )
            timer.start()
            assert list(subscription) == []
            timer.join()
        finally:
            signal.signal(signal.SIGUSR1, before)


# -- what is not safe yet


def follow(app: SimpleApplication, writers: Any, interleaving: Interleaving) -> list[Any]:
    """Return what a subscription hands out, stepping through an interleaving."""
    subscription = app.subscribe(shortest_pause=0.001, longest_pause=0.002)
    with reading(subscription) as reader:
        for _ in interleaving(writers):
            rounds = _rounds(subscription)
            seen = next(rounds)
            eventually(lambda rounds=rounds, seen=seen: next(rounds) > seen + 2)  # type: ignore[misc]
        end = app.notification_log.safe_position()
        eventually(lambda: subscription.position >= end)
    return list(reader.found.queue)


def _rounds(subscription: Subscription) -> Iterator[int]:
    """Yield how often the feed was read to its end."""
    following, count = subscription._following, 0
    read_to = type(following).read_to

    def counted(safe: int) -> Any:
        nonlocal count
        count += 1
        return read_to(following, safe)

    following.read_to = counted  # type: ignore[method-assign]
    while True:
        yield count


@pytest.mark.parametrize("interleaving", INTERLEAVINGS)
def test_each_event_is_handed_out_once_in_the_order_of_the_feed(
    server_backend: Backend, interleaving: Interleaving
) -> None:
    with writers_on(server_backend) as writers, application_on(server_backend) as app:
        assert follow(app, writers, interleaving) == feed_of(server_backend)


def test_control_one_that_reads_beyond_the_mark_loses_an_event(
    server_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writers_on(server_backend) as writers, application_on(server_backend) as app:
        monkeypatch.setattr(
            app.notification_log._feed._gaps,  # type: ignore[attr-defined]
            "settle",
            lambda first, last, seen: seen,
        )
        found = follow(app, writers, a_late_commit)
        assert found == [("quick", 0)]
        assert feed_of(server_backend) == [("late", 0), ("quick", 0)]


def test_a_save_in_a_transaction_of_the_callers_is_told_once_it_is_committed(
    sql_backend: Backend,
) -> None:
    application_on(sql_backend).close()
    with (
        engine_of(sql_backend) as engine,
        engine.connect() as connection,
        SimpleApplication(session=connection, setup_table=False) as app,
        reading(app.subscribe(longest_pause=NEVER)) as reader,
    ):
        store(app, 0)
        assert reader.found.empty()
        connection.commit()
        assert reader.next() == ("s", 0)


# -- other processes, and the database's absence


def save_elsewhere(uri: str) -> None:
    with SimpleApplication(uri, setup_table=False) as app:
        store(app, 0, 1, 2)


def test_what_another_process_saves_is_handed_out(sql_backend: Backend) -> None:
    with application_on(sql_backend) as app, reading(app.subscribe()) as reader:
        process = PROCESSES.Process(target=save_elsewhere, args=(sql_backend.uri,))
        process.start()
        assert [reader.next() for _ in range(3)] == [("s", 0), ("s", 1), ("s", 2)]
        process.join()


@pytest.fixture(params=["private_postgresql", "private_mariadb"])
def private_server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_it_outlives_a_restart_of_the_database(private_server: Backend) -> None:
    assert private_server.server is not None
    with application_on(private_server) as app:
        store(app, 0)
        with reading(app.subscribe()) as reader:
            assert reader.next() == ("s", 0)
            private_server.server.kill()
            eventually(lambda: isinstance(reader.subscription.error, DatabaseUnavailable))
            private_server.server.start()
            store(app, 1)
            assert reader.next() == ("s", 1)
            eventually(lambda: reader.subscription.error is None)


def test_an_event_that_cannot_be_read_is_not_passed_over(sqlite_file: Backend) -> None:
    with application_on(sqlite_file) as app:
        store(app, 0, 1, 2)
        run(sqlite_file, "UPDATE stored_events SET topic = 'nowhere#Event' WHERE id = 2")
        with app.subscribe() as subscription:
            assert taken(subscription, 1) == [1]
            for _ in range(2):
                with pytest.raises(TopicResolutionError) as caught:
                    next(subscription)
                assert caught.value.position == 2
        with app.subscribe(start=(caught.value.position or 0) + 1) as subscription:
            assert taken(subscription, 1) == [3]
