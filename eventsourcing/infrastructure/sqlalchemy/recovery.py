"""Puts a connection and its pool in order after an error, or an interrupt; whatever follows it.

An interrupt comes at any moment: Ctrl-C, what another signal handler raises, or a job's time limit
that is raised in another thread. So a second one may hit what is done about the first, and would
leave a transaction open that locks others out, or give them a connection in the middle of
something. But an interrupt is for one thread; and that takes notice of it when a call returns,
not before. Hence two steps:

1. The thread itself cleans up, by :meth:`Recovery.recover`, which may be interrupted.
2. If it is, the first call then made is one into C, that has no moment at which another interrupt
   could come in between: it starts a thread, which no interrupt is for. That does all of it again,
   by :meth:`Recovery.finish`, and more thoroughly; whether it is waited for or not.

No thread is needed but after a second interrupt.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, TypeAlias

from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from eventsourcing.exceptions import DatabaseUnavailable
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate

__all__ = ["Left", "Recovery"]

Left: TypeAlias = tuple[Pool, list[Any], Any, Any, list[bool]]
"""What a thread has in its hands: the pool, what that has lent until it is given back, the driver's
connection and cursor, or None; and whether all of it was put in order by somebody else.
"""

GLANCE = 0.001  # seconds
PATIENCE = 1.0  # seconds


class Recovery:
    """Cleans up on an engine.

    Args:
        is_memory: whether the database would be lost with its connection.
        has_several: whether there are several connections, which any thread may use.
        gate: keeps what is done in a thread of its own and a fork apart.

    Attributes:
        start: starts a thread. A call into C; or RuntimeError, where there must be no thread.
    """

    def __init__(
        self,
        engine: Engine,
        driver: Driver,
        translate: Translator,
        is_memory: bool,
        has_several: bool,
        gate: ForkGate,
    ) -> None:
        self._engine = engine
        self._driver = driver
        self._translate = translate
        self._is_memory = is_memory
        self._has_several = has_several
        self._gate = gate
        self.start: Callable[..., object] = start_new_thread if has_several else _start_none
        self.reset()

    def reset(self) -> None:
        """Forgets all other threads: in a child of a fork they do not exist."""
        self._lock = threading.RLock()

    def recover(self, left: Left, error: BaseException) -> None:
        """Leaves no connection lent, nor to others in the middle of something.

        An interrupt is raised. Then all that is still to be done is done by :meth:`finish`.
        """
        pool, held, connection, cursor, _ = left
        if held and connection is not None:
            is_clean = not self._translate.is_breaking(error) and self._undo(connection, cursor)
            if not (is_clean or self._is_memory):
                self._discard(held[0], connection, cursor)
        self._look_after(pool, error)
        while held:
            held.pop().close()

    def finish(self, *left: Any) -> None:
        """Does what :meth:`recover` has not done to its end, and trusts in nothing that it has:
        what was interrupted twice may be in any state.
        """
        pool, held, connection, cursor, is_done = left
        with self._gate.aside:
            if held and connection is not None:
                self._abandon(held[0], connection, cursor)
            with suppress(BaseException):
                while held:
                    held.pop().close()
            if self._has_several:
                with suppress(BaseException):
                    self.give_up(pool)
                    pool.dispose()
        is_done.append(True)

    def wait(self, left: Left) -> None:
        """Waits until it is done. If that is interrupted, it is done all the same.

        Not for ever: somebody else's pool may be locked by who was interrupted in it.
        """
        until = monotonic() + PATIENCE
        while not left[-1] and monotonic() < until:
            sleep(GLANCE)

    def give_up(self, pool: Pool) -> None:
        """Drops all connections of a pool: if one has lost the server, the others have too."""
        with self._lock:
            if pool is self._engine.pool and not self._is_memory:
                self._engine.dispose()
        self._driver.forget(self._engine)

    def _undo(self, connection: Any, cursor: Any) -> bool:
        """Rolls back, and tells whether that succeeded. An interrupt is raised."""
        try:
            if cursor is None:
                self._driver.clear(connection)
            else:
                cursor.close()
                connection.rollback()
        except Exception as error:
            if self._translate.is_foreign(error):
                raise
            return False
        return True

    def _discard(self, lent: Any, connection: Any, cursor: Any) -> None:
        """Closes a connection that others cannot use.

        SQLite closes a file, and gives up the lock of a transaction, only when no cursor is left;
        and a traceback may hold on to one for long.
        """
        try:
            if self._driver.takes_turns:
                self._undo(connection, cursor)
        finally:
            if getattr(lent, "is_valid", True):  # the pool warns of what it is told twice
                lent.invalidate()

    def _abandon(self, lent: Any, connection: Any, cursor: Any) -> None:
        with suppress(BaseException):
            self._driver.clear(connection)
        if self._is_memory:
            return
        with suppress(BaseException):
            self._discard(lent, connection, cursor)
        with suppress(BaseException):
            connection.close()  # the pool may have forgotten it before it was closed

    def _look_after(self, pool: Pool, error: BaseException) -> None:
        """Gives up a pool that has lost the server; or in which, after an interrupt, a connection
        may count as lent for ever.
        """
        is_interrupt = self._translate.is_foreign(error) and self._has_several
        if is_interrupt or self._translate.class_of(error) is DatabaseUnavailable:
            self.give_up(pool)


def _start_none(*ignored: object) -> None:
    raise RuntimeError("other threads cannot use the connection")
