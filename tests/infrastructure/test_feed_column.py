"""What a reader of the feed relies on: a writer's transaction id is older than its row's id."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest

from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.infrastructure.eventstore import EventStore
from tests.backends import Backend
from tests.contracts.eventstore import event_store, happened
from tests.contracts.places import SQLAlchemyPlace

# The columns' defaults are computed in the order of the columns. So the witness says whether the
# transaction had its id when the next default, the row's number, was taken from the sequence.
WITNESSED = """
ALTER TABLE stored_events RENAME TO original;
CREATE TABLE stored_events (
    witness xid8 DEFAULT pg_current_xact_id_if_assigned(),
    LIKE original INCLUDING ALL
);
"""


@pytest.fixture
def connection(postgresql: Backend) -> Iterator[psycopg.Connection[Any]]:
    with closing(postgresql.connect(autocommit=True)) as connection:
        yield connection


@pytest.fixture
def store(postgresql: Backend, connection: psycopg.Connection[Any]) -> Iterator[EventStore]:
    """An event store whose table has a witness beside the row's number."""
    assert postgresql.uri is not None
    store = event_store(SQLAlchemyPlace(postgresql.uri))
    connection.execute(WITNESSED)
    yield store
    store.close()


def witnesses(connection: psycopg.Connection[Any]) -> list[bool]:
    """Return for each row whether its transaction had an id before the row had its number."""
    found = connection.execute("SELECT witness IS NOT NULL FROM stored_events ORDER BY id")
    return [seen for (seen,) in found]


def test_a_single_insert_takes_the_transaction_id_first(
    store: EventStore, connection: psycopg.Connection[Any]
) -> None:
    store.store(happened("s", 0))
    store.store(happened("s", 1))
    assert witnesses(connection) == [True, True]


def test_a_batch_takes_the_transaction_id_first(
    store: EventStore, connection: psycopg.Connection[Any]
) -> None:
    store.store([happened("s", 0), happened("s", 1), happened("t", 0)])
    assert witnesses(connection) == [True, True, True]


def test_the_saves_of_a_group_take_the_transaction_id_first(
    store: EventStore, connection: psycopg.Connection[Any]
) -> None:
    _store_as_a_group(store, [happened(str(n), 0) for n in range(100)])
    assert witnesses(connection) == [True] * 100


def test_a_plain_insert_does_not(store: EventStore, connection: psycopg.Connection[Any]) -> None:
    """The control: what is guarded against would be seen."""
    connection.execute(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state, event_id)"
        " VALUES ('s', 0, 't', '{}', 'a'), ('s', 1, 't', '{}', 'b')"
    )
    assert witnesses(connection)[0] is False


def test_the_sequence_is_not_cached(store: EventStore, connection: psycopg.Connection[Any]) -> None:
    found = connection.execute("SELECT cache_size FROM pg_sequences").fetchall()
    assert {size for (size,) in found} == {1}


def _store_as_a_group(store: EventStore, events: Sequence[DomainEvent]) -> None:
    items = [store.mapper.item_from_event(event) for event in events]
    manager = store.record_manager
    manager._write(manager._statements.rows(items), True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("store_all", [EventStore.store, _store_as_a_group])
def test_a_batch_is_numbered_in_its_order(
    sql_backend: Backend, store_all: Callable[[EventStore, Sequence[DomainEvent]], None]
) -> None:
    assert sql_backend.uri is not None
    store = event_store(SQLAlchemyPlace(sql_backend.uri))
    batch = [happened(n % 7, n // 7) for n in range(500)]
    store_all(store, batch)
    store.close()
    with closing(sql_backend.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT event_id FROM stored_events ORDER BY id")
        found = [event_id for (event_id,) in cursor.fetchall()]
        cursor.close()
    assert found == [event.context.event_id for event in batch]
