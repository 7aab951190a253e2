"""The three ways in which callers have a transaction of their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    scoped_session,
    sessionmaker,
)

from eventsourcing.infrastructure.sqlalchemy.datastore import CallersSession


class Base(DeclarativeBase):
    """The caller's own tables."""


class Row(Base):
    """A row of the caller's own."""

    __tablename__ = "callers"

    n: Mapped[int] = mapped_column(primary_key=True)


@dataclass(frozen=True)
class Caller:
    """A transaction of the caller's, whatever holds it."""

    given: CallersSession
    add: Callable[[int], None]

    def numbers(self) -> list[int]:
        """Return the caller's rows, as the caller sees them."""
        return list(self.given.scalars(select(Row.n).order_by(Row.n)))

    def commit(self) -> None:
        self.given.commit()

    def rollback(self) -> None:
        self.given.rollback()


KINDS = ("Session", "scoped_session", "Connection")


@contextmanager
def caller(engine: Engine, kind: str) -> Iterator[Caller]:
    """A caller with an empty table of its own, and a transaction that has not begun."""
    Base.metadata.create_all(engine)
    if kind == "Connection":
        with engine.connect() as connection:
            yield Caller(connection, lambda n: _insert(connection, n))
        return
    scope = scoped_session(sessionmaker(engine))
    given: Session | scoped_session[Session] = scope if kind == "scoped_session" else scope()
    try:
        yield Caller(given, lambda n: given.add(Row(n=n)))
    finally:
        scope.remove()


def _insert(connection: Connection, n: int) -> None:
    connection.execute(text("INSERT INTO callers VALUES (:n)"), {"n": n})
