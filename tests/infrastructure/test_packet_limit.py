"""An event larger than the packets that a MariaDB server takes, which it answers by hanging up."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.connections import Connection

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError, ValueTooLarge
from eventsourcing.infrastructure.eventstore import EventStore
from tests.backends import Backend
from tests.contracts.eventstore import contents, event_store, happened
from tests.contracts.packets import packet_limit
from tests.contracts.places import SQLAlchemyPlace
from tests.infrastructure.sqlalchemy.helpers import engine_of, saved_note, stored

MEGABYTE = 1024 * 1024


@pytest.fixture
def store(mariadb: Backend) -> Iterator[EventStore]:
    """An event store on a server whose packets have at most 1 MB."""
    assert mariadb.uri is not None
    with packet_limit(mariadb, MEGABYTE):
        store = event_store(SQLAlchemyPlace(mariadb.uri))
        yield store
        store.close()


TOO_LARGE = {
    "2 MB": "x" * 2 * MEGABYTE,
    "just too large": "x" * MEGABYTE,
    "few characters of many bytes": "\U0001f600" * 300_000,
    "characters that are escaped": '"' * 300_000,
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_event_larger_than_a_packet_is_refused(store: EventStore, name: str) -> None:
    with pytest.raises(ValueTooLarge, match="max_allowed_packet"):
        store.store(happened("s", 0, TOO_LARGE[name]))
    assert contents(store, "s") == []


def test_a_batch_with_an_event_larger_than_a_packet_is_refused(store: EventStore) -> None:
    with pytest.raises(ValueTooLarge):
        store.store([happened("s", 0), happened("s", 1, "x" * 2 * MEGABYTE), happened("s", 2)])
    assert contents(store, "s") == []


def test_the_store_goes_on_after_a_refusal(store: EventStore) -> None:
    with pytest.raises(ValueTooLarge):
        store.store(happened("s", 0, "x" * 2 * MEGABYTE))
    given = [happened("s", 0), happened("s", 1)]
    store.store(given)
    assert contents(store, "s") == given


def test_a_batch_may_be_larger_than_a_packet_if_no_event_is(store: EventStore) -> None:
    given = [happened("s", n, "x" * 500_000) for n in range(5)]
    store.store(given)
    assert contents(store, "s") == given


@pytest.mark.parametrize("size", [10, 500_000], ids=["one statement", "several"])
def test_a_batch_is_stored_as_a_whole_or_not_at_all(store: EventStore, size: int) -> None:
    store.store(happened("s", 4))
    with pytest.raises(ConcurrencyError):
        store.store([happened("s", n, "x" * size) for n in range(5)])
    assert [event.originator_version for event in contents(store, "s")] == [4]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["%s %% '\"\\\0\n\u00e4\U0001f600"] * 100, ["INSERT"]),
        (["x" * 300_000] * 3, ["INSERT"]),
        (["x" * 300_000] * 4, ["BEGIN", *["INSERT"] * 4, "COMMIT"]),
        (["\U0001f600" * 100_000] * 3, ["BEGIN", *["INSERT"] * 3, "COMMIT"]),
        (['"' * 200_000] * 3, ["BEGIN", *["INSERT"] * 3, "COMMIT"]),
    ],
    ids=["100 events", "just below", "too large", "many bytes", "escaped"],
)
def test_a_batch_that_a_packet_takes_is_one_statement(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, texts: list[str], expected: list[str]
) -> None:
    store.store(happened("t", 0))
    query, sent = Connection.query, []

    def recorded(self: Any, sql: str | bytes, *args: Any) -> Any:
        sent.append((sql if isinstance(sql, str) else sql.decode()).partition(" ")[0])
        return query(self, sql, *args)

    monkeypatch.setattr(Connection, "query", recorded)
    given = [happened("s", n, text) for n, text in enumerate(texts)]
    store.store(given)
    assert sent == expected
    assert contents(store, "s") == given


def test_an_event_just_below_the_limit_is_stored(store: EventStore) -> None:
    given = happened("s", 0, "x" * (MEGABYTE - 2000))
    store.store(given)
    assert contents(store, "s") == [given]


def test_in_the_callers_transaction_it_is_refused_and_its_other_work_is_kept(
    mariadb: Backend,
) -> None:
    with (
        packet_limit(mariadb, MEGABYTE),
        engine_of(mariadb) as engine,
        engine.connect() as connection,
        SimpleApplication(session=connection) as app,
    ):
        note = saved_note(app)
        note.edit("x" * 2 * MEGABYTE)
        with pytest.raises(ValueTooLarge, match="max_allowed_packet"):
            app.save(note)
        assert len(note.pending_events) == 1
        connection.commit()
    assert stored(mariadb) == 1
