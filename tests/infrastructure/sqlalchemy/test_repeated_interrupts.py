"""Interrupts that follow each other: what is done about the first is interrupted by the others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import _GeneratorContextManager, contextmanager, suppress
from functools import wraps
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Pool
from sqlalchemy.pool import QueuePool

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import LockTimeout
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy import connections, recovery
from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate
from eventsourcing.infrastructure.sqlalchemy.pools import SteadyPool
from eventsourcing.infrastructure.sqlalchemy.recovery import Recovery
from eventsourcing.infrastructure.sqlalchemy.statements import Write
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    application,
    checked_out,
    engine_of,
    eventually,
    saved_note,
    stored,
)

Use = Callable[[OwnEngine, "Interrupts", str], None]


class Interrupt(Exception):
    """What a job's time limit raises, anywhere."""


class Interrupts:
    """Interrupts the thread that made it, and no other: once in its work, and then at each of
    some calls from the one with a certain number on.

    Attributes:
        calls: how many of these calls there were since the first interrupt.
    """

    def __init__(self, first: int) -> None:
        self.calls = 0
        self._first = first
        self._thread = threading.get_ident()
        self._are_on = False

    def begin(self) -> None:
        """Interrupt for the first time."""
        self._are_on = True
        raise Interrupt

    def end(self) -> None:
        """Leave the thread alone."""
        self._are_on = False

    def at(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that may be interrupted when it is called."""

        @wraps(function)
        def interrupted(*args: Any, **options: Any) -> Any:
            if self._are_on and threading.get_ident() == self._thread:
                self.calls += 1
                if self.calls >= self._first:
                    raise Interrupt
            return function(*args, **options)

        return interrupted


class Driven:
    """A driver's connection or cursor, each call of which may be interrupted."""

    def __init__(self, driven: Any, interrupts: Interrupts) -> None:
        self._driven = driven
        self._interrupts = interrupts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driven, name)
        return self._interrupts.at(found) if callable(found) else found

    def cursor(self) -> Any:
        return Driven(self._driven.cursor(), self._interrupts)


POINTS: dict[Any, tuple[str, ...]] = {
    Translator: ("is_breaking", "is_foreign", "class_of"),
    Recovery: ("recover", "_undo", "_discard", "_look_after", "give_up", "wait"),
    Connection: ("exec_driver_sql", "invalidate", "close"),
    Engine: ("dispose",),
    QueuePool: ("dispose", "_do_return_conn"),
    Pool: ("_close_connection",),
    connections: ("_close_all",),
    recovery: ("sleep",),
}


@contextmanager
def interrupted(first: int) -> Iterator[Interrupts]:
    """Have the thread interrupted at the calls of the library, SQLAlchemy and the driver."""
    interrupts = Interrupts(first)
    with pytest.MonkeyPatch.context() as patch:
        for owner, names in POINTS.items():
            for name in names:
                patch.setattr(owner, name, interrupts.at(getattr(owner, name)))
        yield interrupts
        interrupts.end()


def insert(stream: str) -> str:
    return (
        "INSERT INTO stored_events"
        " (originator_id, originator_version, topic, state, event_id)"
        f" VALUES ('{stream}', 0, 't', '{{}}', '{stream:0>32}')"
    )


def on_a_cursor(own: OwnEngine, interrupts: Interrupts, stream: str, is_kept: bool = False) -> None:
    def work(cursor: Any) -> None:
        cursor.execute(own._driver.begin)
        cursor.execute(insert(stream))
        interrupts.begin()

    def take() -> tuple[Any, Any, Any]:
        pool, lent, kept = taken()
        return pool, lent, None if kept is None else Driven(kept, interrupts)

    dbapi, taken = own._dbapi, own._take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "_dbapi", lambda lent: Driven(dbapi(lent), interrupts))
        patch.setattr(own, "_take", take)
        own._use(work, is_kept)


def on_a_kept_cursor(own: OwnEngine, interrupts: Interrupts, stream: str) -> None:
    on_a_cursor(own, interrupts, stream, is_kept=True)


def on_a_connection(own: OwnEngine, interrupts: Interrupts, stream: str) -> None:
    with own.ddl() as connection:
        connection.exec_driver_sql(insert(stream))
        interrupts.begin()


def with_more_work(own: OwnEngine, interrupts: Interrupts, stream: str) -> None:
    def work(connection: Connection) -> None:
        interrupts.begin()

    leave = _GeneratorContextManager.__exit__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_GeneratorContextManager, "__exit__", interrupts.at(leave))
        try:
            own.execute_with(Write(insert(stream), ()), work)
        finally:
            interrupts.end()


