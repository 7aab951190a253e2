"""Where to connect, and how."""

import os
import sqlite3
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Self

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    in_threads,
    saved_note,
    stored,
)

THREADS = 8


def pragma(app: SimpleApplication, name: str) -> Any:
    """Return a PRAGMA of the application's connection."""
    datastore = app.event_store.record_manager.datastore  # type: ignore[attr-defined]
    return datastore.fetch(f"PRAGMA {name}", ())[0][0]


# -- SQLite files ------------------------------------------------------------------------


def test_a_file_loses_nothing_by_default(sqlite_file: Backend) -> None:
    with application(sqlite_file) as app:
        assert (pragma(app, "journal_mode"), pragma(app, "synchronous")) == ("wal", 2)


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_the_journal_mode_can_be_set(sqlite_file: Backend, mode: Any) -> None:
    with application(sqlite_file, sqlite_journal_mode=mode) as app:
        saved_note(app)
        assert pragma(app, "journal_mode") == mode.lower()
    assert stored(sqlite_file) == 1


class RefusedOnce(sqlite3.Cursor):
    """Is told that the database is locked, at once, when it first changes the journal mode."""

    refusals = 1

    def execute(self, sql: str, parameters: Any = ()) -> Self:
        if sql == "PRAGMA journal_mode = WAL" and self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorname = "SQLITE_BUSY"
            raise error
        return super().execute(sql, parameters)


class Refused(sqlite3.Connection):
    """A connection beside others that open a new file at the same instant."""

    def cursor(self, factory: Any = RefusedOnce) -> Any:
        return super().cursor(factory)


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_a_refusal_to_change_the_journal_mode_is_not_final(tmp_path: Path, seconds: float) -> None:
    connection = sqlite3.connect(tmp_path / "events.db", timeout=seconds, factory=Refused)
    with closing(connection):
        with pytest.raises(sqlite3.OperationalError) if not seconds else nullcontext():
            SQLiteDriver().on_connect(connection, SQLAlchemySettings(uri="sqlite:///events.db"))
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        assert mode == ("wal" if seconds else "delete")


@pytest.mark.parametrize(("mode", "number"), [("OFF", 0), ("NORMAL", 1), ("FULL", 2), ("EXTRA", 3)])
def test_synchronous_can_be_set(sqlite_file: Backend, mode: Any, number: int) -> None:
    with application(sqlite_file, sqlite_synchronous=mode) as app:
        assert pragma(app, "synchronous") == number


@pytest.mark.parametrize(("seconds", "expected"), [(0.25, 250), (None, 5000)])
def test_the_lock_timeout_is_sqlites_busy_timeout(
    sqlite_file: Backend, seconds: float | None, expected: int
) -> None:
    with application(sqlite_file, lock_timeout=seconds) as app:
        assert pragma(app, "busy_timeout") == expected


def test_what_the_uri_says_takes_precedence(sqlite_file: Backend) -> None:
    with application(sqlite_file, uri=f"{sqlite_file.uri}?timeout=2") as app:
        assert pragma(app, "busy_timeout") == 2000


def test_many_threads_open_a_new_file_at_once(sqlite_file: Backend) -> None:
    def work() -> Note:
        app = application(sqlite_file)
        try:
            return saved_note(app)
        finally:
            app.close()

    assert [type(note) for note in in_threads(*[work] * THREADS)] == [Note] * THREADS
    assert stored(sqlite_file) == THREADS


# -- SQLite in memory --------------------------------------------------------------------

MEMORY = [
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite+pysqlite:///:memory:",
    "sqlite:///file::memory:",
    "sqlite:///file::memory:?uri=true",
    "sqlite:///file::memory:?cache=shared&uri=true",
    "sqlite:///file:of_threads?mode=memory&uri=true",
    "sqlite:///file:of_threads?mode=memory&cache=shared",
    "sqlite:///file:/of_threads?vfs=memdb&uri=true",
]


@pytest.mark.parametrize("uri", MEMORY)
def test_memory_is_one_database_for_all_threads_and_gone_afterwards(uri: str) -> None:
    for _ in range(2):
        with SimpleApplication(uri=uri) as app:
            notes = in_threads(*[lambda: saved_note(app)] * THREADS)
            assert [app.repository.get(note.id, Note).text for note in notes] == ["first"] * THREADS
            ((count,),) = app.event_store.record_manager.datastore.fetch(  # type: ignore[attr-defined]
                "SELECT count(*) FROM stored_events", ()
            )
        assert count == THREADS
    assert [name for name in os.listdir() if "of_threads" in name] == []


def test_two_applications_in_memory_are_two_databases() -> None:
    with SimpleApplication(uri="sqlite://") as one, SimpleApplication(uri="sqlite://") as two:
        note = saved_note(one)

        assert (note.id in one.repository, note.id in two.repository) == (True, False)


# -- URIs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bare", "driver"),
    [
        ("postgresql", "postgresql+psycopg"),
        ("mysql", "mysql+pymysql"),
        ("mariadb", "mariadb+pymysql"),
        ("sqlite", "sqlite+pysqlite"),
        ("postgresql+psycopg", "postgresql+psycopg"),
    ],
)
def test_a_bare_uri_means_the_librarys_driver(bare: str, driver: str) -> None:
    assert SQLAlchemySettings(uri=f"{bare}://").url.drivername == driver


def test_a_mariadb_uri_works(mariadb: Backend) -> None:
    with application(mariadb, uri=str(mariadb.uri).replace("mysql://", "mariadb://")) as app:
        saved_note(app)

    assert stored(mariadb) == 1


