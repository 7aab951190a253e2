"""A model, and a database whose rows somebody has changed without the library."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.exceptions import DataIntegrityError, TopicResolutionError
from tests.backends import Backend

BAD, GOOD = "bad", "good"


class Account(AggregateRoot):
    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.balance = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal, note: Any = None) -> None:
        self.balance += amount


class Order(AggregateRoot):
    class Shipped(AggregateRoot.Event):
        pass


def topic(name: str) -> str:
    return f"{__name__}#{name}"


@contextmanager
def two_accounts(backend: Backend) -> Iterator[SimpleApplication]:
    """Gives an application that has the accounts BAD and GOOD, of three events each."""
    with SimpleApplication(uri=backend.uri) as app:
        for account_id in (BAD, GOOD):
            account = Account.create(id=account_id, owner="Ann")
            account.deposit(Decimal("1.50"), note={"at": ("home", 1)})
            account.deposit(Decimal(2))
            account.save()
        yield app


def execute(backend: Backend, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Executes a statement with the bare driver. Parameters stand as question marks."""
    if backend.name != "sqlite":
        sql = sql.replace("?", "%s")
    with closing(backend.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(sql, parameters)
        rows = cursor.fetchall() if cursor.description else []
        cursor.close()
        connection.commit()
    return list(rows)


def tamper(backend: Backend, column: str, value: Any, version: int = 1) -> None:
    """Changes one column of one of BAD's rows."""
    execute(
        backend,
        f"UPDATE stored_events SET {column} = ? WHERE originator_id = ? AND originator_version = ?",
        value,
        BAD,
        version,
    )


def stored(backend: Backend, column: str, version: int = 1) -> Any:
    """Returns one column of one of BAD's rows."""
    ((value,),) = execute(
        backend,
        f"SELECT {column} FROM stored_events WHERE originator_id = ? AND originator_version = ?",
        BAD,
        version,
    )
    return value


def outcome(app: SimpleApplication) -> Any:
    """Returns BAD, or the typed error that reading it raises. Anything else is raised.

    GOOD must be as it was, whatever happens to BAD.
    """
    try:
        found: Any = app.repository[BAD]
    except (DataIntegrityError, TopicResolutionError) as error:
        found = error
    assert app.repository.get(GOOD, Account).balance == Decimal("3.50")
    return found


def where(error: Any) -> tuple[Any, Any]:
    """Returns the id and version that the error names, in its attributes and its message."""
    assert repr(error.originator_id) in str(error)
    assert str(error.originator_version) in str(error)
    return error.originator_id, error.originator_version