USES = pytest.mark.parametrize(
    "use", [on_a_cursor, on_a_kept_cursor, on_a_connection, with_more_work]
)


def _interrupt(app: SimpleApplication, use: Use, first: int) -> tuple[BaseException, int]:
    """Have a transaction interrupted that has inserted a row of the stream that is named after the
    number, and what is done about it. Return what was raised, and how many calls there were.
    """
    own = app.event_store.record_manager.datastore._connections  # type: ignore[attr-defined]
    with interrupted(first) as interrupts, pytest.raises(Interrupt) as caught:
        use(own, interrupts, str(first))
    return caught.value, interrupts.calls


def _save_the_same(app: SimpleApplication, first: int) -> None:
    """Take the position that the interrupted transaction has taken."""
    item = StoredEvent(str(first), 0, "t", "{}", f"{first:0>32}")
    app.event_store.record_manager.record([item])


@USES
@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_however_many_interrupts_follow_one_nobody_is_locked_out_and_nothing_is_lost(
    sql_backend: Backend, use: Use, is_given: bool
) -> None:
    errors = []  # whose tracebacks hold on to cursors and connections
    with (
        application(sql_backend) as other,
        engine_of(sql_backend) as engine,
        SimpleApplication(engine=engine) if is_given else application(sql_backend) as app,
    ):
        first = calls = 0
        while calls >= first:
            first += 1
            error, calls = _interrupt(app, use, first)
            errors.append(error)
            _save_the_same(other, first)
            saved_note(app)
            assert stored(sql_backend) == 2 * first
            eventually(lambda: checked_out(app) == 0)
    assert first > 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # is left open
@USES
def test_control_without_a_thread_of_its_own_the_transaction_goes_on(
    sql_backend: Backend, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Recovery.__init__

    def start_nothing(self: Recovery, *args: Any) -> None:
        own(self, *args)
        self.start = lambda finish, left: left[-1].append(True)

    monkeypatch.setattr(Recovery, "__init__", start_nothing)
    with application(sql_backend, lock_timeout=0.1) as other, application(sql_backend) as app:
        error, _ = _interrupt(app, use, 1)
        with pytest.raises(LockTimeout):
            _save_the_same(other, 1)
        del error  # and with its traceback the connection


def test_where_no_thread_can_be_started_the_second_interrupt_does_no_harm(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_none(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(recovery, "start_new_thread", start_none)
    is_breaking = Translator.is_breaking

    def once(self: Translator, error: BaseException) -> bool:
        monkeypatch.setattr(Translator, "is_breaking", is_breaking)
        raise Interrupt

    with application(sql_backend) as other, application(sql_backend) as app:
        monkeypatch.setattr(Translator, "is_breaking", once)
        own = app.event_store.record_manager.datastore._connections  # type: ignore[attr-defined]
        with pytest.raises(Interrupt) as caught:
            on_a_cursor(own, Interrupts(0), "1")
        _save_the_same(other, 1)
        assert checked_out(app) == 0
        assert caught.tb is not None
    assert stored(sql_backend) == 1


def _is_locked(pool: Pool, patch: pytest.MonkeyPatch, seconds: float = SECONDS_TO_WAIT) -> bool:
    """Interrupt a thread that takes a connection, and tell whether another one can take one."""
    enter = threading.Condition.__enter__
    interrupts = Interrupts(0)

    def interrupted(self: threading.Condition) -> bool:
        found = enter(self)
        if threading.get_ident() == interrupts._thread:
            raise Interrupt
        return found

    with patch.context() as within:
        within.setattr(threading.Condition, "__enter__", interrupted)
        with suppress(Interrupt):
            pool.connect().close()
    other = threading.Thread(target=lambda: pool.connect().close(), daemon=True)
    other.start()
    other.join(seconds)
    return other.is_alive()


def test_who_is_interrupted_in_the_pool_does_not_lock_it(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(sqlite_file) as app:
        pool = app.event_store.record_manager.datastore.engine.pool  # type: ignore[attr-defined]
        assert isinstance(pool, SteadyPool)
        pool.connect().close()
        assert not _is_locked(pool, monkeypatch)


def test_control_in_sqlalchemys_pool_others_wait_for_ever(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_of(sqlite_file) as engine:
        pool = engine.pool
        pool.connect().close()
        assert _is_locked(pool, monkeypatch, seconds=0.5)


def test_a_fork_waits_for_what_is_done_aside() -> None:
    gate = ForkGate()
    forking = threading.Thread(target=gate.shut)
    with gate.aside:
        forking.start()
        forking.join(0.1)
        assert forking.is_alive()
    forking.join(SECONDS_TO_WAIT)
    assert not forking.is_alive()
