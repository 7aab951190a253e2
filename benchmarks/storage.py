"""The fewest statements that keep events, on the bare driver of each database.

This is the limit that the library is compared with: a connection for each thread, in autocommit
mode; one INSERT for one event; several in one transaction, by the driver's quickest way for many
rows; prepared where the driver prepares. Nothing is checked, mapped or pooled.
"""

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from benchmarks.databases import (
    RAW_TABLE,
    TRACKING_TABLE,
    VIEW_TABLE,
    database_for,
    mariadb_arguments,
)

COLUMNS = "originator_id, originator_version, topic, state"

Event = tuple[int, str, Any]
"""A position, a topic, and what is encoded as the state."""

encode = msgspec.json.Encoder().encode


class Conflict(Exception):
    """Another writer took the position."""


def _page(mark: str) -> str:
    return (
        f"SELECT id, originator_id, topic, state FROM {RAW_TABLE}"
        f" WHERE id > {mark} ORDER BY id LIMIT {mark}"
    )


_UPSERT = (
    f"INSERT INTO {TRACKING_TABLE} VALUES ('p', {{}})"
    " ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)


class Storage(ABC):
    """A table of events."""

    create_table: str
    select_page: str
    insert_shown: str
    upsert: str
    begin: ClassVar[str] = "BEGIN"

    def __init__(self, uri: str, mode: str) -> None:
        self.uri = uri
        self.mode = mode
        self._local = threading.local()
        self._connections: list[Any] = []

    @abstractmethod
    def connect(self) -> Any:
        """Return a new connection."""

    @abstractmethod
    def insert(self, originator_id: UUID, events: Sequence[Event]) -> None:
        """Store events in one transaction, or raise Conflict."""

    @abstractmethod
    def select(self, originator_id: UUID) -> Iterable[tuple[str, bytes]]:
        """Return the topics and states of a stream, in order."""

    def pages(self, size: int) -> Iterator[Sequence[tuple[int, Any, str, bytes]]]:
        """Yield the events of all streams in pages: id, stream, topic and state."""
        cursor, last = self.reader(), 0
        while True:
            cursor.execute(self.select_page, (last, size))
            rows = cursor.fetchall()
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def reader(self) -> Any:
        """Return a cursor that reads as quickly as it can."""
        return self.connection.cursor()

    def create_view(self) -> None:
        """Create the table of a view, and that of a follower's position."""
        cursor = self.connection.cursor()
        cursor.execute(
            f"CREATE TABLE {VIEW_TABLE}"
            " (position bigint PRIMARY KEY, ref varchar(36) NOT NULL, qty bigint NOT NULL)"
        )
        cursor.execute(
            f"CREATE TABLE {TRACKING_TABLE} (name varchar(10) PRIMARY KEY, position bigint)"
        )

    def track(self, position: int) -> None:
        """Note a follower's position in a transaction of its own."""
        self.connection.cursor().execute(self.upsert, (position,))

    def show(self, position: int, ref: str, qty: int) -> None:
        """Insert a row of a view, and note the position, in one transaction."""
        cursor = self.connection.cursor()
        cursor.execute(self.begin)
        cursor.execute(self.insert_shown, (position, ref, qty))
        cursor.execute(self.upsert, (position,))
        cursor.execute("COMMIT")

    @property
    def connection(self) -> Any:
        """The connection of this thread."""
        try:
            return self._local.connection
        except AttributeError:
            connection = self._local.connection = self.connect()
            self._connections.append(connection)
            return connection

    def open(self) -> None:
        self.connection.cursor().execute(self.create_table)

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()
        self._local = threading.local()


class SqliteStorage(Storage):
    """``sqlite3``."""

    create_table = (
        f"CREATE TABLE IF NOT EXISTS {RAW_TABLE} (id INTEGER PRIMARY KEY,"
        " originator_id BLOB NOT NULL, originator_version INTEGER NOT NULL,"
        " topic TEXT NOT NULL, state BLOB NOT NULL, UNIQUE (originator_id, originator_version))"
    )
    pragmas: ClassVar = {
        "default": (),
        "wal": ("journal_mode = WAL", "synchronous = FULL"),
        "walnormal": ("journal_mode = WAL", "synchronous = NORMAL"),
        "off": ("synchronous = OFF",),
    }
    insert_one = f"INSERT INTO {RAW_TABLE} ({COLUMNS}) VALUES (?, ?, ?, ?)"
    select_all = (
        f"SELECT topic, state FROM {RAW_TABLE} WHERE originator_id = ? ORDER BY originator_version"
    )
    select_page = _page("?")
    insert_shown = f"INSERT INTO {VIEW_TABLE} VALUES (?, ?, ?)"
    upsert = _UPSERT.format("?")
    begin = "BEGIN IMMEDIATE"

    def connect(self) -> sqlite3.Connection:
        path = self.uri.removeprefix("sqlite:///")
        connection = sqlite3.connect(
            path, timeout=60, isolation_level=None, check_same_thread=False
        )
        for pragma in self.pragmas[self.mode]:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def insert(self, originator_id: UUID, events: Sequence[Event]) -> None:
        connection = self.connection
        key = originator_id.bytes
        try:
            if len(events) == 1:
                version, topic, event = events[0]
                connection.execute(self.insert_one, (key, version, topic, encode(event)))
            else:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    self.insert_one, [(key, v, topic, encode(event)) for v, topic, event in events]
                )
                connection.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise Conflict from error

    def select(self, originator_id: UUID) -> Iterable[tuple[str, bytes]]:
        rows: sqlite3.Cursor = self.connection.execute(self.select_all, (originator_id.bytes,))
        return rows


