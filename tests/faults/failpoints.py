"""Places in a client at which it kills itself: around a statement that it executes."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
import pymysql.cursors
from sqlalchemy import Engine
from sqlalchemy.event import listen

__all__ = ["Failpoint", "arm"]


@dataclass(frozen=True)
class Failpoint:
    """Where to die.

    Attributes:
        text: what stands in the statement.
        when: before it is sent; so long after it was sent as `delay` says, whether the answer
            has come by then or not; or when the answer has been read, and nobody told.
        nth: at which of these statements of the client, from 1 on.
        delay: seconds.
    """

    text: str
    when: Literal["before", "during", "after"]
    nth: int = 1
    delay: float = 0.0


def arm(failpoint: Failpoint, engine: Engine) -> None:
    """Have this process die at a failpoint on a connection that the engine is still to make."""
    trap = _Trap(failpoint)

    class SQLiteCursor(sqlite3.Cursor):
        def execute(self, sql: str, *arguments: Any) -> Any:
            with trap.around(sql):
                return super().execute(sql, *arguments)

        def executemany(self, sql: str, *arguments: Any) -> Any:
            with trap.around(sql):
                return super().executemany(sql, *arguments)

    class SQLiteConnection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(SQLiteCursor)

    class PostgreSQLCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            with trap.around(str(query)):
                return super().execute(query, *arguments, **options)

    class MariaDBCursor(pymysql.cursors.Cursor):
        def execute(self, query: Any, args: Any = None) -> Any:
            with trap.around(str(query)):
                return super().execute(query, args)

    factories: dict[str, dict[str, Any]] = {
        "sqlite": {"factory": SQLiteConnection},
        "postgresql": {"cursor_factory": PostgreSQLCursor},
        "mysql": {"cursorclass": MariaDBCursor},
    }
    factory = factories[engine.dialect.name]

    def connect(dialect: object, record: object, arguments: object, options: Any) -> None:
        options.update(factory)

    listen(engine, "do_connect", connect)


class _Trap:
    def __init__(self, failpoint: Failpoint) -> None:
        self._point = failpoint
        self._left = failpoint.nth
        self._lock = threading.Lock()

    @contextmanager
    def around(self, sql: str) -> Iterator[None]:
        if not self._is_due(sql):
            yield
            return
        if self._point.when == "before":
            _die()
        elif self._point.when == "during":
            threading.Thread(target=_die, args=(self._point.delay,), daemon=True).start()
        try:
            yield
        finally:
            if self._point.when == "after":
                _die()

    def _is_due(self, sql: str) -> bool:
        if self._point.text not in sql:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0


def _die(delay: float = 0.0) -> None:
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # for the signal may come a moment later
