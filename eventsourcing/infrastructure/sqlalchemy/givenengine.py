"""Runs SQL on connections of somebody else's engine."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import Pool, StaticPool

from eventsourcing.exceptions import DatabaseUnavailable, ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.connections import Lent, OwnEngine
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate

__all__ = ["GivenEngine"]

_gates: WeakKeyDictionary[Pool, ForkGate] = WeakKeyDictionary()


class GivenEngine(OwnEngine):
    """Takes connections from the pool of somebody else's engine, whose settings hold.

    They go back as they came. The engine is not disposed of in the end; when its connections
    are found to be lost they are dropped from its pool, as SQLAlchemy does it too, and so they
    are after an interrupt.
    """

    is_own = False
    _keeps_spares = False  # they go back as they came

    def __init__(
        self, engine: Engine, driver: Driver, translate: Translator, is_memory: bool
    ) -> None:
        super().__init__(engine, driver, translate, is_memory)
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        if isinstance(engine.pool, StaticPool):
            # It lends one connection to all threads at once.
            self._gate = _gates.setdefault(engine.pool, ForkGate(is_narrow=True))

    def close(self) -> None:
        """See :class:`Connections`. The engine is left as it is."""

    def _take(self) -> Lent:
        pool = self.engine.pool
        try:
            self._check_free()
            try:
                return pool, self._connect(), None
            except Exception as error:
                # To set autocommit mode may be what finds a pooled connection lost.
                is_lost = self._translate.class_of(error) is DatabaseUnavailable
                if not is_lost or isinstance(error, PoolTimeout):
                    raise
                self._recovery.give_up(pool)
                pool = self.engine.pool
                return pool, self._connect(), None
        except Exception as error:
            self._translate.raise_for(error)

    def _connect(self) -> Connection:
        with self._connecting.lock:
            return self._autocommit.connect()

    def _dbapi(self, lent: Any) -> Any:
        return lent.connection.dbapi_connection

    def _check_free(self) -> None:
        """Refuses the only connection while somebody has a transaction open on it: to set
        autocommit mode would commit that.
        """
        pool: Any = self.engine.pool
        if not isinstance(pool, StaticPool):
            return
        # not checked out: to give it back would roll it back
        if getattr(pool.connection.dbapi_connection, "in_transaction", False):
            raise ProgrammingError(
                "the engine has one connection for all, and a transaction is open on it:"
                " commit that first, or give the session instead of the engine"
            )
