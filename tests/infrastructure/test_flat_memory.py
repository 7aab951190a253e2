"""A long stream, and the feed, are read in memory that does not grow with their length."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.infrastructure.sqlalchemy import feed, manager

LENGTH = 100_000
STREAM = "a long one"
FLAT = 4 * 2**20
"""Bytes: what a thousand rows take, and a good deal less than what all of them take."""

Read = Callable[[SimpleApplication], int]


class Counter(AggregateRoot):
    """Counts the changes of an attribute."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with a stream of so many events."""
    path = tmp_path_factory.mktemp("flat") / "events.db"
    with SimpleApplication(uri=f"sqlite:///{path}") as app:
        counter = Counter.create(id=STREAM)
        counter.change_attribute("count", 1)
        mapper = app.event_store.mapper
        created, changed = map(mapper.item_from_event, counter.pending_events)
        later: list[Any] = [
            changed._replace(originator_version=n, event_id=f"{n:032x}")  # type: ignore[attr-defined]
            for n in range(2, LENGTH)
        ]
        app.event_store.record_manager.record([created, changed, *later])
    return path


@pytest.fixture
def app(file: Path) -> Iterator[SimpleApplication]:
    with SimpleApplication(uri=f"sqlite:///{file}") as app:
        yield app


def iterate(app: SimpleApplication) -> int:
    return sum(1 for _ in app.event_store.get_domain_events(STREAM))


def iterate_backwards(app: SimpleApplication) -> int:
    return sum(1 for _ in app.event_store.get_domain_events(STREAM, is_ascending=False))


def replay(app: SimpleApplication) -> int:
    return app.repository.get(STREAM, Counter).version


def follow(app: SimpleApplication) -> int:
    return sum(1 for _ in app.notification_log.select())


def follow_backwards(app: SimpleApplication) -> int:
    return sum(1 for _ in app.notification_log.select(is_ascending=False))


each_way = pytest.mark.parametrize(
    "read", [iterate, iterate_backwards, replay, follow, follow_backwards]
)


def peak(app: SimpleApplication, read: Read) -> int:
    """Return the most bytes that a reading has at a time."""
    tracemalloc.start()
    try:
        assert read(app) == LENGTH
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@each_way
def test_a_long_stream_is_read_in_flat_memory(app: SimpleApplication, read: Read) -> None:
    assert peak(app, read) < FLAT


@each_way
def test_control_a_page_without_bounds_is_not_flat(
    app: SimpleApplication, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (manager, feed):
        monkeypatch.setattr(module, "FIRST_PAGE", LENGTH)

    assert peak(app, read) > 4 * FLAT
