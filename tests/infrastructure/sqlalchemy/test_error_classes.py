"""Every error that a driver knows becomes a PersistenceError of some class."""

import inspect
import sqlite3
from collections.abc import Iterator

import psycopg
import pymysql
import pytest
from psycopg import errors as psycopg_errors
from pymysql.constants import CR, ER

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
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.drivers import driver_for


def sqlite_errors() -> Iterator[sqlite3.Error]:
    names = [name for name in dir(sqlite3) if name.startswith("SQLITE_")]
    for name in names:
        error = sqlite3.OperationalError("something happened")
        error.sqlite_errorname = name
        yield error
    yield from (
        cls("something happened")
        for _, cls in inspect.getmembers(sqlite3, inspect.isclass)
        if issubclass(cls, sqlite3.Error)
    )


def postgresql_errors() -> Iterator[psycopg.Error]:
    for module in (psycopg, psycopg_errors):
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, psycopg.Error):
                yield cls("something happened")


def mariadb_errors() -> Iterator[pymysql.err.Error]:
    codes = {
        code
        for constants in (ER, CR)
        for name, code in vars(constants).items()
        if isinstance(code, int) and not name.startswith("_")
    }
    classes = [
        cls
        for _, cls in inspect.getmembers(pymysql.err, inspect.isclass)
        if issubclass(cls, pymysql.err.Error)
    ]
    for code in sorted(codes):
        yield pymysql.err.OperationalError(code, "something happened")
    for cls in classes:
        yield cls("something happened")
        yield cls()


ERRORS = {"sqlite": sqlite_errors, "postgresql": postgresql_errors, "mysql": mariadb_errors}


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_of_a_driver_becomes_ours(name: str) -> None:
    settings = SQLAlchemySettings(uri=f"{name}://")
    datastore = SQLAlchemyDatastore(settings)
    errors = list(ERRORS[name]())

    foreign = []
    for error in errors:
        try:
            datastore._translate.raise_for(error)
        except PersistenceError:
            continue
        except Exception as passed:
            foreign.append(passed)

    assert foreign == []
    assert len(errors) > 50
    datastore.close()


@pytest.mark.parametrize("name", ERRORS)
def test_every_class_of_ours_has_an_error_of_the_driver(name: str) -> None:
    classify = driver_for(name).classify

    found = {classify(error) for error in ERRORS[name]()}

    # SQLite tells a missing table only by its message.
    assert found | {TableNotFound} == {
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
    }


def test_control_an_error_of_nobodys_is_passed_on() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))
    bug = ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as raised:
        datastore._translate.raise_for(bug)

    assert raised.value is bug
    datastore.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Duplicate entry 'canary' for key 'mail'", "1062 Duplicate entry for key 'mail'"),
        (
            "Duplicate entry 'canary's' for key 't.mail'",
            "1062 Duplicate entry for key 't.mail'",
        ),
        (
            "Incorrect integer value: 'canary' for column `d`.`t`.`n` at row 1",
            "1062 Incorrect integer value: for column `d`.`t`.`n` at row 1",
        ),
        ("Data too long for column 'n' at row 1", "1062 Data too long for column 'n' at row 1"),
    ],
)
def test_a_message_of_mariadb_is_shown_without_values(message: str, expected: str) -> None:
    error = pymysql.err.IntegrityError(1062, message)

    assert driver_for("mysql").message(error) == expected


@pytest.mark.parametrize(
    "message",
    [
        "Error writing file '/x' (Errcode: 28 \"No space left on device\")",
        "Got error 28 from storage engine",
        "Got error 28 'No space left on device' from InnoDB",
    ],
)
def test_mariadb_says_in_many_ways_that_there_is_no_space(message: str) -> None:
    error = pymysql.err.OperationalError(1026, message)

    assert driver_for("mysql").classify(error) is DiskFull
