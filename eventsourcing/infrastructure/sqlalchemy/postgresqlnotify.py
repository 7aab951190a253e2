"""Tells other processes of saves, by PostgreSQL's LISTEN and NOTIFY.

Who notifies takes a lock on the whole server's queue when it commits. So no transaction that
appends does: once it is committed, a thread of its own sends a NOTIFY, one for all that was saved
meanwhile, and the saver does not wait for that.
"""

from __future__ import annotations

import logging
import os
import time
from hashlib import sha256
from threading import Thread
from typing import Any

from eventsourcing.exceptions import ApplicationClosedError, PersistenceError
from eventsourcing.infrastructure.announcements import Announcements, Listener
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.wakeups import Wakeup, wait_for_any

__all__ = ["PostgreSQLAnnouncements"]

DAY = 24 * 3600.0
REST = 0.02  # seconds from one NOTIFY to the next, for what saves without a pause
LAST_WORDS = 5.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds between two attempts to listen
LONGEST_NAME = 63  # bytes

_log = logging.getLogger(__name__)
_inherited: list[Any] = []  # for ever: to be collected would warn of the parent's connection


def channel_of(table_name: str) -> str:
    """Returns the name of the channel of a table, which may stand between double quotes. Tables of
    one name in several schemas share it, which does no harm.
    """
    name = f"eventsourcing.{table_name}"
    if table_name.isidentifier() and len(name.encode()) <= LONGEST_NAME:
        return name
    return f"eventsourcing.{sha256(table_name.encode()).hexdigest()[:40]}"


class PostgreSQLAnnouncements(Announcements):
    """Announces the saves of one table.

    Args:
        datastore: made from settings.
        table_name: of the events.
    """

    def __init__(self, datastore: SQLAlchemyDatastore, table_name: str) -> None:
        self._datastore = datastore
        self._channel = channel_of(table_name)
        self._is_wanted = self._is_closed = self._has_failed = False
        self._start()

    def announce(self) -> None:
        """See :class:`Announcements`. May be called from signal handlers too."""
        self._is_wanted = True
        if self._pid != os.getpid() and not self._is_closed:
            # A child of a fork shares the sockets, and has no thread but the one that forked.
            self._wakeup.close()
            self._start()
        self._wakeup.ring()

    def listen(self) -> PostgreSQLListener:
        """See :class:`Announcements`."""
        return PostgreSQLListener(self._datastore, self._channel)

    def close(self) -> None:
        """See :class:`Announcements`."""
        self._is_closed = True
        if self._pid == os.getpid():
            self._wakeup.ring()
            self._thread.join(LAST_WORDS)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._wakeup = Wakeup()
        self._thread = Thread(target=self._run, args=[self._wakeup], name="notify", daemon=True)
        self._thread.start()

    def _run(self, wakeup: Wakeup) -> None:
        is_last = False
        while not is_last:
            wait_for_any(DAY, wakeup)
            wakeup.clear()
            is_last = self._is_closed
            if self._is_wanted:
                self._is_wanted = False
                self._send()
                if not is_last:
                    time.sleep(REST)
        wakeup.close()

    def _send(self) -> None:
        """Sends one NOTIFY, which is a transaction."""
        try:
            self._datastore.fetch("SELECT pg_notify(%s, '')", (self._channel,))
            self._has_failed = False
        except (PersistenceError, ApplicationClosedError) as error:
            if not self._has_failed:
                _log.warning("saves are not told to other processes: %s", error)
            self._has_failed = True
        except Exception as error:  # the thread has to go on
            _log.warning("a save is not told to other processes: %s was raised", type(error))


class PostgreSQLListener(Listener):
    """Listens over a connection of its own, which the pool does not count."""

    def __init__(self, datastore: SQLAlchemyDatastore, channel: str) -> None:
        self._datastore = datastore
        self._channel = channel
        self._connection: Any = None
        self._pid = os.getpid()
        self._pause = FIRST_PAUSE
        self._next_attempt = 0.0

    @property
    def sources(self) -> tuple[Any, ...]:
        """See :class:`Listener`."""
        return () if self._connection is None else (self._connection,)

    @property
    def patience(self) -> float:
        """See :class:`Listener`."""
        if self._connection is not None:
            return DAY
        return max(0.0, self._next_attempt - time.monotonic())

    def clear(self) -> None:
        """See :class:`Listener`."""
        try:
            with self._datastore.translating():
                if self._connection is not None:
                    self._drain()
                elif time.monotonic() >= self._next_attempt:
                    self._connect()
        except PersistenceError as error:
            self._lost(error)

    def close(self) -> None:
        """See :class:`Listener`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid == os.getpid():
            connection.close()
        else:
            _inherited.append(connection)

    def _drain(self) -> None:
        connection = self._connection.pgconn
        connection.consume_input()  # does not wait
        while connection.notifies() is not None:
            pass
        self._pause = FIRST_PAUSE

    def _connect(self) -> None:
        connection = self._datastore.dedicated()
        try:
            connection.execute(f'LISTEN "{self._channel}"')
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _lost(self, error: PersistenceError) -> None:
        if self._pause == FIRST_PAUSE:
            _log.warning("saves of other processes are heard of by looking alone: %s", error)
        self.close()
        self._next_attempt = time.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
