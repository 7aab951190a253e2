"""Races for positions, on every backend, and the same without what decides them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import UniqueConstraint

from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table
from tests.backends import Backend
from tests.contracts.broken import BrokenPlace, LastOneWins
from tests.contracts.eventstore import event_store
from tests.contracts.places import MemoryPlace, SQLAlchemyPlace
from tests.races.checker import Entry, anomalies
from tests.races.writers import Race, in_processes, in_threads, processes

THREADS, PROCESSES = 16, 4
RACES = {
    "one stream": Race(("s",), saves=12),
    "many streams": Race(tuple("abcdefgh"), saves=12),
}


@pytest.fixture(params=RACES)
def race(request: pytest.FixtureRequest) -> Race:
    return RACES[request.param]


@pytest.fixture
def store(backend: Backend) -> Iterator[EventStore]:
    store = event_store(MemoryPlace() if backend.uri is None else SQLAlchemyPlace(backend.uri))
    yield store
    store.close()


@pytest.fixture
def sql_store(sql_backend: Backend) -> Iterator[EventStore]:
    store = event_store(SQLAlchemyPlace(str(sql_backend.uri)))
    yield store
    store.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with processes(PROCESSES) as pool:
        yield pool


# -- with the constraint


def test_threads_win_each_position_once(backend: Backend, store: EventStore, race: Race) -> None:
    saves = in_threads(race, store, THREADS)
    assert anomalies(saves, stored(backend, store, race)) == []
    assert {save.answer for save in saves} == {"ok", "fail"}


def test_processes_win_each_position_once(
    sql_backend: Backend, sql_store: EventStore, pool: ProcessPoolExecutor, race: Race
) -> None:
    saves = in_processes(race, str(sql_backend.uri), pool, PROCESSES)
    assert anomalies(saves, stored(sql_backend, sql_store, race)) == []
    assert {save.answer for save in saves} == {"ok", "fail"}


# -- controls


def test_without_the_constraint_threads_share_positions(sql_backend: Backend, race: Race) -> None:
    with closing(event_store(drop_constraint(sql_backend))) as store:
        saves = in_threads(race, store, THREADS)
        found = anomalies(saves, stored(sql_backend, store, race))
    assert kinds(found) >= {"position stored", "winners"}


def test_without_the_constraint_processes_share_positions(
    sql_backend: Backend, pool: ProcessPoolExecutor, race: Race
) -> None:
    place = drop_constraint(sql_backend)
    saves = in_processes(race, str(sql_backend.uri), pool, PROCESSES)
    with closing(event_store(place)) as store:
        found = anomalies(saves, stored(sql_backend, store, race))
    assert kinds(found) >= {"position stored", "winners"}


def test_without_its_check_memory_loses_events(memory: Backend, race: Race) -> None:
    with closing(event_store(BrokenPlace(LastOneWins))) as store:
        saves = in_threads(race, store, THREADS)
        found = anomalies(saves, stored(memory, store, race))
    assert kinds(found) >= {"not stored", "winners"}


def drop_constraint(backend: Backend) -> SQLAlchemyPlace:
    """Make a table in which a position may be taken twice, and return where it is."""
    table = stored_events_table()
    table.constraints -= {c for c in table.constraints if isinstance(c, UniqueConstraint)}
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=backend.uri))
    datastore.setup_table(table)
    datastore.close()
    return SQLAlchemyPlace(str(backend.uri), setup_table=False)


def kinds(found: Sequence[str]) -> set[str]:
    """Return which of some kinds of anomaly are among those found."""
    known = ("position stored", "winners", "not stored")
    return {kind for kind in known if any(kind in anomaly for anomaly in found)}


def stored(backend: Backend, store: EventStore, race: Race) -> list[Entry]:
    """Return what is stored, in the order of the feed where there is one."""
    if not backend.is_sql:
        items = [item for name in race.streams for item in store.record_manager.get_items(name)]
        return [Entry(item[4], item[0], item[1]) for item in items]
    with closing(backend.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT event_id, originator_id, originator_version FROM stored_events ORDER BY id"
        )
        return [Entry(*row) for row in cursor.fetchall()]
