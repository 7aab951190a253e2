"""Runs SQL on connections of an engine's pool, each statement or batch a transaction.

What is executed goes to the DBAPI connection itself, which is in autocommit mode: a statement
of its own needs no BEGIN and no COMMIT, and so one round trip.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, Engine, Table
from sqlalchemy.pool import PoolProxiedConnection

from eventsourcing.exceptions import DatabaseUnavailable
from eventsourcing.infrastructure.sqlalchemy.drivers import Driver
from eventsourcing.infrastructure.sqlalchemy.statements import Write

__all__ = ["Connections", "EngineConnections"]


class Connections(Protocol):
    """Where a record manager's SQL is executed. Raises the driver's, or SQLAlchemy's errors."""

    can_repeat: bool

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database."""
        ...

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Returns all rows of a query."""
        ...

    def execute(self, write: Write) -> None:
        """Executes all of the write, or nothing."""

    def ddl(self, table: Table) -> AbstractContextManager[Connection]:
        """Gives a connection on which the table may be created or dropped."""
        ...

    def when_committed(self, callback: Callable[[], None]) -> None:
        """Calls back once what was executed is committed."""

    def lost(self) -> None:
        """Is told that the database went away."""

    def close(self) -> None:
        """Releases the connections."""


class EngineConnections:
    """Takes connections from an engine's pool.

    Args:
        engine: made here in autocommit mode, or somebody else's.
        is_own: whether it was made here; then it is disposed of in the end.
        is_memory: whether the database is in the memory of this process, and would be lost
            with its connection.
    """

    can_repeat = True

    def __init__(self, engine: Engine, driver: Driver, is_own: bool, is_memory: bool) -> None:
        self.engine = engine
        self._driver = driver
        self._is_own = is_own
        self._is_memory = is_memory
        self._inherited: list[object] = []
        _of_this_process.add(self)

    @property
    def dialect(self) -> Dialect:
        """See :class:`Connections`."""
        return self.engine.dialect

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """See :class:`Connections`."""
        with self._checkout() as connection:
            cursor = connection.cursor()
            try:
                cursor.execute(sql, parameters)
                return cursor.fetchall()
            finally:
                cursor.close()

    def execute(self, write: Write) -> None:
        """See :class:`Connections`."""
        check_size = self._driver.check_size
        with self._checkout() as connection:
            cursor = connection.cursor()
            try:
                if check_size is not None:
                    for row in write.parameters if write.many else (write.parameters,):
                        check_size(cursor, write.sql, row)
                if write.many:
                    cursor.execute(self._driver.begin)
                    cursor.executemany(write.sql, write.parameters)
                    cursor.execute("COMMIT")
                else:
                    cursor.execute(write.sql, write.parameters)
            finally:
                cursor.close()

    @contextmanager
    def ddl(self, table: Table) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self.engine.begin() as connection:
            yield connection

    def when_committed(self, callback: Callable[[], None]) -> None:
        """See :class:`Connections`."""
        callback()

    def lost(self) -> None:
        """Gives up the pooled connections: if one has lost the server, the others have too."""
        if not self._is_memory:
            self.engine.dispose()

    def close(self) -> None:
        """See :class:`Connections`. Somebody else's engine is left as it is."""
        _of_this_process.discard(self)
        if self._is_own:
            self.engine.dispose()

    @contextmanager
    def _checkout(self) -> Iterator[PoolProxiedConnection]:
        if self._is_own:
            connection = self.engine.raw_connection()
            try:
                with self._repaired(connection):
                    yield connection
            finally:
                connection.close()
        else:
            autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as wrapper, self._repaired(wrapper.connection):
                yield wrapper.connection

    @contextmanager
    def _repaired(self, connection: PoolProxiedConnection) -> Iterator[None]:
        """Never lets a connection go back to the pool in the middle of something."""
        try:
            yield
        except BaseException as error:
            is_broken = not isinstance(error, Exception) or (
                self._driver.classify(error) is DatabaseUnavailable
            )
            if is_broken and self.dialect.name != "sqlite":
                connection.invalidate()
            else:
                try:
                    connection.rollback()
                except Exception:
                    with suppress(Exception):
                        connection.invalidate()
            raise

    def forked(self) -> None:
        """Makes a child of a fork connect for itself, and leaves its parent's connections."""
        if not self._is_memory:
            # Kept, since to be collected would close them: for the parent too.
            self._inherited.append(self.engine.pool)
            self.engine.dispose(close=False)


_of_this_process: weakref.WeakSet[EngineConnections] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for connections in list(_of_this_process):
        connections.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
