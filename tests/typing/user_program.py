"""A program as a user writes it, with types. Checked by mypy and pyright, and run by a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NewType, assert_type
from uuid import UUID

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.decorators import attribute, event, mutator, retry, subscribe_to
from eventsourcing.domain.model.entity import TimestampedVersionedEntity
from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithTimestamp,
    Logged,
    publish,
    subscribe,
    unsubscribe,
)
from eventsourcing.domain.model.saving import Saved
from eventsourcing.exceptions import ConcurrencyError

Currency = NewType("Currency", str)


def in_cents(state: dict[str, Any]) -> dict[str, Any]:
    """Reads the rows of version 1, which had a field ``euros``."""
    return {**state, "cents": state["euros"] * 100}


class Refunded(DomainEvent, topic="refunded", aliases=["paid-back"], upcasters={1: in_cents}):
    """Has had two names and two shapes."""

    cents: int


class InsufficientFunds(Exception):
    """There is not enough money."""


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: Currency = Currency("EUR")


class Account(AggregateRoot):
    """All styles of events in one class."""

    def __init__(self, owner: str, limit: Decimal = Decimal(0), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.limit = limit
        self.balance = Decimal(0)
        self.tags: list[str] = []

    @attribute
    def nickname(self) -> str:
        """What the owner is called."""
        return self.owner

    @event("Deposited")
    def deposit(self, amount: Decimal, note: str = "") -> None:
        self.balance += amount

    class Tagged(AggregateRoot.Event):
        tags: list[str] = field(default_factory=list[str])
        colour: str = "none"

    @event(Tagged)
    def tag(self, tags: list[str], colour: str = "none") -> None:
        self.tags.extend(tags)

    class Withdrawn(AggregateRoot.Event):
        amount: Decimal

        def mutate(self, account: Account) -> None:
            account.balance -= self.amount

    def withdraw(self, amount: Decimal) -> None:
        if amount > self.balance + self.limit:
            raise InsufficientFunds(amount)
        self._trigger(self.Withdrawn, amount=amount)


class Savings(Account):
    def __init__(self, rate: Decimal, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate


class Sensor(TimestampedVersionedEntity):
    class Measured(TimestampedVersionedEntity.Event):
        celsius: float


class Transferred(EventWithTimestamp):
    source: UUID
    target: UUID
    money: Money
    note: str | None = None


@mutator
def balance(state: Decimal, happened: DomainEvent) -> Decimal:
    return state


@balance.register(Account.Withdrawn)
def _withdrawn(state: Decimal, happened: Account.Withdrawn) -> Decimal:
    return state - happened.amount


class Bank(SimpleApplication):
    def open_account(self, owner: str) -> UUID:
        account = Account.create(owner=owner)
        assert_type(account, Account)
        account.save()
        assert isinstance(account.id, UUID)
        return account.id

    @retry(ConcurrencyError, max_retries=5, wait=0.01)
    def transfer(self, source_id: UUID, target_id: UUID, amount: Decimal) -> Transferred:
        source = self.repository.get(source_id, Account)
        target = self.repository.get(target_id, Account)
        assert_type(target, Account)
        source.withdraw(amount)
        target.deposit(amount, note="transfer")
        self.save(source, target)
        return Transferred(source=source_id, target=target_id, money=Money(amount))


def main(uri: str) -> list[str]:
    """Returns what was noted."""
    noted: list[str] = []

    @subscribe_to(Account.Withdrawn)
    def note(happened: Account.Withdrawn) -> None:
        noted.append(f"{happened.amount} out, version {happened.originator_version}")

    def log(happened: Logged) -> None:
        noted.append("logged")

    subscribe(log, lambda happened: isinstance(happened, Logged))
    with Bank(uri=uri) as bank, unit_of_work("request-1") as unit:
        assert_type(bank, Bank)
        ann, bob = bank.open_account("Ann"), bank.open_account("Bob")
        account = bank.repository.get(ann, Account)
        account.deposit(Decimal(10))
        account.tag(["vip"], colour="gold")
        account.nickname = "Annie"
        saved = account.save()
        assert_type(saved.position, int)
        assert_type(bank.save(account), Saved)
        assert_type(bank.repository.get(ann, Account).nickname, str)
        assert_type(account.version, int)
        done = bank.transfer(ann, bob, Decimal(3))
        assert_type(done.money.amount, Decimal)
        assert_type(done.note, str | None)
        history = [type(e).__name__ for e in bank.event_store.get_domain_events(ann, gt=0)]
        noted.extend(history)
        publish([done, Logged(what="the end", unit=unit.correlation_id)])
        withdrawn = Account.Withdrawn(originator_id=ann, originator_version=9, amount=Decimal(1))
        noted.append(str(balance(Decimal(5), withdrawn)))
        if bob in bank.repository:
            noted.append(bank.repository.get(bob, Account).owner)
    unsubscribe(note)
    unsubscribe(log)
    return noted
