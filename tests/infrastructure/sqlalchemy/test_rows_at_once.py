"""A large save on SQLite goes to the database 140 rows at a time, and is still one save.

One of up to 140 rows is one statement, and no transaction besides. (100, of rows with all values.)
"""

from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.exceptions import ConcurrencyError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy import sqlite
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from tests.backends import Backend
from tests.contracts.eventstore import contents, event_store, happened
from tests.contracts.places import SQLAlchemyPlace

ROWS = sqlite.PARAMETERS // 5  # two of seven are NULL, which is no parameter
FULL_ROWS = sqlite.PARAMETERS // 7


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first word of each statement that SQLite is given."""
    words: list[str] = []
    on_connect = SQLiteDriver.on_connect

    def traced(self: SQLiteDriver, connection: Any, settings: Any) -> None:
        on_connect(self, connection, settings)
        connection.set_trace_callback(lambda sql: words.append(sql.partition(" ")[0]))

    monkeypatch.setattr(SQLiteDriver, "on_connect", traced)
    return words


@pytest.fixture
def store(sqlite_file: Backend) -> Iterator[EventStore]:
    store = event_store(SQLAlchemyPlace(str(sqlite_file.uri)))
    yield store
    store.close()


@pytest.mark.parametrize("count", [2, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 2 * ROWS + 7])
def test_all_rows_are_stored_in_their_order(store: EventStore, count: int) -> None:
    events = [happened("s", n, f"{n}, (?)") for n in range(count)]
    store.store(events)
    assert contents(store, "s") == events
    assert isinstance(store.record_manager, SQLAlchemyRecordManager)
    feed = [item[1][1] for item in store.record_manager.feed().get_items()]
    assert feed == list(range(count))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["INSERT"]),
        (2, ["INSERT"]),
        (ROWS, ["INSERT"]),
        (ROWS + 1, ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ],
)
def test_a_few_rows_are_one_statement(
    sent: list[str], store: EventStore, count: int, expected: list[str]
) -> None:
    sent.clear()
    store.store([happened("s", n) for n in range(count)])
    assert sent == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (FULL_ROWS, ["INSERT"]),
        (FULL_ROWS + 1, ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ],
)
def test_rows_with_all_values_are_fewer_at_once(
    sent: list[str], store: EventStore, count: int, expected: list[str]
) -> None:
    events = [happened("s", n) for n in range(count - 1)]
    with unit_of_work("a"):
        events.append(happened("s", count - 1))  # one of them is enough
    sent.clear()
    store.store(events)
    assert sent == expected
    assert [event.context.correlation_id for event in contents(store, "s")[-2:]] == [None, "a"]


@pytest.mark.parametrize("taken", [0, ROWS - 1, ROWS, 2 * ROWS])
def test_a_conflict_anywhere_leaves_nothing(store: EventStore, taken: int) -> None:
    store.store(happened("rival", taken))
    events = [happened("s", n) for n in range(taken)]
    events += [happened("rival", n) for n in range(taken, 2 * ROWS + 2)]
    with pytest.raises(ConcurrencyError) as caught:
        store.store(events)
    assert (caught.value.originator_id, caught.value.expected_version) == ("rival", taken)
    assert contents(store, "s") == []
    assert contents(store, "rival") == [happened("rival", taken)]


def test_wide_rows_go_in_smaller_numbers(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PARAMETERS", 3)  # fewer than a row has
    sizes: list[int] = []
    original: Any = sqlite._for_rows

    def counted(sql: str, count: int) -> Any:
        sizes.append(count)
        return original(sql, count)

    monkeypatch.setattr(sqlite, "_for_rows", counted)
    events = [happened("s", n) for n in range(5)]
    store.store(events)
    assert contents(store, "s") == events
    assert sizes == [1]


def test_inline_work_is_made_of_the_items_and_done_once_the_rows_are_there(
    store: EventStore,
) -> None:
    manager: Any = store.record_manager
    seen: list[Any] = []

    def inline(items: Any) -> Any:
        def work(connection: Any) -> None:
            sql = "SELECT count(*) FROM stored_events"
            seen.append((len(items), connection.exec_driver_sql(sql).scalar()))

        return work

    manager.inline = inline
    store.store([happened("s", n) for n in range(2)])

    assert seen == [(2, 2)]


def test_savers_wait_for_each_other_as_the_driver_says(sqlite_file: Backend) -> None:
    manager = SQLAlchemyPlace(str(sqlite_file.uri)).open(lock_timeout=7)
    groups: Any = manager._groups
    manager.close()

    assert (groups._shares_lock_timeouts, groups._lock_timeout) == (True, 7)
