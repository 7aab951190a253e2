"""PyMySQL is given the texts of short rows as bytes. What is stored are the texts."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pymysql.connections import Connection

from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy import mysql
from tests.backends import Backend
from tests.contracts.eventstore import contents, event_store, happened
from tests.contracts.places import SQLAlchemyPlace
from tests.infrastructure.sqlalchemy.helpers import run

TEXT = "%s %% '\"\\\0\n\u00e4\U0001f600"
LONG = mysql.MOST_AS_DIGITS


@pytest.fixture
def store(mariadb: Backend) -> Iterator[EventStore]:
    store = event_store(SQLAlchemyPlace(str(mariadb.uri)))
    store.store(happened("first", 0))
    yield store
    store.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the server is given."""
    query, statements = Connection.query, list[str]()

    def recorded(self: Any, sql: str | bytes, *args: Any) -> Any:
        statements.append(sql if isinstance(sql, str) else sql.decode())
        return query(self, sql, *args)

    monkeypatch.setattr(Connection, "query", recorded)
    return statements


@pytest.mark.parametrize("count", [1, 3])
def test_texts_come_back(store: EventStore, count: int, sent: list[str]) -> None:
    given = [happened("s", n, TEXT * n) for n in range(count)]
    store.store(given)
    assert [sql.count("_utf8mb4 X'") for sql in sent] == [4 * count]  # id, topic, state, event id
    assert contents(store, "s") == given


def test_the_server_has_them_as_texts(mariadb: Backend, store: EventStore) -> None:
    given = happened("s", 0, TEXT)
    store.store(given)
    ((state, length, charset),) = run(
        mariadb,
        "SELECT state, char_length(state), charset(state) FROM stored_events"
        " WHERE originator_id = 's'",
    )
    assert (len(state), charset) == (length, "utf8mb4")


@pytest.mark.parametrize("lengths", [(LONG,), (LONG, 1)])
def test_what_is_long_goes_as_text(
    store: EventStore, lengths: tuple[int, ...], sent: list[str]
) -> None:
    given = [happened("s", n, "x" * length) for n, length in enumerate(lengths)]
    store.store(given)
    assert [sql.count("xxx") > 0 for sql in sent] == [True]
    assert [sql.count("_utf8mb4 X'") for sql in sent] == [4 * (len(lengths) - 1)]
    assert contents(store, "s") == given


def test_a_driver_that_writes_no_digits_is_given_texts(
    mariadb: Backend, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Any = Connection.escape

    def escape(self: Any, value: Any, mapping: object = None) -> str:
        return "_binary''" if value == b"" else str(original(self, value, mapping))  # as older ones

    monkeypatch.setattr(Connection, "escape", escape)
    with closing(event_store(SQLAlchemyPlace(str(mariadb.uri)))) as store:
        given = happened("s", 0, TEXT)
        store.store(given)
        assert contents(store, "s") == [given]
    assert not any("_utf8mb4 " in sql for sql in sent)
