"""Limits how long a transaction may wait for a client that has fallen silent.

A process that was stopped, or whose machine is cut off, would else hold its locks for ever, and
nobody could take over its work. PostgreSQL and MariaDB end such a transaction; MySQL and SQLite
have no such limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["limited_silence"]


@contextmanager
def limited_silence(connection: Connection, seconds: float) -> Iterator[None]:
    """Ends the open transaction if its client says nothing for so long: on MariaDB, where these
    are whole seconds, a little longer.
    """
    dialect = connection.dialect
    if dialect.name == "postgresql":
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout = {ceil(seconds * 1000)}"
        )
    if not getattr(dialect, "is_mariadb", False):
        yield
        return
    connection.exec_driver_sql(f"SET SESSION idle_transaction_timeout = {ceil(seconds)}")
    lift = "SET SESSION idle_transaction_timeout = DEFAULT"  # it may be somebody else's again
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql(lift)
        raise
    connection.exec_driver_sql(lift)  # which fails if the transaction was ended
