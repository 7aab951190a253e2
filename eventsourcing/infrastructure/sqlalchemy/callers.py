"""Runs SQL in a transaction of the caller's, given as a ``Session`` or a ``Connection``.

The library flushes, and puts a SAVEPOINT around what it inserts, so that a conflict leaves the
caller's work alive. It never commits, rolls back or closes what is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, Table, event
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.drivers import Driver
from eventsourcing.infrastructure.sqlalchemy.statements import Write

__all__ = ["CallersTransaction"]


class CallersTransaction:
    """Executes on the caller's ``Session``, ``scoped_session`` or ``Connection``.

    Raises:
        ProgrammingError: it is something else.
    """

    can_repeat = False

    def __init__(
        self,
        given: Session | scoped_session[Session] | Connection,
        driver_of: Callable[[str], Driver],
    ) -> None:
        if not isinstance(given, Session | scoped_session | Connection):
            raise ProgrammingError(
                "session= takes a Session, scoped_session or Connection of SQLAlchemy,"
                f" not {type(given).__qualname__}"
            )
        self._given = given
        self._driver = driver_of(self.dialect.name)

    @property
    def dialect(self) -> Dialect:
        """See :class:`Connections`."""
        if isinstance(self._given, Connection):
            return self._given.dialect
        return self._given.get_bind().dialect

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """See :class:`Connections`."""
        return self._connection().exec_driver_sql(sql, tuple(parameters)).fetchall()

    def execute(self, write: Write) -> None:
        """See :class:`Connections`."""
        if not isinstance(self._given, Connection):
            self._given.flush()
        connection = self._connection()
        self._begin_sqlite(connection)
        self._check_size(connection, write)
        with connection.begin_nested():
            connection.exec_driver_sql(write.sql, write.parameters)

    @contextmanager
    def ddl(self, table: Table) -> Iterator[Connection]:
        """See :class:`Connections`. What is done is the caller's to commit."""
        yield self._connection()

    def when_committed(self, callback: Callable[[], None]) -> None:
        """Calls back after the commit of the session, and never if it is rolled back.

        SQLAlchemy does not tell when a bare Connection has committed: there it is now.
        """
        if isinstance(self._given, Connection):
            callback()
        else:
            session = self._given if isinstance(self._given, Session) else self._given()
            _Hooks.of(session).add(session, callback)

    def lost(self) -> None:
        """See :class:`Connections`. The caller's transaction is the caller's to give up."""

    def close(self) -> None:
        """See :class:`Connections`."""

    def _connection(self) -> Connection:
        return self._given if isinstance(self._given, Connection) else self._given.connection()

    def _begin_sqlite(self, connection: Connection) -> None:
        """Begins what the driver puts off until the first INSERT. Without it, the SAVEPOINT
        would be the transaction, and its RELEASE would commit.
        """
        if connection.dialect.name == "sqlite":
            dbapi: Any = connection.connection.dbapi_connection
            if not dbapi.in_transaction:
                connection.exec_driver_sql("BEGIN")

    def _check_size(self, connection: Connection, write: Write) -> None:
        if self._driver.check_size is not None:
            cursor = connection.connection.cursor()
            try:
                for row in write.parameters if write.many else (write.parameters,):
                    self._driver.check_size(cursor, write.sql, row)
            finally:
                cursor.close()


_HOOKS = "eventsourcing.hooks"


class _Hooks:
    """The callbacks that wait for one session's commit."""

    def __init__(self, session: Session) -> None:
        self._waiting: list[tuple[list[SessionTransaction], Callable[[], None]]] = []
        event.listen(session, "after_commit", self._after_commit)
        event.listen(session, "after_soft_rollback", self._after_rollback)

    @classmethod
    def of(cls, session: Session) -> _Hooks:
        """Returns the hooks of ``session``, which keeps them."""
        hooks: _Hooks | None = session.info.get(_HOOKS)
        if hooks is None:
            hooks = session.info[_HOOKS] = cls(session)
        return hooks

    def add(self, session: Session, callback: Callable[[], None]) -> None:
        """Remembers the callback, and all transactions that it depends on."""
        nested = []
        transaction = session.get_nested_transaction() or session.get_transaction()
        while transaction is not None:
            nested.append(transaction)
            transaction = transaction.parent
        self._waiting.append((nested, callback))

    def _after_commit(self, session: Session) -> None:
        if session.get_nested_transaction() is None:  # else a SAVEPOINT was released
            waiting, self._waiting = self._waiting, []
            for _, callback in waiting:
                callback()

    def _after_rollback(self, session: Session, previous: SessionTransaction) -> None:
        self._waiting = [entry for entry in self._waiting if previous not in entry[0]]
