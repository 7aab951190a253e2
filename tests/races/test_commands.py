"""Commands that race: each that was acknowledged counts, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.decorators import retry
from eventsourcing.exceptions import ConcurrencyError
from tests.backends import Backend
from tests.contracts.model import Account
from tests.contracts.places import MemoryPlace, SQLAlchemyPlace

THREADS, COMMANDS = 16, 3

persistent = retry(ConcurrencyError, max_retries=1000, wait=0.0001)


@pytest.fixture
def app(backend: Backend) -> Iterator[SimpleApplication]:
    place = MemoryPlace() if backend.uri is None else SQLAlchemyPlace(backend.uri)
    with SimpleApplication(record_manager=place.open()) as app:
        for name in ("ann", "bob"):
            Account.create(id=name, owner=name).save()
        yield app


class Race:
    """Rivals that all load the account before one of them saves, the first time round."""

    def __init__(self, app: SimpleApplication) -> None:
        self.app = app
        self.all_have_loaded = Barrier(THREADS)
        self.attempts: list[int] = []

    def deposit(self, rival: int) -> None:
        account = self.app.repository.get("ann", Account)
        is_first = rival not in self.attempts
        self.attempts.append(rival)
        if is_first:
            self.all_have_loaded.wait()
        account.deposit(1)
        account.save()


def test_with_retries_each_rival_s_deposit_counts_once(app: SimpleApplication) -> None:
    race = Race(app)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(persistent(race.deposit), range(THREADS)))

    account = app.repository.get("ann", Account)
    assert (account.balance, account.version) == (THREADS, THREADS + 1)
    assert len(race.attempts) > THREADS


def test_control_without_retries_one_rival_succeeds(app: SimpleApplication) -> None:
    race = Race(app)
    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = [threads.submit(race.deposit, rival) for rival in range(THREADS)]
    errors = [outcome.exception() for outcome in outcomes]

    refused = [type(error) for error in errors if error is not None]
    assert refused == [ConcurrencyError] * (THREADS - 1)
    assert app.repository.get("ann", Account).balance == 1


def test_transfers_both_ways_happen_whole(app: SimpleApplication) -> None:
    @persistent
    def transfer(n: int) -> None:
        names = ("ann", "bob") if n % 2 else ("bob", "ann")
        payer, payee = (app.repository.get(name, Account) for name in names)
        payer.deposit(-n)
        payee.deposit(n)
        app.save(payer, payee)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(transfer, range(THREADS * COMMANDS)))
    balances = [app.repository.get(name, Account).balance for name in ("ann", "bob")]
    assert balances == [-THREADS * COMMANDS // 2, THREADS * COMMANDS // 2]