def test_the_environment_says_where_unless_somebody_else_does(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_file.uri
    monkeypatch.setenv("DB_URI", sqlite_file.uri)
    with SimpleApplication() as app, SimpleApplication(uri="sqlite://") as other:
        saved_note(app)
        saved_note(other)
    assert stored(sqlite_file) == 1

    monkeypatch.delenv("DB_URI")
    assert SQLAlchemySettings().url.database == ":memory:"


@pytest.mark.parametrize("uri", ["oracle://", "mssql+pyodbc://", "unheard_of://"])
def test_a_database_that_is_not_supported_is_named_with_those_that_are(uri: str) -> None:
    name = uri.partition("+")[0].partition(":")[0]
    with pytest.raises(ProgrammingError, match=f"'{name}'.*mariadb, mysql, postgresql, sqlite"):
        SQLAlchemySettings(uri=uri)


def test_a_driver_that_is_unknown_is_named() -> None:
    with pytest.raises(ProgrammingError, match=r"no driver 'postgresql\+unheard_of'"):
        SimpleApplication(uri="postgresql+unheard_of://")


@pytest.mark.parametrize("uri", ["sqlite+aiosqlite://", "postgresql+asyncpg://"])
def test_a_driver_for_asyncio_is_refused(uri: str) -> None:
    with pytest.raises(ProgrammingError, match="asyncio"):
        SimpleApplication(uri=uri)


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [("postgresql://", "psycopg", "postgresql"), ("mysql://", "pymysql", "mysql")],
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    uri: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ProgrammingError, match=rf"pip install 'eventsourcing\[{extra}\]'"):
        SQLAlchemyDatastore(SQLAlchemySettings(uri=uri))


@pytest.mark.parametrize(
    "uri",
    [
        "no uri at all",
        "postgresql://ann:canary@host:port/db",
        "postgresql://ann:can@ry:canary@host:canary/db",
        "sqlite://ann:canary@host/path",
    ],
)
def test_a_uri_that_cannot_be_used_is_not_shown(uri: str) -> None:
    with pytest.raises(ProgrammingError, match="URI") as raised:
        SQLAlchemyDatastore(SQLAlchemySettings(uri=uri))

    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None or "canary" not in str(raised.value.__cause__)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:canary@host/db",
        "postgresql://host/db?user=ann&password=canary",
        "mysql://ann@host/db?passwd=canary",
    ],
)
def test_settings_do_not_show_a_password(uri: str) -> None:
    settings = SQLAlchemySettings(uri=uri)

    assert "canary" not in repr(settings) + str(settings)
    assert settings.url.password == "canary"


# -- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool_size": 0},
        {"max_overflow": -1},
        {"pool_timeout": -0.1},
        {"connect_timeout": -1},
        {"lock_timeout": -1},
        {"lock_timeout": float("nan")},
        {"lock_timeout": float("inf")},
        {"lock_timeout": "1"},
        {"sqlite_journal_mode": "OFF"},
        {"sqlite_synchronous": "FULL; DROP TABLE stored_events"},
    ],
    ids=lambda wrong: " ".join(wrong),
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ProgrammingError, match=name):
        SQLAlchemySettings(**wrong)


@pytest.mark.parametrize(("seconds", "expected"), [(0, "1ms"), (0.25, "250ms"), (2, "2s")])
def test_the_lock_timeout_holds_on_postgresql(
    postgresql: Backend, seconds: float, expected: str
) -> None:
    uri = f"{postgresql.uri}?options=-c%20statement_timeout%3D7000"
    with application(postgresql, uri=uri, lock_timeout=seconds) as app:
        datastore = app.event_store.record_manager.datastore  # type: ignore[attr-defined]
        assert datastore.fetch("SHOW lock_timeout", ()) == [(expected,)]
        assert datastore.fetch("SHOW statement_timeout", ()) == [("7s",)]


def test_the_options_of_the_environment_hold_on_postgresql(
    postgresql: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(app: SimpleApplication) -> list[str]:
        datastore = app.event_store.record_manager.datastore  # type: ignore[attr-defined]
        names = ("statement_timeout", "lock_timeout")
        return [datastore.fetch(f"SHOW {name}", ())[0][0] for name in names]

    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7000")
    with application(postgresql) as app:
        assert shown(app) == ["7s", "30s"]

    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7000 -c lock_timeout=9000")
    with application(postgresql) as app:
        assert shown(app) == ["7s", "9s"]
    with application(
        postgresql, uri=f"{postgresql.uri}?options=-c%20statement_timeout%3D8000"
    ) as app:
        assert shown(app) == ["8s", "30s"]


@pytest.mark.parametrize(("seconds", "expected"), [(0, 1), (0.25, 1), (2.4, 2)])
def test_the_lock_timeout_holds_on_mariadb(mariadb: Backend, seconds: float, expected: int) -> None:
    with application(mariadb, lock_timeout=seconds) as app:
        datastore = app.event_store.record_manager.datastore  # type: ignore[attr-defined]
        assert datastore.fetch("SELECT @@innodb_lock_wait_timeout", ()) == ((expected,),)


def test_only_one_place_may_be_given() -> None:
    settings = SQLAlchemySettings(uri="sqlite://")
    with pytest.raises(ProgrammingError, match="give one of"):
        SQLAlchemyDatastore(settings, engine=object())  # type: ignore[arg-type]
