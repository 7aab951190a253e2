"""Ctrl-C and time limits of jobs: what a signal handler raises lands anywhere."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from types import FrameType
from typing import Any

import pytest
from pymysql.connections import MySQLResult
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    DatabaseUnavailable,
    LockTimeout,
    OutcomeUnknown,
    SequencedItemConflict,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy import sqlite
from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate
from eventsourcing.infrastructure.sqlalchemy.givenengine import GivenEngine
from eventsourcing.infrastructure.sqlalchemy.recovery import Recovery
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from tests.backends import Backend
from tests.contracts.places import SQLAlchemyPlace
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    Note,
    application,
    checked_out,
    engine_of,
    saved_note,
    stored,
)
from tests.servers.address import Address
from tests.servers.proxy import Cut, Proxy, Where

ONE: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0}


class TimeLimit(Exception):
    """As Celery and RQ have it: an exception like any other."""


INTERRUPTS = pytest.mark.parametrize("interrupt", [KeyboardInterrupt, TimeLimit])


# -- anywhere ----------------------------------------------------------------------------


class Interrupted:
    """A cursor that is interrupted at a certain call, before or after it is made."""

    def __init__(
        self, cursor: Any, at: str, is_after: bool, interrupt: type[BaseException]
    ) -> None:
        self._cursor = cursor
        self._at = at
        self._is_after = is_after
        self._interrupt = interrupt

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cursor, name)
        if name != self._at:
            return found

        def call(*args: Any) -> Any:
            if self._is_after:
                found(*args)
            raise self._interrupt

        return call


@INTERRUPTS
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["execute", "executemany", "fetchall", "close"])
@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_an_interrupt_at_any_moment_leaves_no_connection_lent_or_dirty(
    sql_backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    is_after: bool,
    is_given: bool,
    interrupt: type[BaseException],
) -> None:
    def watched(cursor: Any) -> Any:
        return Interrupted(cursor, call, is_after, interrupt)

    class Connection:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def cursor(self) -> Any:
            return watched(self._connection.cursor())

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

    # Of three rows, SQLite is given two by execute and one by executemany, in a transaction.
    monkeypatch.setattr(sqlite, "PARAMETERS", 14)
    kind = GivenEngine if is_given else OwnEngine
    original, take = kind._dbapi, kind._take

    def taken(self: OwnEngine) -> tuple[Any, Any, Any]:
        pool, lent, kept = take(self)
        return pool, lent, None if kept is None else watched(kept)

    with (
        engine_of(sql_backend, **ONE) as engine,
        SimpleApplication(engine=engine) if is_given else application(sql_backend, **ONE) as app,
    ):
        note = saved_note(app)
        for _ in range(3):
            note.edit("edited")
        with monkeypatch.context() as patch:
            patch.setattr(kind, "_dbapi", lambda self, lent: Connection(original(self, lent)))
            patch.setattr(kind, "_take", taken)
            for action in (lambda: app.save(note), lambda: app.repository.get(note.id, Note)):
                with suppress(interrupt):
                    action()

        saved_note(app)
        assert stored(sql_backend) in (2, 5)  # of the other note all three, or none
        app.save(note)
        assert app.repository.get(note.id, Note).version == 4
        assert checked_out(app) == 0
    assert stored(sql_backend) == 5


# -- between a request and its answer ----------------------------------------------------


def _is_refused_after_a_time_limit(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have a save interrupted before it reads its answer, and then one that has to be refused."""
    read = MySQLResult.read

    def interrupted(self: MySQLResult) -> None:
        monkeypatch.setattr(MySQLResult, "read", read)
        raise TimeLimit

    with application(backend, **ONE) as app:
        late = saved_note(app)
        rival = app.repository.get(late.id, Note)
        rival.edit("rival")
        app.save(rival)
        late.edit("late")
        monkeypatch.setattr(MySQLResult, "read", interrupted)
        with pytest.raises(TimeLimit):
            saved_note(app)
        try:
            app.save(late)
        except ConcurrencyError:
            assert app.repository.get(late.id, Note).text == "rival"
            return True
        return False


