"""The workers that are alive share the shards, and no two have the same."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain

import pytest

from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy.leases import share
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import in_threads
from tests.projections.model import (
    Sharded,
    Statement,
    expected,
    filled,
    let_leases_run_out,
    pay,
    quick,
    shown,
)

LEASE = 0.3


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend."""
    with SimpleApplication(sql_backend.uri) as app:
        yield app


@pytest.mark.parametrize("shards", [1, 2, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_the_shares_are_all_that_there_is_and_differ_by_one(shards: int, count: int) -> None:
    workers = [f"w{number}" for number in range(count)]

    shares = [share(worker, workers, shards) for worker in workers]

    assert sum(shares) == shards
    assert max(shares) - min(shares) <= 1


def held(runners: Sequence[ProjectionRunner]) -> list[list[int]]:
    """Let each renew its leases twice, and return its shards."""
    for runner in (*runners, *runners):
        runner._renew_at = 0.0
        runner._renewed()
    found = []
    for runner in runners:
        runner._renew_at = 0.0
        found.append([each.shard for each in runner._renewed()])
    return found


def test_a_worker_that_comes_or_goes_gets_or_leaves_its_share(app: SimpleApplication) -> None:
    one, two, three = (quick(app, Sharded()) for _ in range(3))
    assert held([one]) == [[0, 1, 2, 3, 4, 5]]

    of_two = held([one, two])
    assert [len(each) for each in of_two] == [3, 3]
    assert sorted(chain(*of_two)) == [0, 1, 2, 3, 4, 5]

    of_three = held([one, two, three])
    assert [len(each) for each in of_three] == [2, 2, 2]
    assert sorted(chain(*of_three)) == [0, 1, 2, 3, 4, 5]

    two.close()
    assert [len(each) for each in held([one, three])] == [3, 3]
    for runner in (one, three):
        runner.close()


def test_the_shards_of_a_worker_that_is_gone_are_taken_over(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    filled(app, accounts=8)
    gone, left = (quick(app, Sharded(), page_size=7) for _ in range(2))
    held([gone, left])
    gone.step()
    left.catch_up()
    assert shown(sql_backend) != expected(app)

    let_leases_run_out(sql_backend)
    left._renew_at = 0.0
    with left:
        left.catch_up()

    assert shown(sql_backend) == expected(app)


@pytest.mark.parametrize("projection", [Statement, Sharded])
def test_threads_that_share_a_projection_show_each_event_once(
    app: SimpleApplication, sql_backend: Backend, projection: type[Statement]
) -> None:
    accounts = filled(app, accounts=8)
    quick(app, projection()).close()
    runners = [quick(app, projection(), page_size=5, lease_seconds=LEASE) for _ in range(3)]

    def write() -> None:
        pay(app, accounts, 3)
        time.sleep(LEASE)
        for runner in runners:
            runner.stop()

    assert in_threads(write, *(runner.run for runner in runners)) == [None] * 4

    for runner in runners:
        runner.close()
    with quick(app, projection()) as runner:
        runner.catch_up()
    assert shown(sql_backend) == expected(app)
