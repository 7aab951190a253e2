"""Databases for scenarios: a file, or a server of the scenario's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import UniqueConstraint

from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table
from tests.backends import Backend, mariadb_backend, postgresql_backend, sqlite_backend
from tests.faults.scenario import Case
from tests.servers import mariadb, postgresql
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer

__all__ = ["SERVERS", "SQL", "make_table", "opened"]

SQL = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")
DATABASE = "eventsourcing_test_faults"


@contextmanager
def opened(
    case: Case, has_key: bool = True, environment: Mapping[str, str] | None = None
) -> Iterator[Backend]:
    """Give an empty table of events, in a database of its own, for the time of the block.

    Args:
        has_key: whether positions are unique.
        environment: variables of the server, beside this process's own.
    """
    with _database(case, environment or {}) as backend:
        make_table(backend, has_key)
        yield backend


@contextmanager
def _database(case: Case, environment: Mapping[str, str]) -> Iterator[Backend]:
    if case.backend == "sqlite":
        yield sqlite_backend(case.directory / "events.db")
    elif case.backend == "postgresql":
        with PostgresqlServer(environment=environment) as server:
            postgresql.empty_database(server.address, DATABASE)
            yield postgresql_backend(server.address, DATABASE, server)
    elif case.backend == "mariadb":
        with MariadbServer(environment=environment) as server:
            mariadb.empty_database(server.address, DATABASE)
            yield mariadb_backend(server.address, DATABASE, server)
    else:
        raise ValueError(f"no database is known by the name of {case.backend}")


def make_table(backend: Backend, has_key: bool = True) -> None:
    """Make the table of events; without its key, a position may be taken twice."""
    table = stored_events_table()
    if not has_key:
        table.constraints -= {c for c in table.constraints if isinstance(c, UniqueConstraint)}
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=backend.uri))
    try:
        datastore.setup_table(table)
    finally:
        datastore.close()
