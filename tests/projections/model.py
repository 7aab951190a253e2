"""A bank, and what its projections make of it."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.orm import Session

from eventsourcing.application.projections.definition import (
    ExternalProjection,
    Projection,
    handles,
)
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import run

metadata = MetaData()
payments = Table(
    "payments",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("amount", Integer, nullable=False),
)
totals = Table(
    "totals",
    metadata,
    Column("account", String(100), primary_key=True),
    Column("total", BigInteger, nullable=False),
)


class Account(AggregateRoot):
    class Paid(AggregateRoot.Event):
        amount: int

    class Closed(AggregateRoot.Event):
        pass

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.balance = 0

    @event(Paid)
    def pay(self, amount: int) -> None:
        self.balance += amount

    @event(Closed)
    def close(self) -> None:
        pass


class Statement(Projection):
    """A line for each payment, and their total: a doubled event shows in either."""

    name = "statement"
    tables = (payments, totals)

    @handles(Account.Created)
    def opened(self, event: Account.Created, session: Session) -> None:
        session.execute(insert(totals).values(account=str(event.originator_id), total=0))

    @handles(Account.Paid)
    def paid(self, event: Account.Paid, session: Session) -> None:
        account = str(event.originator_id)
        row = {"account": account, "version": event.originator_version, "amount": event.amount}
        session.execute(insert(payments).values(row))
        mine = totals.c.account == account
        total = session.scalars(select(totals.c.total).where(mine)).one()
        session.execute(update(totals).where(mine).values(total=total + event.amount))


class Sharded(Statement):
    """The same in several shards."""

    name = "sharded"
    shards = 6


class Posted(ExternalProjection):
    """Hands events to a list."""

    name = "posted"
    seen: ClassVar[list[tuple[int, int]]]

    def __init__(self) -> None:
        self.__class__.seen = []

    @handles(Account.Paid)
    def paid(self, event: Account.Paid, position: int) -> None:
        self.seen.append((position, event.amount))


def filled(app: SimpleApplication, accounts: int = 3, times: int = 5) -> list[Account]:
    """Save accounts with payments, in turns."""
    with_ids = [Account.create(id=f"a{number}") for number in range(accounts)]
    app.save(*with_ids)
    pay(app, with_ids, times)
    return with_ids


def pay(app: SimpleApplication, accounts: list[Account], times: int) -> None:
    """Save a payment of each account, so many times."""
    for amount in range(1, times + 1):
        for account in accounts:
            account.pay(amount)
            app.save(account)


def expected(app: SimpleApplication) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the lines and totals that a fold of the events gives."""
    found, sums = [], {}
    for notification in app.notification_log.select():
        happened, account = notification.event, str(notification.originator_id)
        if isinstance(happened, Account.Created):
            sums[account] = 0
        elif isinstance(happened, Account.Paid):
            found.append((account, notification.originator_version, happened.amount))
            sums[account] += happened.amount
    return sorted(found), sorted(sums.items())


def shown(backend: Backend) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the lines and totals as they are."""
    rows = run(backend, "SELECT account, version, amount FROM payments")
    return sorted(rows), sorted(run(backend, "SELECT account, total FROM totals"))


def let_leases_run_out(backend: Backend) -> None:
    """Do what time does to those who do not renew their leases."""
    run(backend, "UPDATE projections SET lease_until = 0")
    run(backend, "UPDATE projection_workers SET seen_until = 0")


def quick(app: SimpleApplication, projection: Any, **options: Any) -> ProjectionRunner:
    """Return a runner that does not wait for long."""
    return ProjectionRunner(app, projection, **{"first_pause": 0.001} | options)
