"""Runs SQL in a transaction of the caller's, given as a ``Session`` or a ``Connection``.

The library flushes, and puts a SAVEPOINT around what it inserts, so that a conflict leaves the
caller's work alive. It never commits, rolls back or closes what is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from eventsourcing.exceptions import ConstraintViolation, ProgrammingError, SequencedItemConflict
from eventsourcing.infrastructure.sqlalchemy.commits import (
    AfterConnectionCommit,
    AfterSessionCommit,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.statements import Write

__all__ = ["CallersTransaction", "dialect_of"]

Work: TypeAlias = Callable[[Connection], None]
Given = Session | scoped_session[Session] | Connection


def dialect_of(given: Any) -> Dialect:
    """Returns the dialect of the caller's ``Session``, ``scoped_session`` or ``Connection``.

    Raises:
        ProgrammingError: it is something else, or has no engine.
    """
    if not isinstance(given, Session | scoped_session | Connection):
        raise ProgrammingError(
            "session= takes a Session, scoped_session or Connection of SQLAlchemy,"
            f" not {type(given).__qualname__}"
        )
    try:
        return given.dialect if isinstance(given, Connection) else given.get_bind().dialect
    except SQLAlchemyError as error:
        raise ProgrammingError(f"the session cannot be used: {error}") from error


class CallersTransaction:
    """Executes on the caller's ``Session``, ``scoped_session`` or ``Connection``."""

    can_repeat = False
    has_several = False
    is_own = False

    def __init__(self, given: Given, driver: Driver, translate: Translator) -> None:
        self._given = given
        self._driver = driver
        self._translate = translate

    @property
    def dialect(self) -> Dialect:
        """See :class:`Connections`."""
        return dialect_of(self._given)

    @property
    def engine(self) -> Engine:
        """See :class:`Connections`."""
        given = self._given
        bind = given if isinstance(given, Connection) else given.get_bind()
        return bind.engine

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """See :class:`Connections`."""
        with self._unless_broken() as connection:
            return connection.exec_driver_sql(sql, tuple(parameters)).fetchall()

    def execute(self, write: Write) -> None:
        """See :class:`Connections`."""
        self.execute_with(write, None)

    def execute_with(self, write: Write, work: Work | None) -> None:
        """See :class:`Connections`. All of it is within the SAVEPOINT."""
        self._flush()
        with self._unless_broken() as connection:
            if isinstance(self._given, Connection):
                AfterConnectionCommit.of(connection)
            self._check(connection, write)
            with self._savepoint(connection):
                write.execute_on(connection, self._driver.batches)
                if work is not None:
                    work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self._unless_broken() as connection:
            yield connection

    @contextmanager
    def ddl(self) -> Iterator[Connection]:
        """See :class:`Connections`. What is done is the caller's to commit; but where DDL
        commits by itself it is done over another connection of the engine, and is there to
        stay.
        """
        connection = self._connection()
        if self._driver.ddl_commits:
            with connection.engine.connect() as another:
                yield another
        else:
            with self._savepoint(connection):
                yield connection

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """See :class:`Connections`."""
        if isinstance(self._given, Connection):
            AfterConnectionCommit.of(self._given).add(callback, or_else)
        else:
            session = self._given if isinstance(self._given, Session) else self._given()
            AfterSessionCommit.of(session).add(session, callback, or_else)

    def close(self) -> None:
        """See :class:`Connections`."""

    def _connection(self) -> Connection:
        return self._given if isinstance(self._given, Connection) else self._given.connection()

    @contextmanager
    def _unless_broken(self) -> Iterator[Connection]:
        """Gives the connection. If something breaks it, as an interrupt between a request and its
        answer does, SQLAlchemy refuses its further use until the caller's rollback.
        """
        connection = self._connection()
        try:
            yield connection
        except BaseException as error:
            if self._translate.is_breaking(error) and not connection.invalidated:
                connection.invalidate(error)
            raise

    def _flush(self) -> None:
        if isinstance(self._given, Connection):
            return
        try:
            self._given.flush()
        except Exception as error:
            if self._translate.class_of(error) is SequencedItemConflict:
                # of a row of the caller's
                self._translate.raise_for(error, ConstraintViolation)
            raise

    @contextmanager
    def _savepoint(self, connection: Connection) -> Iterator[None]:
        dbapi_connection = connection.connection.dbapi_connection
        if self._driver.is_autocommit(dbapi_connection):
            raise ProgrammingError(
                "the session is in autocommit mode, and so has no transaction to write in: give"
                " the engine instead, or set another isolation level"
            )
        self._driver.begin_callers(dbapi_connection)
        savepoint = connection.begin_nested()
        try:
            yield
        except BaseException as error:
            if self._translate.is_breaking(error):
                raise
            try:
                savepoint.rollback()
            except SQLAlchemyError:
                # The server has rolled back all, which is what MariaDB does to the victim of a
                # deadlock. The caller must not go on as if the work before this were alive:
                # SQLAlchemy refuses to until the caller's rollback.
                if not connection.invalidated:
                    connection.invalidate(error)
            raise
        savepoint.commit()

    def _check(self, connection: Connection, write: Write) -> None:
        if self._driver.checks_writes:
            cursor = connection.connection.cursor()
            try:
                self._driver.check(connection.engine, cursor, write)
            finally:
                cursor.close()
