"""A runner looks for new events as soon as its application has saved some."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import Queue
from typing import Any

import pytest

from eventsourcing.application.projections import runner as runners
from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.saving import Saved
from eventsourcing.exceptions import ProjectionBehind
from eventsourcing.infrastructure.wakeups import wait_for_any
from tests.application.test_announcements import (
    CHANNEL,
    LISTENERS,
    announcements_of,
    application,
)
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import eventually, run
from tests.projections.model import Account, Sharded, Statement, expected, shown

PATIENCE = 30.0
NEVER = 3600.0  # seconds, for a runner that relies on being told


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend."""
    with SimpleApplication(sql_backend.uri) as app:
        yield app


class Waits:
    """Tells when a runner begins to wait."""

    def __init__(self) -> None:
        self.begun: Queue[None] = Queue()

    def __call__(self, seconds: float, *sources: Any) -> bool:
        self.begun.put(None)
        return wait_for_any(seconds, *sources)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    monkeypatch.setattr(runners, "wait_for_any", waits)
    return waits


@contextmanager
def running(
    app: SimpleApplication,
    projection: Statement,
    after_look: Callable[[ProjectionRunner], object] = lambda _: None,
) -> Iterator[threading.Thread]:
    """Give a thread in which a runner runs, and stop it at the end.

    Args:
        after_look: is called when it has found nothing, and will wait next.
    """

    class Runner(ProjectionRunner):
        def step(self) -> bool:
            has_found = super().step()
            if not has_found:
                after_look(self)
            return has_found

    with Runner(app, projection, poll_seconds=NEVER, lease_seconds=NEVER) as runner:
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            yield thread
        finally:
            runner.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.parametrize("projection", [Statement, Sharded])
def test_it_is_told_of_each_save(
    app: SimpleApplication, sql_backend: Backend, waits: Waits, projection: type[Statement]
) -> None:
    account = Account.create()
    with running(app, projection()):
        for amount in range(3):
            waits.begun.get(timeout=PATIENCE)
            account.pay(amount)
            saved = app.save(account)
            ProjectionControl(app, projection()).wait(saved.position, PATIENCE)
            assert shown(sql_backend) == expected(app)


def test_a_save_between_its_look_and_its_wait_is_heard(
    app: SimpleApplication, sql_backend: Backend, waits: Waits
) -> None:
    account = Account.create()
    with running(app, Statement(), lambda _: app.save(account)):
        waits.begun.get(timeout=PATIENCE)
        ProjectionControl(app, Statement()).wait_for(account, timeout=PATIENCE)

    assert shown(sql_backend) == expected(app)


def test_a_stop_ends_its_wait(app: SimpleApplication, waits: Waits) -> None:
    with running(app, Statement()):
        waits.begun.get(timeout=PATIENCE)


def test_a_stop_between_its_look_and_its_wait_is_heard(
    app: SimpleApplication, waits: Waits
) -> None:
    with running(app, Statement(), ProjectionRunner.stop) as thread:
        waits.begun.get(timeout=PATIENCE)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_it_does_not_wait_for_longer_than_its_leases_hold(
    app: SimpleApplication, waits: Waits
) -> None:
    with ProjectionRunner(app, Statement(), poll_seconds=NEVER, lease_seconds=0.3) as runner:
        thread = threading.Thread(target=runner.run)
        thread.start()
        for _ in range(5):
            waits.begun.get(timeout=PATIENCE)
        runner.stop()
        thread.join(PATIENCE)


def test_it_is_told_nothing_once_it_has_stopped(app: SimpleApplication) -> None:
    with running(app, Statement()):
        pass

    assert app.event_store._listeners == ()


# -- told by PostgreSQL


@pytest.fixture
def saver(postgresql: Backend) -> Iterator[SimpleApplication]:
    """An application that tells others of what it saves."""
    with application(postgresql.uri) as app:
        yield app


@contextmanager
def listening(postgresql: Backend, waits: Waits) -> Iterator[ProjectionControl]:
    """A runner of another application, which listens, has found nothing, and waits."""
    with closing(application(postgresql.uri)) as app, running(app, Statement()):
        for _ in range(2):  # it listens after the first wait, and then looks once more
            waits.begun.get(timeout=PATIENCE)
        yield ProjectionControl(app, Statement())


def paid(saver: SimpleApplication) -> Saved:
    account = Account.create()
    account.pay(1)
    return saver.save(account)


def test_it_is_told_of_what_another_application_saves(
    postgresql: Backend, saver: SimpleApplication, waits: Waits
) -> None:
    with listening(postgresql, waits) as control:
        for _ in range(3):
            control.wait(paid(saver).position, PATIENCE)

    assert shown(postgresql) == expected(saver)


def test_control_if_nobody_tells_it_does_not_look(
    postgresql: Backend,
    saver: SimpleApplication,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcements_of(saver), "_send", lambda: None)
    with listening(postgresql, waits) as control:
        saved = paid(saver)
        with pytest.raises(ProjectionBehind):
            control.wait(saved.position, 1)
        run(postgresql, "SELECT pg_notify(%s, '')", CHANNEL)
        control.wait(saved.position, PATIENCE)


def test_if_its_listener_is_cut_off_it_looks_and_listens_again(
    postgresql: Backend, saver: SimpleApplication, waits: Waits
) -> None:
    with listening(postgresql, waits) as control:
        ((killed,),) = run(postgresql, f"SELECT pid {LISTENERS}")
        run(postgresql, "SELECT pg_terminate_backend(%s)", killed)
        eventually(lambda: run(postgresql, f"SELECT pid {LISTENERS}") not in ([], [(killed,)]))
        control.wait(paid(saver).position, PATIENCE)


def test_a_runner_that_has_stopped_listens_no_more(
    postgresql: Backend, saver: SimpleApplication, waits: Waits
) -> None:
    with listening(postgresql, waits):
        assert len(run(postgresql, f"SELECT pid {LISTENERS}")) == 1
    eventually(lambda: run(postgresql, f"SELECT pid {LISTENERS}") == [])
