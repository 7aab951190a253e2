"""A projection shows each event exactly once."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import handles
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import eventually
from tests.projections.model import (
    Account,
    Posted,
    Sharded,
    Statement,
    expected,
    filled,
    pay,
    quick,
    shown,
)


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend."""
    with SimpleApplication(sql_backend.uri) as app:
        yield app


@pytest.mark.parametrize("projection", [Statement, Sharded])
@pytest.mark.parametrize("page_size", [1, 4, 500])
def test_the_tables_are_a_fold_of_the_events(
    app: SimpleApplication, sql_backend: Backend, projection: type[Statement], page_size: int
) -> None:
    accounts = filled(app)
    with quick(app, projection(), page_size=page_size) as runner:
        runner.catch_up()
        assert shown(sql_backend) == expected(app)
        pay(app, accounts, 2)
        runner.catch_up()

    assert shown(sql_backend) == expected(app)


def test_another_runner_goes_on_where_the_first_one_was(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    filled(app)
    with quick(app, Statement(), page_size=5) as runner:
        runner.step()
    with quick(app, Statement()) as runner:
        runner.catch_up()

    assert shown(sql_backend) == expected(app)


def test_events_of_no_interest_are_passed_over(app: SimpleApplication) -> None:
    account = Account.create()
    account.close()
    app.save(account)

    with quick(app, Posted()) as runner:
        runner.catch_up()
        (checkpoint,) = runner._store.checkpoints()

    assert checkpoint.position == app.notification_log.high_water_mark().position
    assert Posted.seen == []


def test_an_external_target_is_given_the_position(app: SimpleApplication) -> None:
    filled(app, accounts=1, times=2)
    with quick(app, Posted()) as runner:
        runner.catch_up()

    assert Posted.seen == [(2, 1), (3, 2)]


def test_it_has_caught_up_once_all_is_done_that_was_there_before(app: SimpleApplication) -> None:
    """Others never pause: there is one more event whenever it looks."""
    (account,) = filled(app, accounts=1)
    amounts = iter(range(100))

    class Busy(ProjectionRunner):
        def step(self) -> bool:
            account.pay(next(amounts))
            app.save(account)
            return super().step()

    with Busy(app, Statement(), page_size=2) as runner:
        before = app.notification_log.safe_position()
        runner.catch_up()

    assert ProjectionControl(app, Statement()).position() >= before


def test_a_signal_handler_may_stop_it(app: SimpleApplication) -> None:
    runner = ProjectionRunner(app, Statement(), poll_seconds=3600, lease_seconds=3600)
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.stop())
    main = threading.main_thread().ident
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        timer.start()
        with runner:
            runner.run()
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_stop_ends_the_pause_before_another_attempt(app: SimpleApplication) -> None:
    filled(app)

    class Failing(Statement):
        @handles(Account.Created)
        def opened(self, event: Account.Created, session: Session) -> None:
            runner.stop()
            raise ValueError

    runner = ProjectionRunner(app, Failing(), first_pause=3600)
    with runner:
        runner.catch_up()

    assert ProjectionControl(app, Statement()).position() == 0


class Halting(ProjectionRunner):
    """Reads no page before it may."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_reading, self.may_read = threading.Event(), threading.Event()

    def _read(self, *args: Any) -> Any:
        self.is_reading.set()
        assert self.may_read.wait(30)
        return super()._read(*args)


def test_a_runner_that_is_closed_in_the_middle_of_a_page_keeps_no_lease(
    app: SimpleApplication,
) -> None:
    filled(app)
    runner = Halting(app, Statement())
    working = threading.Thread(target=runner.run)
    closing = threading.Thread(target=runner.close)
    working.start()
    assert runner.is_reading.wait(30)
    closing.start()
    eventually(lambda: runner._is_stopped)
    closing.join(0.2)  # so long would give_back() take, if it did not wait
    runner.may_read.set()
    for thread in (working, closing):
        thread.join(30)
        assert not thread.is_alive()

    (checkpoint,) = ProjectionControl(app, Statement()).checkpoints()
    assert (checkpoint.owner, checkpoint.seconds_left > 0) == (None, False)
