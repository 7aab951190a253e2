"""A projection shows each event exactly once."""

from collections.abc import Iterator

import pytest

from eventsourcing.application.simple import SimpleApplication
from tests.backends import Backend
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
