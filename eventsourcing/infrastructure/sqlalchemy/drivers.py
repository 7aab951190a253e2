"""Which databases there are."""

from __future__ import annotations

from collections.abc import Mapping

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.mysql import MariaDBDriver, MySQLDriver
from eventsourcing.infrastructure.sqlalchemy.postgresql import PostgreSQLDriver
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver

__all__ = ["driver_for"]

_DRIVERS: Mapping[str, type[Driver]] = {
    "mariadb": MariaDBDriver,
    "mysql": MySQLDriver,
    "postgresql": PostgreSQLDriver,
    "sqlite": SQLiteDriver,
}


def driver_for(dialect_name: str) -> Driver:
    """Returns a new driver for SQLAlchemy's dialect of this name.

    Raises:
        ProgrammingError: no such database is supported.
    """
    try:
        return _DRIVERS[dialect_name]()
    except KeyError:
        raise ProgrammingError(
            f"no support for {dialect_name!r} databases; there is: {', '.join(_DRIVERS)}"
        ) from None
