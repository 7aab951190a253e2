"""Every error that a driver knows becomes a PersistenceError of some class."""

import inspect
import sqlite3
from collections.abc import Iterator

import psycopg
import pymysql
import pytest
from psycopg import errors as psycopg_errors
from pymysql.constants import CR, ER
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
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
from eventsourcing.infrastructure.sqlalchemy.errors import Translator


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


# -- what becomes of an error ------------------------------------------------------------


@pytest.fixture(params=ERRORS)
def translator(request: pytest.FixtureRequest) -> Iterator[Translator]:
    """Of each kind of database."""
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=f"{request.param}://"))
    yield datastore._translate
    datastore.close()


@pytest.fixture
def on_postgresql() -> Iterator[Translator]:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="postgresql://"))
    yield datastore._translate
    datastore.close()


def encoding_error() -> UnicodeError:
    return UnicodeEncodeError("utf-8", "canary\ud800", 6, 7, "surrogates not allowed")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PoolTimeout("none is free"), DatabaseUnavailable),
        (InvalidRequestError("closed"), PersistenceError),
        (encoding_error(), PersistenceError),
        (ProgrammingError("ours"), None),
        (DatabaseUnavailable("ours"), None),
        (ZeroDivisionError("a bug"), None),
        (KeyboardInterrupt(), None),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, BaseException) else "",
)
def test_what_is_no_error_of_a_driver_has_its_class(
    translator: Translator, error: BaseException, expected: type | None
) -> None:
    assert translator.class_of(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), True),
        (ZeroDivisionError(), True),
        (ProgrammingError("ours"), False),
        (DatabaseUnavailable("ours"), False),
        (OSError("the network"), False),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, BaseException) else "",
)
def test_what_came_in_between_is_foreign(
    translator: Translator, error: BaseException, expected: bool
) -> None:
    assert translator.is_foreign(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), True),
        (OSError("the network"), True),
        (ProgrammingError("ours"), False),
        (InvalidRequestError("SQLAlchemy's"), False),
        (psycopg_errors.UniqueViolation("an answer"), False),
        (psycopg_errors.AdminShutdown("the end"), True),
        (DBAPIError("SQL", None, psycopg_errors.UniqueViolation("an answer")), False),
        (DBAPIError("SQL", None, psycopg_errors.AdminShutdown("the end")), True),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, BaseException) else "",
)
def test_what_leaves_a_connection_of_no_use_is_breaking(
    on_postgresql: Translator, error: BaseException, expected: bool
) -> None:
    assert on_postgresql.is_breaking(error) is expected


def test_no_error_breaks_a_connection_to_sqlite() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))
    found = datastore._translate.is_breaking(KeyboardInterrupt())
    datastore.close()
    assert found is False


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (encoding_error(), "a text cannot be encoded for the database: surrogates not allowed"),
        (InvalidRequestError("It is closed.\n[SQL: canary]\n[canary]"), "It is closed."),
        (
            InvalidRequestError("It is over. Original exception was: a Original exception"),
            "It is over.",
        ),
        (DBAPIError("canary", ("canary",), Exception("said \n")), "said"),
        (Exception(" said\n"), " said"),
    ],
    ids=["encoding", "lines", "original", "wrapped", "plain"],
)
def test_a_message_has_no_values(
    translator: Translator, error: BaseException, expected: str
) -> None:
    assert translator.message_of(error, PersistenceError) == expected


def test_the_message_of_a_missing_table_says_what_to_do(translator: Translator) -> None:
    assert translator.message_of(Exception("no table"), TableNotFound) == (
        "no table. Create the table with setup_table=True, or by a migration (docs: how-to/alembic)"
    )


def test_a_class_that_is_known_is_raised_with_the_drivers_error_as_its_cause(
    translator: Translator,
) -> None:
    error = OSError("the network")

    with pytest.raises(OutcomeUnknown, match=r"^the network$") as raised:
        translator.raise_for(DBAPIError("SQL", None, error), OutcomeUnknown)

    assert raised.value.__cause__ is error


def test_a_table_that_is_missing_is_raised_with_what_to_do() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))

    with pytest.raises(TableNotFound, match=r"^no such table: t\. Create the table with"):
        datastore.fetch("SELECT * FROM t", ())

    datastore.close()


def test_a_violated_constraint_has_no_cause_that_shows_the_row(on_postgresql: Translator) -> None:
    error = psycopg_errors.CheckViolation("canary")

    with pytest.raises(ConstraintViolation) as raised:
        on_postgresql.raise_for(error)

    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)