def test_the_answer_to_an_interrupted_save_is_not_taken_for_the_next_ones(
    mariadb: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _is_refused_after_a_time_limit(mariadb, monkeypatch)


def test_control_a_connection_that_is_kept_acknowledges_what_was_refused(
    mariadb: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Translator, "is_breaking", lambda self, error: False)
    monkeypatch.setattr(Recovery, "_look_after", lambda self, pool, error: None)

    assert not _is_refused_after_a_time_limit(mariadb, monkeypatch)


@pytest.fixture
def alarm(interrupt: type[BaseException]) -> Iterator[None]:
    """Turns SIGALRM into an interrupt."""

    def handler(number: int, frame: object) -> None:
        raise interrupt

    before = signal.signal(signal.SIGALRM, handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@INTERRUPTS
@pytest.mark.usefixtures("alarm")
def test_a_signal_while_the_server_works_is_raised_and_leaves_no_connection_lent(
    server_backend: Backend, interrupt: type[BaseException]
) -> None:
    with application(server_backend, **ONE) as app, closing(server_backend.connect()) as other:
        note = saved_note(app)
        _take_the_next_position(other, note)
        note.edit("second")

        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(interrupt):
            app.save(note)  # waits for the other one

        other.rollback()
        assert checked_out(app) == 0
        _save_when_the_server_has_noticed(app, note)
        assert app.repository.get(note.id, Note).version == 2
    assert stored(server_backend) == 2


@INTERRUPTS
@pytest.mark.usefixtures("alarm")
def test_a_callers_transaction_is_over_after_a_signal_while_the_server_works(
    server_backend: Backend, interrupt: type[BaseException]
) -> None:
    application(server_backend).close()
    with (
        engine_of(server_backend) as engine,
        Session(engine) as session,
        SimpleApplication(session=session) as app,
        closing(server_backend.connect()) as other,
    ):
        note = saved_note(app)
        session.commit()
        _take_the_next_position(other, note)
        note.edit("second")

        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(interrupt):
            app.save(note)  # waits for the other one

        with pytest.raises(SQLAlchemyError):
            session.commit()
        session.rollback()
        other.rollback()
        _save_when_the_server_has_noticed(app, note)
        session.commit()
    assert stored(server_backend) == 2


def _take_the_next_position(other: Any, note: Note) -> None:
    other.cursor().execute(
        "INSERT INTO stored_events"
        " (originator_id, originator_version, topic, state, event_id)"
        f" VALUES ('{note.id}', 1, '', '', '')"
    )


def _save_when_the_server_has_noticed(app: SimpleApplication, note: Note) -> None:
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while note.pending_events:
        try:
            app.save(note)
        except LockTimeout:
            assert time.monotonic() < deadline


# -- while something is rolled back ------------------------------------------------------


def _outcome_where_the_rollback_fails(backend: Backend) -> type[BaseException]:
    """Return what is raised for a conflict, if the connection breaks after the answer."""
    assert backend.uri
    item = StoredEvent("s", 0, "t", "{}", "1" * 32)
    with (
        Proxy(Address.from_uri(backend.uri, default_port=0)) as proxy,
        closing(SQLAlchemyPlace(proxy.uri(backend.uri)).open(**ONE)) as manager,
    ):
        manager.record([item])
        proxy.cut(Cut(b"ROLLBACK", Where.BEFORE_REQUEST))
        with pytest.raises((SequencedItemConflict, OutcomeUnknown)) as caught:
            manager.record([item])
        assert proxy.cuts == 1
        assert list(manager.get_items("s")) == [item]
    return caught.type


def test_an_error_is_raised_also_if_its_rollback_fails(mariadb: Backend) -> None:
    assert _outcome_where_the_rollback_fails(mariadb) is SequencedItemConflict


def test_control_the_error_of_the_rollback_would_hide_it(
    mariadb: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo(self: Recovery, connection: Any, cursor: Any) -> bool:
        connection.rollback()
        return True

    monkeypatch.setattr(Recovery, "_undo", undo)

    assert _outcome_where_the_rollback_fails(mariadb) is OutcomeUnknown


def _interrupt_a_rollback(app: SimpleApplication, monkeypatch: pytest.MonkeyPatch) -> Note:
    """Have a batch refused, and its rollback interrupted. Return the first note of the batch."""
    monkeypatch.setattr(sqlite, "PARAMETERS", 0)  # else a batch of two is one statement
    is_breaking = Translator.is_breaking

    def interrupted(self: Translator, error: BaseException) -> bool:
        monkeypatch.setattr(Translator, "is_breaking", is_breaking)
        raise KeyboardInterrupt

    late = saved_note(app)
    rival = app.repository.get(late.id, Note)
    rival.edit("rival")
    app.save(rival)
    late.edit("late")
    new = Note.create()
    monkeypatch.setattr(Translator, "is_breaking", interrupted)
    with pytest.raises(KeyboardInterrupt):
        app.save(new, late)
    return new


def test_what_is_saved_after_an_interrupted_rollback_is_stored(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(sql_backend, **ONE) as app:
        new = _interrupt_a_rollback(app, monkeypatch)
        saved_note(app)

        assert new.id not in app.repository
        assert stored(sql_backend) == 3


def _is_half_a_batch_in_memory(monkeypatch: pytest.MonkeyPatch) -> bool:
    with SimpleApplication(uri="sqlite://") as app:
        new = _interrupt_a_rollback(app, monkeypatch)
        saved_note(app)
        return new.id in app.repository


def test_in_memory_an_interrupted_rollback_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _is_half_a_batch_in_memory(monkeypatch)


def test_control_otherwise_the_transaction_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SQLiteDriver, "clear", lambda self, connection: None)

    assert _is_half_a_batch_in_memory(monkeypatch)


# -- in the books of the pool, and at the gate -------------------------------------------


def _interrupt_the_pool(app: SimpleApplication, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Have a save interrupted when the pool has just lent the only connection."""
    engine: Engine = app.event_store.record_manager.datastore.engine  # type: ignore[attr-defined]
    pool = engine.pool
    connect, leaked = pool.connect, []

    def interrupted() -> Any:
        leaked.append(connect())
        raise TimeLimit

    monkeypatch.setattr(pool, "connect", interrupted)
    with pytest.raises(TimeLimit):
        saved_note(app)
    monkeypatch.setattr(pool, "connect", connect)
    return leaked


@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_a_connection_that_was_lost_in_an_interrupt_is_replaced(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch, is_given: bool
) -> None:
    with (
        engine_of(sql_backend, **ONE) as engine,
        SimpleApplication(engine=engine) if is_given else application(sql_backend, **ONE) as app,
    ):
        leaked = _interrupt_the_pool(app, monkeypatch)
        saved_note(app)
        leaked[0].invalidate()
    assert stored(sql_backend) == 1


def test_control_a_pool_that_is_kept_has_none_to_lend(
    sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recovery, "_look_after", lambda self, pool, error: None)
    with application(sql_backend, **ONE) as app:
        leaked = _interrupt_the_pool(app, monkeypatch)
        with pytest.raises(DatabaseUnavailable):
            saved_note(app)
        leaked[0].invalidate()


def _interrupt_each_step_of_going_through(gate: Any) -> None:
    """Go through the gate, again and again, with an interrupt at each step that Python takes."""
    step = steps = 0
    with gate.lock:
        pass  # the first time, a thread gets its lock: a signal does no harm there, a trace would

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        if frame.f_code is go_through.__code__:
            return None  # a with statement itself is not interrupted by a signal, as it is by this
        steps += 1
        if steps == step:
            raise KeyboardInterrupt
        return trace

    def go_through() -> None:
        with gate.lock:
            pass

    before = sys.gettrace()
    while steps >= step:
        step, steps = step + 1, 0
        with suppress(KeyboardInterrupt):
            sys.settrace(trace)
            try:
                go_through()
            finally:
                sys.settrace(before)


def test_an_interrupted_thread_does_not_stay_inside_the_gate() -> None:
    gate = ForkGate()
    _interrupt_each_step_of_going_through(gate)

    forking = threading.Thread(target=gate.shut, daemon=True)
    forking.start()
    forking.join(SECONDS_TO_WAIT)

    assert not forking.is_alive()


def test_control_a_thread_that_is_counted_in_python_stays_inside() -> None:
    class Counting:
        inside = 0

        @property
        def lock(self) -> Any:
            return self

        def __enter__(self) -> None:
            self.inside += 1

        def __exit__(self, *exception: object) -> None:
            self.inside -= 1

    gate = Counting()
    _interrupt_each_step_of_going_through(gate)

    assert gate.inside > 0
