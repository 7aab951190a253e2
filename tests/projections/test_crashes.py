"""Whatever crashes, each event takes effect once. The controls take out what sees to that."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import handles
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy.projectionstore import LeaseLost, ProjectionStore
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import eventually
from tests.projections.broken import separately, unfenced
from tests.projections.model import (
    Account,
    Statement,
    expected,
    filled,
    let_leases_run_out,
    pay,
    quick,
    shown,
)
from tests.projections.processes import (
    LEASE,
    build,
    killed_savers,
    killed_workers,
    stopped_workers,
    work,
)


class Crash(BaseException):
    """The process is gone."""


class Crashing(Statement):
    """Crashes at its eighth call."""

    def __init__(self, calls: int = 8) -> None:
        self.calls = calls

    def handler_of(self, event: Any) -> Any:
        self.calls -= 1
        if not self.calls:
            raise Crash
        return super().handler_of(event)


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend, with some events."""
    with SimpleApplication(sql_backend.uri) as app:
        filled(app)
        yield app


def crash_and_go_on(app: SimpleApplication, backend: Backend) -> None:
    runner = quick(app, Crashing(), page_size=5)
    with pytest.raises(Crash):
        runner.catch_up()
    let_leases_run_out(backend)  # for it is not closed
    with quick(app, Statement()) as runner:
        runner.catch_up()


def test_a_crash_within_a_page_undoes_all_of_the_page(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    crash_and_go_on(app, sql_backend)

    assert shown(sql_backend) == expected(app)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
def test_control_a_checkpoint_of_its_own_misses_or_doubles(
    app: SimpleApplication, sql_backend: Backend, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    monkeypatch.setattr(ProjectionStore, "advance", separately(is_first))
    crash_and_go_on(app, sql_backend)

    assert (len(shown(sql_backend)[0]) < len(expected(app)[0])) == is_first
    assert shown(sql_backend) != expected(app)


def late_writer(app: SimpleApplication, backend: Backend) -> Any:
    """Let a worker read a page, then another one take its shards over, and then write it."""
    late = quick(app, Statement(), page_size=5)
    late.step()
    group = late._held
    page = late._reader.read(group, None, 5)
    let_leases_run_out(backend)
    with quick(app, Statement()) as other:
        other.catch_up()
    return lambda: late._writer.write(group, page)


def test_a_worker_that_comes_back_after_its_lease_cannot_write(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    write = late_writer(app, sql_backend)

    with pytest.raises(LeaseLost):
        write()

    assert shown(sql_backend) == expected(app)


def test_control_without_the_fence_it_doubles(
    app: SimpleApplication, sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = late_writer(app, sql_backend)
    monkeypatch.setattr(ProjectionStore, "_move", unfenced)

    write()

    assert len(shown(sql_backend)[0]) > len(expected(app)[0])


def test_a_worker_without_the_lease_cannot_write_even_if_nothing_happened(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    late = quick(app, Statement())
    late.catch_up()
    group = late._held
    let_leases_run_out(sql_backend)
    with quick(app, Statement()) as other:
        other.catch_up()  # takes the lease over, and has nothing to do
        Account.create().save()

        with pytest.raises(LeaseLost):
            late._writer.write(group, late._reader.read(group, None, 5))


def test_a_runner_that_has_lost_its_lease_goes_on_once_it_is_free(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    accounts = filled_accounts(app)
    one = quick(app, Statement(), page_size=5)
    one.step()
    let_leases_run_out(sql_backend)
    one._renew_at = float("inf")  # it was stopped just before it was to renew
    with quick(app, Statement(), page_size=5) as other:
        other.step()
        assert one.step()  # refused, and looks again
        one.catch_up()
    pay(app, accounts, 1)
    with one:
        one._renew_at = 0.0
        one.catch_up()

    assert shown(sql_backend) == expected(app)


def filled_accounts(app: SimpleApplication) -> list[Account]:
    return [app.repository.get(f"a{number}", Account) for number in range(3)]


@pytest.mark.parametrize("target", [(work, Statement), (build,)], ids=["runner", "rebuild"])
def test_killed_workers_leave_a_fold_of_the_events(
    sql_backend: Backend, target: tuple[Any, ...]
) -> None:
    seed = random.randrange(2**32)
    assert sql_backend.uri is not None
    show = partial(shown, sql_backend)

    assert killed_workers(sql_backend.uri, show, 3, seed, *target) == []


def test_killed_savers_leave_a_fold_of_the_events(sql_backend: Backend) -> None:
    seed = random.randrange(2**32)
    assert sql_backend.uri is not None

    assert killed_savers(sql_backend.uri, partial(shown, sql_backend), 4, seed, 2) == []


def test_three_workers_one_of_them_stopped_past_its_lease(sql_backend: Backend) -> None:
    seed = random.randrange(2**32)
    assert sql_backend.uri is not None
    show = partial(shown, sql_backend)

    assert stopped_workers(sql_backend.uri, show, 1, seed, 2.5 * LEASE) == []


@pytest.mark.parametrize("page_size", [1, 500])
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_the_locks_of_a_worker_that_falls_silent_are_not_kept(
    request: pytest.FixtureRequest, name: str, page_size: int
) -> None:
    backend: Backend = request.getfixturevalue(name)
    with SimpleApplication(backend.uri) as app:
        filled(app)
        other = quick(app, Statement(), max_retries=0)
        control = ProjectionControl(app, Statement())

        class Silent(Statement):
            is_silent = True

            @handles(Account.Created)
            def opened(self, event: Account.Created, session: Session) -> None:
                super().opened(event, session)
                if self.is_silent:
                    self.is_silent = False
                    eventually(lambda: not other.step() and control.lag() == 0)

        with quick(app, Silent(), lease_seconds=0.5, page_size=page_size) as silent:
            silent.catch_up()
        other.close()

        assert shown(backend) == expected(app)
