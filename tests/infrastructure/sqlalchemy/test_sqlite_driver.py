"""What the library knows of SQLite's errors and URLs."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy.engine import make_url

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    PersistenceError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TableNotFound,
    TransactionConflict,
    ValueTooLarge,
)
from eventsourcing.infrastructure.sqlalchemy import sqlite
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver

DRIVER = SQLiteDriver()
CODES = {
    "SQLITE_CONSTRAINT_UNIQUE": SequencedItemConflict,
    "SQLITE_CONSTRAINT_PRIMARYKEY": SequencedItemConflict,
    "SQLITE_CONSTRAINT_ROWID": SequencedItemConflict,
    "SQLITE_CONSTRAINT_CHECK": ConstraintViolation,
    "SQLITE_CONSTRAINT": ConstraintViolation,
    "SQLITE_BUSY_SNAPSHOT": TransactionConflict,
    "SQLITE_BUSY_RECOVERY": LockTimeout,
    "SQLITE_LOCKED_SHAREDCACHE": LockTimeout,
    "SQLITE_READONLY_DBMOVED": ReadOnlyDatabase,
    "SQLITE_FULL": DiskFull,
    "SQLITE_FULLER": PersistenceError,
    "SQLITE_IOERR_SHMSIZE": DiskFull,
    "SQLITE_IOERR_WRITE": PersistenceError,
    "SQLITE_CANTOPEN_ISDIR": DatabaseUnavailable,
    "SQLITE_NOTADB": DatabaseUnavailable,
    "SQLITE_TOOBIG": ValueTooLarge,
}


@pytest.mark.parametrize(("code", "expected"), CODES.items())
def test_a_code_has_a_class(code: str, expected: type[PersistenceError]) -> None:
    error = sqlite3.OperationalError("something happened")
    error.sqlite_errorname = code

    assert DRIVER.classify(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OverflowError("Python int too large"), ValueTooLarge),
        (sqlite3.OperationalError("no such table: stored_events"), TableNotFound),
        (sqlite3.OperationalError("no such column: chain"), TableNotFound),
        (sqlite3.OperationalError("unknown database other"), TableNotFound),
        (sqlite3.OperationalError("table t has no column named chain"), TableNotFound),
        (sqlite3.OperationalError("something happened"), PersistenceError),
    ],
    ids=str,
)
def test_an_error_without_a_code_has_a_class(error: Exception, expected: type) -> None:
    assert DRIVER.classify(error) is expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("UNIQUE constraint failed: t.a", frozenset({"a"})),
        ("UNIQUE constraint failed: t.a, t.b", frozenset({"a", "b"})),
        ("UNIQUE constraint failed: my.t.a, my.t.b", frozenset({"a", "b"})),
        ("UNIQUE constraint failed: index 'x'", "x"),
        ("CHECK constraint failed: t.a", None),
        ("a UNIQUE constraint failed: t.a", None),
    ],
)
def test_a_violated_key_is_known_by_its_columns_or_its_name(message: str, expected: Any) -> None:
    assert DRIVER.violated_key(sqlite3.IntegrityError(message)) == expected


def test_what_a_schema_is_to_sqlite_is_told() -> None:
    assert DRIVER.message(sqlite3.OperationalError("unknown database other")) == (
        "unknown database other (to SQLite, a schema is the name of an attached database)"
    )
    assert DRIVER.message(sqlite3.OperationalError("no such table: t")) == "no such table: t"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file:", True),
        ("sqlite:///file::memory:", True),
        ("sqlite:///file:x?mode=memory", True),
        ("sqlite:///file:/x?vfs=memdb", True),
        ("sqlite:///x.db", False),
        ("sqlite:///memory", False),
        ("sqlite:///file:x.db?mode=ro", False),
        ("sqlite:///file:x.db?vfs=unix", False),
    ],
)
def test_a_database_in_memory_is_known_by_its_url(uri: str, expected: bool) -> None:
    assert DRIVER.is_in_memory(make_url(uri)) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///file:x.db", {"uri": "true"}),
        ("sqlite:///file:x.db?mode=ro", {"uri": "true", "mode": "ro"}),
        ("sqlite:///file:x.db?uri=false", {"uri": "false"}),
        ("sqlite:///x.db", {}),
        ("sqlite://", {}),
    ],
)
def test_a_uri_of_sqlites_own_is_marked_as_one(uri: str, expected: dict[str, str]) -> None:
    assert dict(DRIVER.complete(make_url(uri)).query) == expected


@pytest.mark.parametrize(
    ("uri", "seconds", "expected"),
    [
        ("sqlite:///x.db", 7.0, {"check_same_thread": False, "timeout": 7.0}),
        ("sqlite:///x.db", None, {"check_same_thread": False}),
        ("sqlite:///x.db?timeout=2", 7.0, {"check_same_thread": False}),
    ],
)
def test_the_lock_timeout_is_the_drivers_unless_the_url_has_one(
    uri: str, seconds: float | None, expected: dict[str, Any]
) -> None:
    settings = SQLAlchemySettings(uri=uri, lock_timeout=seconds)

    assert DRIVER.connect_args(settings, make_url(uri)) == expected


class Locked(sqlite3.Cursor):
    """Is told that the database is locked, at once, whenever it changes the journal mode."""

    def execute(self, sql: str, parameters: Any = ()) -> Self:
        if sql == "PRAGMA journal_mode = WAL":
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = "SQLITE_BUSY"
            raise error
        return super().execute(sql, parameters)


class Connection(sqlite3.Connection):
    def cursor(self, factory: Any = Locked) -> Any:
        return super().cursor(factory)


def test_a_refusal_to_change_the_journal_mode_is_final_after_the_lock_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [7.0]

    def sleep(seconds: float) -> None:
        assert seconds == sqlite.PAUSE
        now[0] += 2**-5  # of which there are whole numbers in a second

    monkeypatch.setattr(sqlite, "monotonic", lambda: now[0])
    monkeypatch.setattr(sqlite, "sleep", sleep)

    with (
        closing(sqlite3.connect(":memory:", timeout=32, factory=Connection)) as connection,
        pytest.raises(sqlite3.OperationalError),
    ):
        DRIVER.on_connect(connection, SQLAlchemySettings(uri="sqlite:///events.db"))

    assert now[0] == 7 + 32


def test_a_journal_mode_that_the_file_has_is_not_set_again(tmp_path: Path) -> None:
    settings = SQLAlchemySettings(uri=f"sqlite:///{tmp_path}/events.db")
    sent: list[str] = []

    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        DRIVER.on_connect(connection, settings)
        connection.set_trace_callback(sent.append)
        DRIVER.on_connect(connection, settings)

    assert len([sql for sql in sent if "journal_mode" in sql.lower()]) == 1
