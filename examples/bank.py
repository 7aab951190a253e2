"""A bank that keeps its state as events in a SQLite file: ``make demo``.

``python -m examples.bank bank.db`` keeps the file, too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.decorators import event, retry
from eventsourcing.exceptions import ConcurrencyError


class InsufficientFunds(Exception):
    """The account does not hold that much."""


class Account(AggregateRoot, topic="account"):  # the name of the class in stored rows
    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.balance = Decimal("0.00")

    @event("Deposited")  # the method is the command, the event's fields, and what the event does
    def deposit(self, amount: Decimal) -> None:
        self.balance += amount

    def withdraw(self, amount: Decimal) -> None:  # the same in three parts: the command decides,
        if amount > self.balance:
            raise InsufficientFunds(f"{self.owner} has {self.balance}, not {amount}")
        self._trigger(self.Withdrawn, amount=amount)

    class Withdrawn(AggregateRoot.Event):  # the event has typed fields,
        amount: Decimal

        def mutate(self, obj: Account) -> None:  # and changes the account, now and at each replay
            obj.balance -= self.amount


class Bank(SimpleApplication):
    def open_account(self, number: str, owner: str, amount: Decimal) -> None:
        account = Account.create(id=number, owner=owner)
        account.deposit(amount)
        self.save(account)

    def account(self, number: str) -> Account:
        return self.repository.get(number, Account)

    @retry(ConcurrencyError, max_retries=5)
    def transfer(self, source: str, target: str, amount: Decimal) -> None:
        payer, payee = self.account(source), self.account(target)
        payer.withdraw(amount)
        payee.deposit(amount)
        self.save(payer, payee)  # one transaction: both or neither


def work(bank: Bank) -> None:
    print("\nAnn and Bob open accounts")
    with unit_of_work("opening"):  # stored with every event as its correlation id
        bank.open_account("A-1", "Ann", Decimal("100.00"))
        bank.open_account("B-2", "Bob", Decimal("20.00"))
    print("\nAnn sends Bob 30.00: one transaction for both accounts")
    with unit_of_work("transfer-1"):
        bank.transfer("A-1", "B-2", Decimal("30.00"))
    print("\nAnn sends Bob 500.00")
    try:
        bank.transfer("A-1", "B-2", Decimal("500.00"))
    except InsufficientFunds as error:
        print(f"  not possible, and nothing is stored: {error}")
    print("\nAnn pays her rent, and a rival is quicker")
    with unit_of_work("rent"):
        pay_rent(bank, gifts=iter([Decimal("5.00")]))


@retry(ConcurrencyError, max_retries=3)
def pay_rent(bank: Bank, gifts: Iterator[Decimal]) -> None:
    account = bank.account("A-1")  # afresh in each attempt
    print(f"  loaded the account at version {account.version}")
    account.withdraw(Decimal("60.00"))
    for gift in gifts:  # somebody else loads, changes and saves the account meanwhile
        rival = bank.account("A-1")
        with unit_of_work("gift"):
            rival.deposit(gift)
        bank.save(rival)
        print(f"  a rival stores a deposit of {gift} first")
    try:
        bank.save(account)
    except ConcurrencyError as error:
        print(f"  refused: {error}")
        raise
    print("  stored: the rent is paid")


def show(bank: Bank) -> None:
    for number in ("A-1", "B-2"):
        account = bank.account(number)
        print(f"\n{number}: {account.owner} has {account.balance}")
        print(f"  {'version':7}  {'time (UTC)':19}  {'event':9}   amount  balance  correlation id")
        replayed: Any = None
        happened: Any
        for happened in bank.event_store.get_domain_events(number):
            replayed = happened.mutate(replayed)  # nothing else happens when it is loaded
            print(
                f"  {happened.originator_version:7}  {happened.timestamp:%Y-%m-%d %H:%M:%S}"
                f"  {type(happened).__name__:9}  {getattr(happened, 'amount', ''):>7}"
                f"  {replayed.balance:7}  {happened.context.correlation_id}"
            )


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="bank-") as folder:  # nothing is left of it
        file = Path(*arguments or (folder, "bank.db"))
        is_new = not file.exists()
        with Bank(uri=f"sqlite:///{file}") as bank:
            if is_new:
                print(f"A new bank in {file}")
                work(bank)
            show(bank)
        if is_new:
            print("\nThe bank is closed. A new process opens the file, and replays the events.")
            sys.stdout.flush()
            command = [sys.executable, "-m", "examples.bank", str(file)]
            subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1:])
