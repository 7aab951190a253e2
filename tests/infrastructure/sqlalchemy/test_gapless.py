"""The record manager that numbers the feed without gaps."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, UniqueConstraint, inspect
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    ConstraintViolation,
    ProgrammingError,
    SequencedItemConflict,
    ValueTooLarge,
)
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.gapless import (
    GaplessRecordManager,
    feed_counters_table,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.statements import Write
from eventsourcing.infrastructure.sqlalchemy.tables import (
    OriginatorId,
    State,
    stored_events_table,
)
from tests.backends import Backend
from tests.contracts.places import TABLES, Place, SQLAlchemyPlace
from tests.contracts.recordmanager import ManagerPort, RecordManagerContract, item
from tests.contracts.streams import Port
from tests.infrastructure.sqlalchemy.helpers import (
    engine_of,
    engine_with_schema,
    in_threads,
    run,
    saved_note,
    unnumbered_table,
)

SAVERS, SAVES = 4, 25


@contextmanager
def opened(
    backend: Backend, cls: type[SQLAlchemyRecordManager] = GaplessRecordManager, **settings: Any
) -> Iterator[SimpleApplication]:
    """An application on a record manager of this class."""
    manager = cls(SQLAlchemyDatastore(SQLAlchemySettings(uri=backend.uri, **settings)))
    manager.setup_table()
    with SimpleApplication(record_manager=manager) as app:
        yield app


def numbers(backend: Backend) -> list[int]:
    return [number for (number,) in run(backend, "SELECT id FROM stored_events ORDER BY id")]


class GaplessPlace(SQLAlchemyPlace):
    """A database that is written to without gaps."""

    def open(
        self, item_class: type[tuple[Any, ...]] = StoredEvent, **settings: Any
    ) -> SQLAlchemyRecordManager:
        datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=self.uri, **settings))
        manager = GaplessRecordManager(datastore, TABLES[item_class], item_class)
        manager.setup_table()
        return manager


class TestGaplessRecordManager(RecordManagerContract):
    """It is a record manager."""

    @pytest.fixture
    def place(self, sql_backend: Backend) -> Place:
        return GaplessPlace(str(sql_backend.uri))

    @pytest.fixture
    def manager(self, place: Place) -> Iterator[RecordManager]:
        with closing(place.open()) as manager:
            yield manager

    @pytest.fixture
    def port(self, manager: RecordManager) -> Port:
        return ManagerPort(manager)


@pytest.mark.parametrize("group_commit", [True, False])
def test_savers_at_once_leave_no_gap(sql_backend: Backend, group_commit: bool) -> None:
    with opened(sql_backend, group_commit=group_commit) as app:
        shared = saved_note(app)

        def save() -> int:
            refused = 0
            for n in range(SAVES):
                own = saved_note(app, str(n))
                own.edit("changed")
                rival = app.repository[shared.id]
                rival.edit(str(n))
                try:
                    app.save(own, rival)
                except ConcurrencyError:
                    refused += 1
            return refused

        refused = sum(in_threads(*[save] * SAVERS))
        stored = 1 + SAVERS * SAVES + 2 * (SAVERS * SAVES - refused)
        assert numbers(sql_backend) == list(range(1, stored + 1))
        assert [n.position for n in app.notification_log.select()] == numbers(sql_backend)


def test_a_save_that_is_refused_leaves_no_gap(sql_backend: Backend) -> None:
    with opened(sql_backend) as app:
        manager = app.event_store.record_manager
        manager.record([item("s", 0)])
        with pytest.raises(SequencedItemConflict):
            manager.record([item("t", 0), item("s", 0)])
        manager.record([item("s", 1)])
    assert numbers(sql_backend) == [1, 2]


@pytest.mark.parametrize("sql_backend", ["postgresql", "mariadb"], indirect=True)
def test_the_usual_record_manager_leaves_one(sql_backend: Backend) -> None:
    """The control."""
    with opened(sql_backend, SQLAlchemyRecordManager) as app:
        manager = app.event_store.record_manager
        manager.record([item("s", 0)])
        with pytest.raises(SequencedItemConflict):
            manager.record([item("t", 0), item("s", 0)])
        manager.record([item("s", 1)])
    assert numbers(sql_backend) != [1, 2]


def test_a_callers_rollback_leaves_no_gap(sql_backend: Backend) -> None:
    with opened(sql_backend):
        pass
    with engine_of(sql_backend) as engine, Session(engine) as session:
        manager = GaplessRecordManager(SQLAlchemyDatastore(session=session))
        with SimpleApplication(record_manager=manager) as app:
            saved_note(app)
            session.rollback()
            saved_note(app)
            session.commit()
    assert numbers(sql_backend) == [1]


def test_numbers_go_on_from_what_is_stored(sql_backend: Backend) -> None:
    with opened(sql_backend, SQLAlchemyRecordManager) as app:
        saved_note(app)
        saved_note(app)
    for _ in range(2):
        with opened(sql_backend) as app:
            saved_note(app)
    assert numbers(sql_backend) == [1, 2, 3, 4]


@pytest.mark.parametrize("sql_backend", ["postgresql", "mariadb"], indirect=True)
def test_a_number_that_another_kind_of_writer_took_is_refused(sql_backend: Backend) -> None:
    with opened(sql_backend) as app, opened(sql_backend, SQLAlchemyRecordManager) as other:
        other.event_store.record_manager.record([item("s", 0)])
        with pytest.raises(ConstraintViolation):
            app.event_store.record_manager.record([item("t", 0)])


def test_without_a_counter_the_error_says_what_to_do(sql_backend: Backend) -> None:
    with opened(sql_backend) as app:
        run(sql_backend, "DELETE FROM feed_counters")
        with pytest.raises(
            ProgrammingError, match=r"has no row for 'stored_events': call setup_table\(\) once$"
        ):
            app.event_store.record_manager.record([item("s", 0)])
    assert numbers(sql_backend) == []


def test_a_table_without_numbers_is_refused(sqlite_file: Backend) -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri))
    with closing(datastore), pytest.raises(ProgrammingError, match="no column that counts rows"):
        GaplessRecordManager(datastore, unnumbered_table(), SequencedItem)


def test_a_number_that_is_a_field_of_the_item_is_no_number_of_the_feed() -> None:
    table = Table(
        "numbered",
        MetaData(),
        Column("sequence_id", OriginatorId),
        Column("position", Integer, primary_key=True),
        Column("topic", State),
        Column("state", State),
        UniqueConstraint("sequence_id", "position"),
    )
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))
    with closing(datastore), pytest.raises(ProgrammingError, match="no column that counts rows"):
        GaplessRecordManager(datastore, table, SequencedItem)


def test_the_table_of_counters_has_a_row_for_each_table_of_events() -> None:
    metadata = MetaData()
    table = feed_counters_table("events", metadata)
    columns = [(c.name, str(c.type), c.primary_key, c.nullable) for c in table.c]
    assert (table.fullname, table.metadata) == ("events.feed_counters", metadata)
    assert columns == [("name", "VARCHAR(63)", True, False), ("last", "BIGINT", False, False)]


def test_each_table_of_events_has_numbers_of_its_own(sqlite_file: Backend) -> None:
    with closing(SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri))) as datastore:
        for name in ("one", "two"):
            manager = GaplessRecordManager(datastore, stored_events_table(name))
            manager.setup_table()
            manager.record([item("s", 0), item("s", 1)])
            assert [manager.feed_position("s", n) for n in range(2)] == [1, 2]


def test_the_counters_are_in_the_schema_of_the_events(sqlite_file: Backend, tmp_path: Path) -> None:
    with engine_with_schema(sqlite_file, "other", tmp_path / "other.db") as engine:
        table = stored_events_table(schema="other")
        manager = GaplessRecordManager(SQLAlchemyDatastore(engine=engine), table)
        manager.setup_table()
        manager.record([item("s", 0)])
        found = inspect(engine).get_table_names(schema="other")
        manager.close()
    assert sorted(found) == ["feed_counters", "stored_events"]


def test_what_the_server_would_not_take_is_refused_before_it_is_inserted(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(sqlite_file) as app:
        manager: Any = app.event_store.record_manager
        seen: list[Any] = []

        def refuse(engine: Engine, cursor: Any, write: Write) -> None:
            if "s" in write.parameters:  # and so it is not that of the number
                seen.extend((engine, cursor.connection.in_transaction, write.parameters[:3]))
                raise ValueTooLarge("too large")

        monkeypatch.setattr(manager.datastore.driver, "check", refuse)
        with pytest.raises(ValueTooLarge, match="too large"):
            manager.record([item("s", 0)])
        monkeypatch.undo()
        assert seen == [manager.datastore.engine, True, (1, "s", 0)]
        manager.record([item("s", 0)])
    assert numbers(sqlite_file) == [1]


def test_inline_work_is_done_once_the_rows_are_there(sqlite_file: Backend) -> None:
    with opened(sqlite_file) as app:
        manager: Any = app.event_store.record_manager
        seen: list[Any] = []

        def work(connection: Any) -> None:
            count = connection.exec_driver_sql("SELECT count(*) FROM stored_events").scalar()
            seen.append((count, connection.in_transaction()))

        manager.inline = lambda items: work
        manager.record([item("s", 0), item("s", 1)])
    assert seen == [(2, True)]


def test_items_of_another_class_are_numbered_too(sqlite_file: Backend) -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri))
    manager = GaplessRecordManager(datastore, TABLES[SequencedItem], SequencedItem)
    manager.setup_table()
    items = [SequencedItem("s", n, "topic", "state") for n in range(2)]

    manager.record(items)

    assert list(manager.get_items("s")) == items
    assert [manager.feed_position("s", n) for n in range(2)] == [1, 2]
    manager.close()
