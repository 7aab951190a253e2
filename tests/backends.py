"""The places where events can be stored, as a test sees them."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from tests.servers import mariadb, postgresql
from tests.servers.address import Address
from tests.servers.process import Server

SQL_BACKENDS = ("sqlite", "postgresql", "mariadb")
BACKENDS = ("memory", *SQL_BACKENDS)


@dataclass(frozen=True)
class Backend:
    """An empty store of one kind.

    Tests ask what it can do, not what it is called.

    Attributes:
        name: One of `BACKENDS`.
        uri: For the library; None for the memory adapter.
        connect_arguments: Keyword arguments of the bare driver's ``connect``.
        server: The server, if it is the test's own to stop, kill and start again.
    """

    name: str
    uri: str | None = None
    connect_arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    server: Server | None = None
    _connect: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def is_sql(self) -> bool:
        """Whether rows can be looked at with a driver; they also outlive an application."""
        return self.uri is not None

    @property
    def is_server(self) -> bool:
        """Whether the store is a process of its own, that several clients write to at once."""
        return self.name in ("postgresql", "mariadb")

    def connect(self, **options: Any) -> Any:
        """Return a new connection of the bare driver: sqlite3, psycopg or pymysql."""
        if self._connect is None:
            raise TypeError(f"there is nothing to connect to in {self.name}")
        return self._connect(**self.connect_arguments | options)


def sqlite_backend(path: Path) -> Backend:
    """Return the backend of a database file, which need not exist."""
    return Backend("sqlite", f"sqlite:///{path}", {"database": path}, _connect=sqlite3.connect)


def postgresql_backend(address: Address, database: str, server: Server | None = None) -> Backend:
    """Return the backend of one database of a PostgreSQL server."""
    return Backend(
        name="postgresql",
        uri=address.uri(database),
        connect_arguments=postgresql.connect_arguments(address, database),
        server=server,
        _connect=psycopg.connect,
    )


def mariadb_backend(address: Address, database: str, server: Server | None = None) -> Backend:
    """Return the backend of one database of a MariaDB or MySQL server."""
    return Backend(
        name="mariadb",
        uri=address.uri(database),
        connect_arguments=mariadb.connect_arguments(address, database),
        server=server,
        _connect=pymysql.connect,
    )
