"""A store is verified in memory that grows neither with it nor with what is wrong with it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import verify
from eventsourcing.infrastructure.feed import Feed
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy import feed
from tests.contracts.eventstore import happened

STREAMS = 5_000
FLAT = 1_000_000  # bytes, peak
EVERYTHING = 1_000_000  # rows: a page that is none

# What a stream has, in the order of the feed.
HEALTHY, INCOMPLETE, DISORDERED = (0, 1), (1,), (1, 0)
Positions = tuple[int, ...]


@pytest.fixture(scope="module", params=[HEALTHY, INCOMPLETE, DISORDERED], ids=str)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a store with so many streams."""
    path: Path = tmp_path_factory.mktemp("verified") / "events.db"
    uri = f"sqlite:///{path}"
    with SimpleApplication(uri) as app:
        topic, state = app.event_store.mapper.item_from_event(happened("s", 0))[2:4]
        app.event_store.record_manager.record(
            [
                StoredEvent(f"stream {n}", version, topic, state, f"{n:031}{version}")
                for version in request.param
                for n in range(STREAMS)
            ]
        )
    return uri


def peak(uri: str, work: Callable[[SimpleApplication], object]) -> int:
    """Return the most bytes that are needed at a time, once all is imported and compiled."""
    with SimpleApplication(uri, setup_table=False) as app:
        tracemalloc.start()
        try:
            work(app)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def look_for_gaps_and_order(app: SimpleApplication) -> None:
    found: Feed = app.event_store.record_manager.feed()
    for looked_for in (found.incomplete_sequences(), found.disordered_items()):
        for _ in looked_for:
            pass


def test_a_store_is_verified_in_flat_memory(store: str) -> None:
    assert peak(store, verify) < FLAT


def test_control_without_pages_it_is_not_flat(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LARGEST_PAGE", EVERYTHING)
    assert peak(store, verify) > 2 * FLAT


@pytest.mark.parametrize("store", [INCOMPLETE, DISORDERED], ids=str, indirect=True)
def test_what_is_wrong_is_looked_for_in_pages(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pages = peak(store, look_for_gaps_and_order)
    monkeypatch.setattr(feed, "LARGEST_PAGE", EVERYTHING)
    assert in_pages < peak(store, look_for_gaps_and_order) / 2