class PostgresqlStorage(Storage):
    """psycopg 3 with prepared statements and binary parameters."""

    create_table = (
        f"CREATE TABLE IF NOT EXISTS {RAW_TABLE} (id bigserial PRIMARY KEY,"
        " originator_id uuid NOT NULL, originator_version bigint NOT NULL,"
        " topic text NOT NULL, state bytea NOT NULL, UNIQUE (originator_id, originator_version))"
    )
    insert_one = f"INSERT INTO {RAW_TABLE} ({COLUMNS}) VALUES (%b, %b, %b, %b)"
    insert_many = (
        f"INSERT INTO {RAW_TABLE} ({COLUMNS})"
        " SELECT %b, * FROM unnest(%b::bigint[], %b::text[], %b::bytea[])"
    )
    select_all = (
        f"SELECT topic, state FROM {RAW_TABLE} WHERE originator_id = %b ORDER BY originator_version"
    )
    select_page = _page("%b")
    insert_shown = f"INSERT INTO {VIEW_TABLE} VALUES (%b, %b, %b)"
    upsert = _UPSERT.format("%b")

    def __init__(self, uri: str, mode: str) -> None:
        super().__init__(uri, mode)
        from psycopg.errors import UniqueViolation

        self._unique_violation = UniqueViolation

    def connect(self) -> Any:
        connection = database_for(self.uri).connect()
        connection.prepare_threshold = 0
        return connection

    def insert(self, originator_id: UUID, events: Sequence[Event]) -> None:
        connection = self.connection
        try:
            if len(events) == 1:
                version, topic, event = events[0]
                connection.execute(self.insert_one, (originator_id, version, topic, encode(event)))
            else:
                versions = [version for version, _, _ in events]
                topics = [topic for _, topic, _ in events]
                states = [encode(event) for _, _, event in events]
                with connection.transaction():
                    connection.execute(self.insert_many, (originator_id, versions, topics, states))
        except self._unique_violation as error:
            raise Conflict from error

    def reader(self) -> Any:
        return self.connection.cursor(binary=True)

    def select(self, originator_id: UUID) -> Iterable[tuple[str, bytes]]:
        cursor = self.reader()
        rows: Iterable[tuple[str, bytes]] = cursor.execute(self.select_all, (originator_id,))
        return rows


class MariadbStorage(Storage):
    """PyMySQL, which writes the parameters into the statements itself."""

    create_table = (
        f"CREATE TABLE IF NOT EXISTS {RAW_TABLE} (id bigint AUTO_INCREMENT PRIMARY KEY,"
        " originator_id binary(16) NOT NULL, originator_version bigint NOT NULL,"
        " topic text NOT NULL, state longblob NOT NULL,"
        " UNIQUE (originator_id, originator_version))"
    )
    insert_one = f"INSERT INTO {RAW_TABLE} ({COLUMNS}) VALUES (%s, %s, %s, %s)"
    select_all = (
        f"SELECT topic, state FROM {RAW_TABLE} WHERE originator_id = %s ORDER BY originator_version"
    )
    select_page = _page("%s")
    insert_shown = f"INSERT INTO {VIEW_TABLE} VALUES (%s, %s, %s)"
    upsert = (
        f"INSERT INTO {TRACKING_TABLE} VALUES ('p', %s)"
        " ON DUPLICATE KEY UPDATE position = VALUES(position)"
    )

    def __init__(self, uri: str, mode: str) -> None:
        super().__init__(uri, mode)
        from pymysql.err import IntegrityError

        self._integrity_error = IntegrityError

    def connect(self) -> Any:
        import pymysql

        return pymysql.connect(**mariadb_arguments(self.uri))

    def insert(self, originator_id: UUID, events: Sequence[Event]) -> None:
        connection = self.connection
        key = originator_id.bytes
        with connection.cursor() as cursor:
            try:
                if len(events) == 1:
                    version, topic, event = events[0]
                    cursor.execute(self.insert_one, (key, version, topic, encode(event)))
                else:
                    connection.begin()
                    cursor.executemany(
                        self.insert_one,
                        [(key, v, topic, encode(event)) for v, topic, event in events],
                    )
                    connection.commit()
            except self._integrity_error as error:
                with suppress(Exception):
                    connection.rollback()
                raise Conflict from error

    def select(self, originator_id: UUID) -> Iterable[tuple[str, bytes]]:
        with self.connection.cursor() as cursor:
            cursor.execute(self.select_all, (originator_id.bytes,))
            rows: Iterable[tuple[str, bytes]] = cursor.fetchall()
            return rows


def storage_for(uri: str, mode: str) -> Storage:
    """Return the storage of a database that is known by its URI."""
    classes: dict[str, type[Storage]] = {
        "sqlite": SqliteStorage,
        "postgresql": PostgresqlStorage,
        "mariadb": MariadbStorage,
    }
    return classes[database_for(uri).name](uri, mode)
