"""What a run does to its database beside the workload, on a plain driver's connection of its own.

It empties the tables before, counts the rows after, and makes a store large.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID, uuid4

LIBRARY_TABLE = "benchmark_library"
RAW_TABLE = "benchmark_raw"
SNAPSHOT_TABLE = "benchmark_library_snapshots"
VIEW_TABLE = "benchmark_view"
TRACKING_TABLE = "benchmark_tracking"
TABLES = (LIBRARY_TABLE, RAW_TABLE, SNAPSHOT_TABLE, VIEW_TABLE, TRACKING_TABLE)
PROJECTION_TABLES = ("projections", "projection_workers", "projection_dead_letters")
"""Of the library's projections; each run has one of its own in them."""

Form = Literal["text", "native"]
"""Whether a table has ids as text, or as the database's own type for 16 bytes."""


class Database(ABC):
    """One database, by its URI."""

    name: ClassVar[str]
    placeholder: ClassVar[str] = "%s"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @property
    def hasty_uri(self) -> str:
        """The URI under which commits need not be durable, where a URI can say that."""
        return self.uri

    @abstractmethod
    def connect(self) -> Any:
        """Return a new connection of the plain driver, in autocommit mode."""

    def wipe(self) -> None:
        """Drop the tables of earlier runs, and nothing else."""
        for table in TABLES:
            self.execute(f"DROP TABLE IF EXISTS {table}")

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Execute one statement in a transaction of its own, and return its rows."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def count(self, table: str) -> int:
        """Return the number of rows."""
        return int(self.execute(f"SELECT count(*) FROM {table}")[0][0])

    def version(self) -> str:
        """Return the server's version."""
        return str(self.execute("SELECT version()")[0][0])

    @abstractmethod
    def clone(self, table: str, form: Form, template: UUID, n: int) -> None:
        """Copy a stream `n` times, each copy with a random id, and let the database settle."""

    @abstractmethod
    def key(self, form: Form, originator_id: UUID) -> Any:
        """Return a stream's id as the driver takes it for a table that has ids in this form."""

    def stretch(self, table: str, form: Form, stream: UUID, length: int, size: int) -> None:
        """Make a stream longer, with copies of all its events but the first.

        Args:
            length: How many events it has.
            size: How many it is to have.
        """
        names = [name for name in self._other_columns(table) if name != "originator_version"]
        others, mark = ", ".join(names), self.placeholder
        while length < size:
            step = length - 1
            self.execute(
                f"INSERT INTO {table} (originator_id, originator_version, {others})"
                f" SELECT originator_id, originator_version + {step}, {others} FROM {table}"
                f" WHERE originator_id = {mark}"
                f" AND originator_version BETWEEN 1 AND {min(step, size - length)}"
                " ORDER BY originator_version",
                (self.key(form, stream),),
            )
            length += min(step, size - length)

    def _other_columns(self, table: str) -> list[str]:
        """Return the names of all columns but the position in the table and the stream's id."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            names = [column[0] for column in cursor.description]
        return [name for name in names if name not in ("id", "originator_id")]


class SqliteDatabase(Database):
    """A file."""

    name = "sqlite"
    placeholder = "?"

    @property
    def path(self) -> Path:
        return Path(self.uri.removeprefix("sqlite:///"))

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60, isolation_level=None)

    def wipe(self) -> None:
        """Remove the file, so that a journal mode does not stay in it."""
        if self.path.exists():
            names = self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            known = {*TABLES, *PROJECTION_TABLES, "sqlite_sequence", "sqlite_stat1"}
            others = {name for (name,) in names} - known
            if others:
                raise ValueError(
                    f"{self.path} holds other tables ({', '.join(sorted(others))}): give the"
                    " benchmarks a file of their own"
                )
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def version(self) -> str:
        return sqlite3.sqlite_version

    def clone(self, table: str, form: Form, template: UUID, n: int) -> None:
        new = "randomblob(16)"
        if form == "text":
            new = " || '-' || ".join(f"lower(hex(randomblob({k})))" for k in (4, 2, 2, 2, 6))
        columns = self._other_columns(table)
        with closing(self.connect()) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(
                f"WITH RECURSIVE copies (n, new_id) AS"
                f" (SELECT 1, {new} UNION ALL SELECT n + 1, {new} FROM copies WHERE n < ?)"
                f" INSERT INTO {table} (originator_id, {', '.join(columns)})"
                f" SELECT new_id, {', '.join(f't.{name}' for name in columns)}"
                f" FROM copies CROSS JOIN {table} AS t WHERE t.originator_id = ?",
                (n, self.key(form, template)),
            )

    def key(self, form: Form, originator_id: UUID) -> Any:
        return str(originator_id) if form == "text" else originator_id.bytes


class PostgresqlDatabase(Database):
    """A database of a PostgreSQL server."""

    name = "postgresql"

    @property
    def hasty_uri(self) -> str:
        separator = "&" if "?" in self.uri else "?"
        return f"{self.uri}{separator}options={quote('-c synchronous_commit=off')}"

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(self.uri, autocommit=True)

    def version(self) -> str:
        return str(self.execute("SHOW server_version")[0][0])

    def clone(self, table: str, form: Form, template: UUID, n: int) -> None:
        kind = "text" if form == "text" else "uuid"
        columns = self._other_columns(table)
        # Not as a subquery, which would be evaluated anew, with other ids, for each event.
        self.execute(
            f"WITH copies AS MATERIALIZED"
            f" (SELECT gen_random_uuid()::{kind} AS new_id FROM generate_series(1, %s))"
            f" INSERT INTO {table} (originator_id, {', '.join(columns)})"
            f" SELECT new_id, {', '.join(f't.{name}' for name in columns)}"
            f" FROM copies CROSS JOIN {table} AS t WHERE t.originator_id = %s::{kind}"
            " ORDER BY new_id, t.originator_version",
            (n, str(template)),
        )
        self.execute(f"ANALYZE {table}")
        self.execute("CHECKPOINT")

    def key(self, form: Form, originator_id: UUID) -> Any:
        return str(originator_id) if form == "text" else originator_id


class MariadbDatabase(Database):
    """A database of a MariaDB or MySQL server."""

    name = "mariadb"

    def connect(self) -> Any:
        import pymysql

        return pymysql.connect(**mariadb_arguments(self.uri))

    def clone(self, table: str, form: Form, template: UUID, n: int) -> None:
        kind = "char(36)" if form == "text" else "binary(16)"
        columns = self._other_columns(table)
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"CREATE TEMPORARY TABLE copies (new_id {kind})")
            cursor.executemany(
                "INSERT INTO copies VALUES (%s)", [(self.key(form, uuid4()),) for _ in range(n)]
            )
            cursor.execute(
                f"INSERT INTO {table} (originator_id, {', '.join(columns)})"
                f" SELECT new_id, {', '.join(f't.{name}' for name in columns)}"
                f" FROM copies CROSS JOIN {table} AS t WHERE t.originator_id = %s",
                (self.key(form, template),),
            )
            cursor.execute(f"ANALYZE TABLE {table}")

    def key(self, form: Form, originator_id: UUID) -> Any:
        return str(originator_id) if form == "text" else originator_id.bytes


def mariadb_arguments(uri: str) -> dict[str, Any]:
    """Return the arguments of ``pymysql.connect`` for ``mysql://user:password@host:port/name``."""
    parts = urlsplit(uri)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path.removeprefix("/"),
        "charset": "utf8mb4",
        "autocommit": True,
    }


def database_for(uri: str) -> Database:
    """Return the database of a URI."""
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        return SqliteDatabase(uri)
    if scheme == "postgresql":
        return PostgresqlDatabase(uri)
    if scheme in ("mysql", "mariadb"):
        return MariadbDatabase(uri)
    raise ValueError(f"no benchmark is written for {scheme!r} databases")
