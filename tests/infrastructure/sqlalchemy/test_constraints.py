"""Constraints of the user's own table, and keys by other names than the library's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import CheckConstraint, Column, Constraint, Index, String, UniqueConstraint

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    ConstraintViolation,
    SequencedItemConflict,
)
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import (
    SQLAlchemyRecordManager,
    _unique_keys,
)
from tests.backends import Backend
from tests.contracts.recordmanager import item
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    run,
    saved_note,
    shown,
    table_with,
)


class Mail(NamedTuple):
    """An item with a column more."""

    originator_id: Any
    originator_version: int
    topic: str
    state: str
    event_id: str
    correlation_id: str | None = None
    causation_id: str | None = None
    text: str | None = None


CONSTRAINTS: dict[str, Callable[[], Constraint]] = {
    "unique": lambda: UniqueConstraint("text", name="mine_text_key"),
    "unique_without_a_name": lambda: UniqueConstraint("text"),
    "check": lambda: CheckConstraint("text <> 'canary'", name="mine_text_check"),
}


@pytest.mark.parametrize("kind", CONSTRAINTS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_constraint_of_the_users_is_told_without_values(
    sql_backend: Backend, kind: str, count: int
) -> None:
    table = table_with(Column("text", String(255)), CONSTRAINTS[kind]())
    manager = SQLAlchemyRecordManager(
        SQLAlchemyDatastore(SQLAlchemySettings(uri=sql_backend.uri)), table, Mail
    )
    manager.setup_table()
    with SimpleApplication(record_manager=manager) as app:
        items = [Mail("a", 0, "t", "s", "1", text="canary")]
        if kind != "check":
            manager.record(items)
            items = [Mail("b", 0, "t", "s", "2", text="canary")]
        items += [Mail("b", n, "t", "s", str(n + 2), text=str(n)) for n in range(1, count)]

        with pytest.raises(ConstraintViolation) as raised:
            app.event_store.record_manager.record(items)

    assert "canary" not in shown(raised.value)


def test_a_key_that_a_migration_named_otherwise_is_known_by_what_is_stored(
    sql_backend: Backend,
) -> None:
    named = "CONSTRAINT somebodys_key UNIQUE (originator_id, originator_version)"
    number = {
        "sqlite": "INTEGER PRIMARY KEY",
        "postgresql": "BIGSERIAL PRIMARY KEY",
        "mariadb": "BIGINT AUTO_INCREMENT PRIMARY KEY",
    }[sql_backend.name]
    run(
        sql_backend,
        f"CREATE TABLE stored_events (id {number}, originator_id varchar(256) NOT NULL,"
        " originator_version bigint NOT NULL, topic text NOT NULL, state text NOT NULL,"
        f" event_id varchar(32), correlation_id text, causation_id text, {named})",
    )
    with application(sql_backend) as app:
        note = saved_note(app)
        rival = app.repository.get(note.id, Note)
        note.edit("mine")
        rival.edit("theirs")
        app.save(rival)

        with pytest.raises(ConcurrencyError):
            app.save(note)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_key_of_an_unknown_name_is_that_of_the_positions_where_one_is_taken(
    sqlite_file: Backend, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(sqlite_file, group_commit=False) as app:
        manager = app.event_store.record_manager
        assert isinstance(manager, SQLAlchemyRecordManager)
        manager.record([item("s", taken)])
        monkeypatch.setattr(manager.datastore, "violated_key", lambda _: "somebodys_key")

        with pytest.raises(SequencedItemConflict):
            manager.record([item("s", position) for position in range(3)])


def test_a_key_of_an_unknown_name_is_another_where_no_position_is_taken(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_with(UniqueConstraint("event_id"))
    manager = SQLAlchemyRecordManager(
        SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri)), table
    )
    manager.setup_table()
    manager.record([item("s", 0), item("s", 2), item("t", 1)])
    monkeypatch.setattr(manager.datastore, "violated_key", lambda _: "somebodys_key")

    with pytest.raises(ConstraintViolation):
        manager.record([item("s", 1)])

    manager.close()


def test_the_keys_of_the_positions_are_known_by_their_names() -> None:
    position = ("originator_id", "originator_version")
    table = table_with(UniqueConstraint(*position), UniqueConstraint("topic", name="other"))
    columns = [table.c[name] for name in position]
    Index("unique_index", *columns, unique=True)
    Index("plain_index", *columns)

    assert {*_unique_keys(table, position)} == {"mine_key", "originator_id", "unique_index"}
