"""What differs between databases: drivers, connection options, transactions, errors.

One :class:`Driver` each for SQLite, PostgreSQL (psycopg 3) and MySQL/MariaDB (PyMySQL).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    PersistenceError,
    ProgrammingError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TableNotFound,
    TransactionConflict,
    ValueTooLarge,
)

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings

__all__ = ["Driver", "driver_for"]

ErrorClass = type[PersistenceError]


class Driver(NamedTuple):
    """What the library has to know of a database and its driver.

    Attributes:
        name: SQLAlchemy's name of the driver, such as ``postgresql+psycopg``.
        extra: the extra of this package that installs the driver.
        begin: the SQL that begins a transaction of several statements.
        classify: turns the driver's exception into the class of error to raise.
        connect_args: makes the driver's connection arguments of the settings.
        on_connect: prepares a new connection.
        check_size: raises ValueTooLarge for a row that the server would not take, where the
            server's own answer to that is to hang up.
    """

    name: str
    extra: str
    begin: str
    classify: Callable[[BaseException], ErrorClass]
    connect_args: Callable[[SQLAlchemySettings, URL], dict[str, Any]]
    on_connect: Callable[[DBAPIConnection, SQLAlchemySettings], None] | None = None
    check_size: Callable[[DBAPICursor, str, Sequence[Any]], None] | None = None


def driver_for(dialect_name: str) -> Driver:
    """Returns the driver for SQLAlchemy's dialect of this name.

    Raises:
        ProgrammingError: no such database is supported.
    """
    try:
        return _DRIVERS[dialect_name]
    except KeyError:
        raise ProgrammingError(
            f"no support for {dialect_name!r} databases; there is: {', '.join(sorted(_DRIVERS))}"
        ) from None


# -- SQLite ------------------------------------------------------------------------------

_SQLITE: Mapping[str, ErrorClass] = {
    "SQLITE_CONSTRAINT_UNIQUE": SequencedItemConflict,
    "SQLITE_CONSTRAINT_PRIMARYKEY": SequencedItemConflict,
    "SQLITE_CONSTRAINT": ConstraintViolation,
    "SQLITE_BUSY_SNAPSHOT": TransactionConflict,
    "SQLITE_BUSY": LockTimeout,
    "SQLITE_LOCKED": LockTimeout,
    "SQLITE_READONLY": ReadOnlyDatabase,
    "SQLITE_FULL": DiskFull,
    "SQLITE_CANTOPEN": DatabaseUnavailable,
    "SQLITE_TOOBIG": ValueTooLarge,
}


def _classify_sqlite(error: BaseException) -> ErrorClass:
    if isinstance(error, OverflowError):
        return ValueTooLarge
    name: str = getattr(error, "sqlite_errorname", "")
    text = str(error)
    if text.startswith(("no such table", "no such column", "unknown database")) or (
        "has no column named" in text
    ):
        return TableNotFound
    # An extended code, such as SQLITE_READONLY_DBMOVED, begins with its primary one.
    matches = [code for code in _SQLITE if name == code or name.startswith(code + "_")]
    return _SQLITE[max(matches, key=len)] if matches else PersistenceError


def _sqlite_connect_args(settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
    timeout = {} if settings.lock_timeout is None else {"timeout": settings.lock_timeout}
    return {"check_same_thread": False, **timeout}


def _sqlite_on_connect(connection: DBAPIConnection, settings: SQLAlchemySettings) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA synchronous = {settings.sqlite_synchronous}")
    cursor.execute(f"PRAGMA journal_mode = {settings.sqlite_journal_mode}")
    cursor.close()


# -- PostgreSQL --------------------------------------------------------------------------

_POSTGRESQL: Mapping[str, ErrorClass] = {
    "23505": SequencedItemConflict,
    "23": ConstraintViolation,
    "40": TransactionConflict,
    "55P03": LockTimeout,
    "57014": LockTimeout,  # statement_timeout, or a cancelled wait
    "25006": ReadOnlyDatabase,
    "53100": DiskFull,
    "42P01": TableNotFound,
    "42703": TableNotFound,
    "3F000": TableNotFound,
    "22001": ValueTooLarge,
    "22003": ValueTooLarge,
    "54": ValueTooLarge,
    "08": DatabaseUnavailable,
    "28": DatabaseUnavailable,
    "3D000": DatabaseUnavailable,
    "53300": DatabaseUnavailable,
    "57P": DatabaseUnavailable,
}


def _classify_postgresql(error: BaseException) -> ErrorClass:
    state: str | None = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state is None:
        # Without an answer from the server, an operational error is the connection's.
        lost = type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
        return DatabaseUnavailable if lost else PersistenceError
    return _POSTGRESQL.get(
        state, _POSTGRESQL.get(state[:3], _POSTGRESQL.get(state[:2], PersistenceError))
    )


def _postgresql_connect_args(settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {"connect_timeout": settings.connect_timeout}
    if settings.lock_timeout is not None:
        given = url.query.get("options", "")
        milliseconds = round(settings.lock_timeout * 1000)
        arguments["options"] = f"{given} -c lock_timeout={milliseconds}".strip()
    return arguments


# -- MySQL and MariaDB -------------------------------------------------------------------

_MYSQL: Mapping[int, ErrorClass] = {
    1062: SequencedItemConflict,
    1048: ConstraintViolation,
    1364: ConstraintViolation,
    1451: ConstraintViolation,
    1452: ConstraintViolation,
    4025: ConstraintViolation,
    1020: TransactionConflict,
    1213: TransactionConflict,
    1205: LockTimeout,
    1290: ReadOnlyDatabase,
    1792: ReadOnlyDatabase,
    1836: ReadOnlyDatabase,
    3: DiskFull,
    1021: DiskFull,
    1114: DiskFull,
    1054: TableNotFound,
    1146: TableNotFound,
    1153: ValueTooLarge,
    1264: ValueTooLarge,
    1406: ValueTooLarge,
    0: DatabaseUnavailable,
    1040: DatabaseUnavailable,
    1044: DatabaseUnavailable,
    1045: DatabaseUnavailable,
    1047: DatabaseUnavailable,
    1049: DatabaseUnavailable,
    1053: DatabaseUnavailable,
    1927: DatabaseUnavailable,
    2002: DatabaseUnavailable,
    2003: DatabaseUnavailable,
    2006: DatabaseUnavailable,
    2013: DatabaseUnavailable,
    2055: DatabaseUnavailable,
    4031: DatabaseUnavailable,
}


def _classify_mysql(error: BaseException) -> ErrorClass:
    code = error.args[0] if error.args else None
    if isinstance(code, int):
        return _MYSQL.get(code, PersistenceError)
    lost = isinstance(error, OSError) or type(error).__name__ in ("InterfaceError", "InternalError")
    return DatabaseUnavailable if lost else PersistenceError


def _mysql_connect_args(settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
    # Strict mode: without it the server cuts what is too long, and says nothing.
    command = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
    if settings.lock_timeout is not None:
        command += f", innodb_lock_wait_timeout = {max(1, round(settings.lock_timeout))}"
    return {
        "charset": "utf8mb4",
        "connect_timeout": settings.connect_timeout,
        "init_command": command,
    }


def _mysql_check_size(cursor: DBAPICursor, sql: str, row: Sequence[Any]) -> None:
    if sum(len(value) for value in row if isinstance(value, str)) < _SMALL_PACKET:
        return
    size = len(cursor.mogrify(sql, row).encode())
    cursor.execute("SELECT @@max_allowed_packet")
    (limit,) = cursor.fetchone() or (0,)
    if size >= limit:
        raise ValueTooLarge(
            f"an event needs a packet of {size} bytes, and the server takes {limit}"
            " (max_allowed_packet)"
        )


_SMALL_PACKET = 1_000_000  # the smallest default of max_allowed_packet, for text of 1 byte each

_MYSQL_DRIVER = Driver(
    "mysql+pymysql",
    "mysql",
    "BEGIN",
    _classify_mysql,
    _mysql_connect_args,
    check_size=_mysql_check_size,
)

_DRIVERS: Mapping[str, Driver] = {
    "sqlite": Driver(
        "sqlite+pysqlite",
        "",
        "BEGIN IMMEDIATE",
        _classify_sqlite,
        _sqlite_connect_args,
        _sqlite_on_connect,
    ),
    "postgresql": Driver(
        "postgresql+psycopg", "postgresql", "BEGIN", _classify_postgresql, _postgresql_connect_args
    ),
    "mysql": _MYSQL_DRIVER,
    "mariadb": _MYSQL_DRIVER._replace(name="mariadb+pymysql"),
}
