"""Calls back when a transaction of the caller's has been committed, or else rolled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction

from eventsourcing.exceptions import SubscriberError

__all__ = ["AfterConnectionCommit", "AfterSessionCommit"]

Callback = Callable[[], None]
_KEY = "eventsourcing.commits"


class AfterSessionCommit:
    """The callbacks that wait for the commit of one session. They may use the session."""

    def __init__(self, session: Session) -> None:
        self._waiting: list[tuple[list[SessionTransaction], Callback, Callback | None]] = []
        self._committed: SessionTransaction | None = None
        event.listen(session, "after_commit", self._after_commit)
        event.listen(session, "after_transaction_end", self._after_end)

    @classmethod
    def of(cls, session: Session) -> AfterSessionCommit:
        """Returns what belongs to ``session``, which keeps it."""
        found: AfterSessionCommit | None = session.info.get(_KEY)
        if found is None:
            found = session.info[_KEY] = cls(session)
        return found

    def add(self, session: Session, callback: Callback, or_else: Callback | None) -> None:
        """Remembers the callbacks, and all transactions that they depend on."""
        chain = []
        transaction = session.get_nested_transaction() or session.get_transaction()
        while transaction is not None:
            chain.append(transaction)
            transaction = transaction.parent
        self._waiting.append((chain, callback, or_else))

    def _after_commit(self, session: Session) -> None:
        # Or a SAVEPOINT is released. Nothing can be executed in the session at this moment.
        self._committed = session.get_nested_transaction() or session.get_transaction()

    def _after_end(self, session: Session, transaction: SessionTransaction) -> None:
        is_committed, self._committed = transaction is self._committed, None
        if not is_committed:
            undone = [entry for entry in self._waiting if transaction in entry[0]]
            self._waiting = [entry for entry in self._waiting if entry not in undone]
            _undo([or_else for _, _, or_else in undone])
        elif transaction.parent is None:
            waiting, self._waiting = self._waiting, []
            _call_all([callback for _, callback, _ in waiting])


class AfterConnectionCommit:
    """The callbacks that wait for the commit of one ``Connection``.

    SQLAlchemy tells of a commit before it makes it. Where callbacks wait, it is therefore made
    here, in the same way and at the same place; SQLAlchemy's own then has nothing left to do.
    """

    def __init__(self, connection: Connection) -> None:
        self._waiting: list[tuple[int, Callback, Callback | None]] = []
        self._released = 0
        event.listen(connection, "commit", self._on_commit)
        event.listen(connection, "commit_twophase", self._on_commit_prepared)
        event.listen(connection, "rollback", self._on_rollback)
        event.listen(connection, "rollback_twophase", self._on_rollback)
        event.listen(connection, "release_savepoint", self._on_release)
        event.listen(connection, "rollback_savepoint", self._on_rollback_to)

    @classmethod
    def of(cls, connection: Connection) -> AfterConnectionCommit:
        """Returns what belongs to ``connection``."""
        found = _of_connections.get(connection)
        if found is None:
            found = _of_connections[connection] = cls(connection)
        return found

    def add(self, callback: Callback, or_else: Callback | None) -> None:
        """Remembers the callbacks, and the SAVEPOINT around what was just inserted."""
        self._waiting.append((self._released, callback, or_else))

    def _on_commit(self, connection: Connection) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        dialect = connection.dialect
        dbapi: Any = dialect.loaded_dbapi
        try:
            dialect.do_commit(connection.connection)
        except Exception as error:
            _undo([or_else for _, _, or_else in waiting])
            raise DBAPIError.instance(None, None, error, dbapi.Error, dialect=dialect) from error
        _call_all([callback for _, callback, _ in waiting])

    def _on_commit_prepared(self, connection: Connection, xid: Any, is_prepared: bool) -> None:
        waiting, self._waiting = self._waiting, []
        _call_all([callback for _, callback, _ in waiting])

    def _on_rollback(self, connection: Connection, *args: Any) -> None:
        waiting, self._waiting = self._waiting, []
        _undo([or_else for _, _, or_else in waiting])

    def _on_release(self, connection: Connection, name: str, context: None) -> None:
        self._released = _number(name)

    def _on_rollback_to(self, connection: Connection, name: str, context: None) -> None:
        undone = [entry for entry in self._waiting if entry[0] >= _number(name)]
        self._waiting = [entry for entry in self._waiting if entry not in undone]
        _undo([or_else for _, _, or_else in undone])


_of_connections: WeakKeyDictionary[Connection, AfterConnectionCommit] = WeakKeyDictionary()


def _number(savepoint: str) -> int:
    """SQLAlchemy counts a connection's savepoints: ``sa_savepoint_1`` and so on."""
    return int(savepoint.rpartition("_")[2])


def _undo(callbacks: list[Callback | None]) -> None:
    """Calls in turn, the last one first, what takes back."""
    for callback in reversed(callbacks):
        if callback is not None:
            callback()


def _call_all(callbacks: list[Callback]) -> None:
    """Calls all, whatever some of them raise."""
    errors: list[Exception] = []
    for callback in callbacks:
        try:
            callback()
        except Exception as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        every: list[Exception] = []
        for raised in errors:
            every += raised.errors if isinstance(raised, SubscriberError) else (raised,)
        raise SubscriberError(
            f"{len(every)} subscriber calls failed after the commit (all were made); first:"
            f" {every[0]!r}",
            every,
        ) from errors[0]
