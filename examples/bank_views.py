"""A bank with two views of its accounts, which one process or three keep up to date.

``python -m examples.bank_views`` does both with the same events, and compares the views.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sqlalchemy import String, create_engine, delete, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import BaseProjection, Projection, handles
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings


class Account(AggregateRoot, topic="account-with-views"):
    class Created(AggregateRoot.Created):
        owner: str

    class Renamed(AggregateRoot.Event):
        owner: str

    class Moved(AggregateRoot.Event):
        amount: int  # cents; less than none is a withdrawal

    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner

    @event(Renamed)
    def rename(self, owner: str) -> None:
        self.owner = owner

    @event(Moved)
    def move(self, amount: int) -> None:
        pass


class Base(DeclarativeBase):
    pass


class Line(Base):
    """A line of a bank statement."""

    __tablename__ = "statement_lines_1"
    account: Mapped[str] = mapped_column(String(255), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    balance: Mapped[int]


class Word(Base):
    """A word of an owner's name."""

    __tablename__ = "owner_words_1"
    account: Mapped[str] = mapped_column(String(255), primary_key=True)
    word: Mapped[str] = mapped_column(String(255), primary_key=True)


class StatementView(Projection):
    name = "statements"
    shards = 4
    tables = (Line,)

    @handles(Account.Moved)
    def moved(self, event: Account.Moved, session: Session) -> None:
        account = str(event.originator_id)
        mine = select(Line).where(Line.account == account)
        last = session.scalars(mine.order_by(Line.number.desc()).limit(1)).first()
        number, balance = (last.number, last.balance) if last else (0, 0)
        line = Line(account=account, number=number + 1, amount=event.amount)
        line.balance = balance + event.amount
        session.add(line)


class SearchView(Projection):
    name = "search"
    shards = 4
    tables = (Word,)

    @handles(Account.Created, Account.Renamed)
    def named(self, event: Account.Created | Account.Renamed, session: Session) -> None:
        account = str(event.originator_id)
        session.execute(delete(Word).where(Word.account == account))
        session.add_all(Word(account=account, word=w) for w in set(event.owner.lower().split()))


VIEWS: Sequence[type[BaseProjection]] = (StatementView, SearchView)


class Bank(SimpleApplication):
    """The bank."""


def work(uri: str) -> None:
    """Keeps both views up to date until the process is terminated."""
    with Bank(uri) as bank, ThreadPoolExecutor(len(VIEWS)) as threads:
        for view in VIEWS:
            runner = ProjectionRunner(bank, view(), page_size=20, lease_seconds=2)
            threads.submit(runner.run)


def trade(bank: Bank) -> None:
    accounts = [
        Account.create(id=f"A-{number}", owner=f"{name} Smith")
        for number, name in enumerate(("Ann", "Bob", "Cem", "Dana", "Eve", "Finn"))
    ]
    bank.save(*accounts)
    for cents in range(100, 1100, 100):
        for account in accounts:
            account.move(cents)
            account.move(-cents // 2)
            bank.save(account)
    accounts[0].rename("Ann Miller")
    bank.save(accounts[0])


def in_one_process(uri: str) -> None:
    with Bank(uri) as bank:
        trade(bank)
        for view in VIEWS:
            with ProjectionRunner(bank, view(), page_size=20) as runner:
                runner.catch_up()


def in_three_processes(uri: str) -> None:
    with Bank(uri) as bank:
        for view in VIEWS:
            ProjectionRunner(bank, view()).close()  # creates the tables
        spawn = get_context("spawn")
        workers = [spawn.Process(target=work, args=(uri,), daemon=True) for _ in range(3)]
        for worker in workers:
            worker.start()
        try:
            trade(bank)
            end = bank.notification_log.high_water_mark().position
            for view in VIEWS:
                ProjectionControl(bank, view()).wait(end, timeout=60)
        finally:
            for worker in workers:
                worker.terminate()  # what they hold is others' after two seconds
                worker.join()


def views(uri: str) -> tuple[list[Any], list[Any]]:
    engine = create_engine(SQLAlchemySettings(uri).url)  # with the driver that the bank uses
    with Session(engine) as session:
        lines = select(Line.account, Line.number, Line.amount, Line.balance)
        words = select(Word.word, Word.account)
        found = [
            [tuple(row) for row in session.execute(query)]
            for query in (lines.order_by(*lines.selected_columns), words.order_by(Word.word))
        ]
    engine.dispose()
    return found[0], sorted(found[1])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bank-views-") as folder:
        one, three = (f"sqlite:///{Path(folder, name)}" for name in ("one.db", "three.db"))
        in_one_process(one)
        in_three_processes(three)
        lines, words = views(one)
        assert views(three) == (lines, words)
        print(
            f"{len(lines)} lines, and the last of A-0 is {[x for x in lines if x[0] == 'A-0'][-1]}"
        )
        print(f"miller: {[account for word, account in words if word == 'miller']}")
        print(f"smith: {[account for word, account in words if word == 'smith']}")


if __name__ == "__main__":
    main()
