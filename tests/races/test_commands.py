"""Commands that race: each that was acknowledged counts, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


def test_each_deposit_counts_once(app: SimpleApplication) -> None:
    @persistent
    def deposit(_: int) -> None:
        account = app.repository.get("ann", Account)
        account.deposit(1)
        account.save()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(deposit, range(THREADS * COMMANDS)))
    account = app.repository.get("ann", Account)
    assert (account.balance, account.version) == (THREADS * COMMANDS, THREADS * COMMANDS + 1)


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
