"""Mistakes that type checkers must see. Never run.

Each is marked by a ``type: ignore``, and one that a checker does not see after all makes that
comment an error.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from decimal import Decimal
from typing import Any
from uuid import UUID

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.decorators import attribute, event, mutator, retry, subscribe_to
from eventsourcing.domain.model.events import DomainEvent, publish, subscribe
from eventsourcing.exceptions import ConcurrencyError


class Priced(DomainEvent):
    price: Decimal
    note: str = ""


class Reduced(Priced):
    by: Decimal


class Account(AggregateRoot):
    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner

    @attribute
    def nickname(self) -> str:
        return ""

    class Withdrawn(AggregateRoot.Event):
        amount: Decimal

    @event("Deposited")
    def deposit(self, amount: Decimal, note: str = "") -> None:
        self.owner = note

    @event(3)  # type: ignore
    def misnamed(self) -> None: ...

    @event("Counted")  # type: ignore
    def count(self) -> int:
        return 1


@retry(ConcurrencyError, max_retries=3)
def command(amount: Decimal) -> UUID:
    return UUID(int=1)


@mutator
def level(state: int, happened: DomainEvent) -> int:
    return state


def handle_number(number: int) -> None: ...


def wrong_fields() -> None:
    Priced(price="1")  # type: ignore
    Priced(price=Decimal(1), note=None)  # type: ignore
    Priced(price=Decimal(1), nots="x")  # type: ignore
    Priced()  # type: ignore
    Priced(Decimal(1))  # type: ignore
    Reduced(price=Decimal(1))  # type: ignore
    Account.Withdrawn(originator_id=1, originator_version=1)  # type: ignore
    Account.Withdrawn(originator_id=1, originator_version="1", amount=Decimal(1))  # type: ignore


def wrong_attributes(priced: Priced) -> None:
    priced.price = Decimal(2)  # type: ignore
    priced.note = "x"  # type: ignore
    str(priced.prize)  # type: ignore
    priced.price.upper()  # type: ignore
    priced.context.event_id.hexdigest()  # type: ignore
    priced.context.correlation_id.upper()  # type: ignore


def wrong_commands(account: Account) -> None:
    account.deposit("1")  # type: ignore
    account.deposit(amount=1.5)  # type: ignore
    account.deposit()  # type: ignore
    account.deposit(Decimal(1), nota="x")  # type: ignore
    account.deposit(Decimal(1)).bit_length()  # type: ignore
    account.nickname.bit_length()  # type: ignore
    account.nickname = 3  # type: ignore
    account.version = 3  # type: ignore
    account.id = 3  # type: ignore
    str(account.balance)  # type: ignore
    account.change_attribute(3, "x")  # type: ignore
    account.save("now")  # type: ignore
    Account.create(id=1.5)  # type: ignore
    Account.create(owner="Ann").overdraw()  # type: ignore
    command("1")  # type: ignore
    command(Decimal(1)).bit_length()  # type: ignore
    retry("ConcurrencyError")  # type: ignore
    event(handle_number)  # type: ignore


def wrong_applications(app: SimpleApplication, account_id: UUID) -> None:
    str(app.repository.get(account_id, Account).balance)  # type: ignore
    app.repository.get(account_id, "Account")  # type: ignore
    app.repository.get(1.5, Account)  # type: ignore
    app.save("account")  # type: ignore
    app.save([Account.create(owner="Ann")])  # type: ignore
    app.event_store.get_domain_events(account_id, gt="1")  # type: ignore
    SimpleApplication(url="sqlite://")  # type: ignore
    SimpleApplication(persist_event_type=Account)  # type: ignore
    with SimpleApplication() as entered:
        entered.open()  # type: ignore


def wrong_subscriptions() -> None:
    subscribe(3)  # type: ignore
    subscribe_to(handle_number)  # type: ignore
    publish(3)  # type: ignore
    level(1)  # type: ignore
    level(1, Priced(price=Decimal(1))).upper()  # type: ignore
    unit_of_work(correlation_id=5)  # type: ignore
    unit_of_work(caused_by="request")  # type: ignore
