"""A stream is read in pages, and between two pages nothing is held."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from weakref import WeakSet

import pytest

from eventsourcing.exceptions import DatabaseUnavailable
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy import manager
from eventsourcing.infrastructure.sqlalchemy.manager import (
    FIRST_PAGE,
    LARGEST_PAGE,
    SQLAlchemyRecordManager,
)
from tests.backends import Backend
from tests.contracts.eventstore import contents, event_store, happened
from tests.contracts.places import SQLAlchemyPlace

COUNT = FIRST_PAGE + LARGEST_PAGE + 1


@pytest.fixture
def store(sql_backend: Backend) -> Iterator[EventStore]:
    """An event store with a single connection, and a stream of two pages and one event."""
    place = SQLAlchemyPlace(str(sql_backend.uri))
    store = event_store(place, pool_size=1, max_overflow=0, pool_timeout=0)
    store.store([happened("s", n) for n in range(COUNT)])
    yield store
    store.close()


@pytest.fixture
def pages(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that were fetched, query by query."""
    assert isinstance(store.record_manager, SQLAlchemyRecordManager)
    datastore = store.record_manager.datastore
    fetch, sizes = datastore.fetch, []

    def counted(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        rows = fetch(sql, parameters)
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(datastore, "fetch", counted)
    return sizes


def test_reads_under_way_hold_no_connection(store: EventStore) -> None:
    one, other = store.get_domain_events("s"), store.get_domain_events("s", is_ascending=False)
    assert [next(one), next(other)] == [happened("s", 0), happened("s", COUNT - 1)]
    store.store(happened("t", 0))
    assert contents(store, "t") == [happened("t", 0)]


def test_a_connection_that_is_held_would_be_missed(store: EventStore) -> None:
    """The control."""
    assert isinstance(store.record_manager, SQLAlchemyRecordManager)
    engine = store.record_manager.datastore.engine
    assert engine is not None
    with engine.connect(), pytest.raises(DatabaseUnavailable):
        store.store(happened("t", 0))


def test_a_stream_is_fetched_page_by_page(store: EventStore, pages: list[int]) -> None:
    read = store.get_domain_events("s")
    next(read)
    assert pages == [FIRST_PAGE]
    list(read)
    assert pages == [FIRST_PAGE, LARGEST_PAGE, 1]


def test_large_events_are_fetched_in_smaller_pages(
    store: EventStore, pages: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "PAGE_BYTES", 1)  # less than one event has
    list(islice(store.get_domain_events("s"), FIRST_PAGE + 2))
    assert pages == [FIRST_PAGE, 1, 1]


def test_a_page_of_events_of_a_megabyte_holds_sixteen_megabytes(
    store: EventStore, pages: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "FIRST_PAGE", 4)  # when the size of events is not known yet
    for n in range(40):
        store.store(happened("large", n, "x" * 2**20))
    assert sum(1 for _ in store.get_domain_events("large")) == 40
    assert pages == [4, 15, 15, 6]


def test_one_page_is_held_at_a_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Page(list[Any]):
        __hash__ = object.__hash__  # type: ignore[assignment]

    assert isinstance(store.record_manager, SQLAlchemyRecordManager)
    datastore = store.record_manager.datastore
    fetch, pages, held = datastore.fetch, WeakSet[Page](), []

    def watched(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        held.append(len(pages))
        page = Page(fetch(sql, parameters))
        pages.add(page)
        return page

    monkeypatch.setattr(datastore, "fetch", watched)
    assert sum(1 for _ in store.get_domain_events("s")) == COUNT
    assert held == [0, 0, 0]


def test_no_more_is_fetched_than_the_limit(store: EventStore, pages: list[int]) -> None:
    list(store.get_domain_events("s", limit=FIRST_PAGE + 5))
    store.get_most_recent_event("s")
    assert pages == [FIRST_PAGE, 5, 1]


@pytest.mark.parametrize("bounds", [{"limit": 0}, {"gt": 3, "lt": 4}, {"gt": 2**63 - 1}], ids=str)
def test_what_must_be_empty_is_not_fetched(
    store: EventStore, pages: list[int], bounds: dict[str, int]
) -> None:
    assert list(store.get_domain_events("s", **bounds)) == []  # type: ignore[arg-type]
    assert pages == []


def test_what_is_stored_during_a_read_is_found_on_a_later_page(store: EventStore) -> None:
    read = store.get_domain_events("s")
    next(read)
    store.store(happened("s", COUNT))
    assert list(read)[-1] == happened("s", COUNT)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["x" * 2**20] * 40, 16),
        ([b"x" * 2**20] * 40, 16),
        (["x" * (2**20 - 1)] * 3, 16),
        (["x" * 2**25], 1),
        (["x"], LARGEST_PAGE),
        ([""], LARGEST_PAGE),
        ([None, 7], LARGEST_PAGE),
        (["x" * 2**21, *["x"] * 19, "x"], 16),
    ],
    ids=["texts", "bytes", "less", "more than a page", "small", "empty", "no text", "mixed"],
)
def test_how_many_rows_are_read_next_is_chosen_by_the_size_of_some(
    states: Any, expected: int
) -> None:
    rows = [(n, "topic", state, "x" * 99) for n, state in enumerate(states)]
    found = manager._next_page(rows)
    assert (found, type(found)) == (expected, int)
