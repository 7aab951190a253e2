"""A user's program as type checkers see it.

`make types` checks this module with mypy and pyright, both strict. A line that they must refuse
carries a ``type: ignore``, and one that they do not refuse after all makes that comment an error.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID, uuid4

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import attribute, event, retry
from eventsourcing.domain.model.events import DomainEvent, subscribe, unsubscribe
from eventsourcing.exceptions import AggregateTypeError, ConcurrencyError


class Account(AggregateRoot):
    """An account in both styles."""

    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.balance = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal) -> None:
        self.balance += amount

    class Withdrawn(AggregateRoot.Event):
        amount: Decimal

        def mutate(self, obj: "Account") -> None:
            obj.balance -= self.amount

    def withdraw(self, amount: Decimal) -> None:
        self._trigger(self.Withdrawn, amount=amount)

    @attribute
    def nickname(self) -> str:
        return ""


class Basket(AggregateRoot):
    """Another kind of aggregate."""


class Bank(SimpleApplication):
    """An application with a command."""

    @retry(ConcurrencyError, max_retries=2)
    def deposit(self, account_id: UUID, amount: Decimal) -> Decimal:
        account = self.repository.get(account_id, Account)
        account.deposit(amount)
        account.save()
        return account.balance


def test_types_are_what_the_program_says() -> None:
    with Bank(uri="sqlite:///:memory:") as bank:
        assert_type(bank, Bank)
        account = Account.create(owner="Ann")
        assert_type(account, Account)
        account.deposit(Decimal(10))
        account.withdraw(Decimal(3))
        account.nickname = "savings"
        account.save()
        assert isinstance(account.id, UUID)

        assert_type(bank.deposit(account.id, Decimal(1)), Decimal)
        copy = bank.repository.get(account.id, Account)

        assert_type(copy, Account)
        assert_type(copy.balance, Decimal)
        assert_type(copy.nickname, str)
        assert_type(copy.version, int)
        assert_type(account.id in bank.repository, bool)
        assert (copy.balance, copy.nickname, copy.version) == (Decimal(8), "savings", 5)


def test_another_class_is_refused_as_its_type_says() -> None:
    with SimpleApplication(uri="sqlite:///:memory:") as app:
        account = Account.create(owner="Ann")
        account.save()

        with pytest.raises(AggregateTypeError):
            assert_type(app.repository.get(account.id, Basket), Basket)


def test_fields_of_events_are_typed() -> None:
    withdrawn = Account.Withdrawn(originator_id=uuid4(), originator_version=1, amount=Decimal(1))

    assert_type(withdrawn.amount, Decimal)
    with pytest.raises(TypeError):
        Account.Withdrawn(originator_id=uuid4(), originator_version=1, amount="1")  # type: ignore
    with pytest.raises(AttributeError):
        withdrawn.amount = Decimal(2)  # type: ignore


def test_commands_are_typed() -> None:
    account = Account.create(owner="Ann")

    with pytest.raises(TypeError):
        account.deposit("1")  # type: ignore
    with pytest.raises(TypeError):
        account.deposit()  # type: ignore
    with pytest.raises(AttributeError):
        account.deposits()  # type: ignore


def test_handlers_are_typed() -> None:
    seen: list[DomainEvent] = []

    def handler(event: DomainEvent) -> None:
        seen.append(event)

    subscribe(handler)
    unsubscribe(handler)
    assert seen == []
