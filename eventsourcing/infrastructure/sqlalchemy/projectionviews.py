"""The views under which readers find the tables of the version of a projection that is live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, delete, inspect, select, update

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.projectionstore import ProjectionStore
from eventsourcing.infrastructure.sqlalchemy.projectiontables import (
    checkpoints,
    dead_letters,
    workers,
)
from eventsourcing.infrastructure.sqlalchemy.tables import check_identifier

__all__ = ["drop_version", "go_live", "setup_views"]

Views = Mapping[str, Any]
"""Tables, or classes that are mapped to one, by the names of their views."""


def setup_views(store: ProjectionStore, views: Views) -> None:
    """Creates the views that do not exist, if the version is live.

    Raises:
        PersistenceError: the database refused.
    """
    if views and store.checkpoints()[0].is_live:
        with store.datastore.reading() as connection:
            there = inspect(connection).get_view_names()
        missing = {name: table for name, table in views.items() if name not in there}
        if missing:
            go_live(store, missing)


def go_live(store: ProjectionStore, views: Views) -> None:
    """Shows readers this version from now on: in one transaction, but on MariaDB and MySQL, where
    each view is replaced in one of its own.

    Raises:
        PersistenceError: the database refused.
    """
    with store.transaction() as connection:
        if store.datastore.driver.ddl_commits:
            for name, table in views.items():
                connection.exec_driver_sql(_view(connection, name, table, "CREATE OR REPLACE VIEW"))
            connection.exec_driver_sql(store.datastore.driver.begin)  # the views have committed
            _mark(store, connection)
            return
        _mark(store, connection)
        for name, table in views.items():
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quoted}")
            connection.exec_driver_sql(_view(connection, name, table, "CREATE VIEW"))


def drop_version(store: ProjectionStore, tables: tuple[Any, ...]) -> None:
    """Drops a version that is not live: its tables, checkpoints and dead letters.

    Raises:
        ProgrammingError: it is live.
        PersistenceError: the database refused.
    """
    if any(each.is_live for each in store.checkpoints()):
        raise ProgrammingError(
            f"version {store.version} of the projection {store.name!r} is live, and is not dropped"
        )
    with store.transaction() as connection:
        for table in (checkpoints, workers, dead_letters):
            mine = and_(table.c.name == store.name, table.c.version == store.version)
            connection.execute(delete(table).where(mine))
    for table in reversed(tables):
        store.datastore.drop_table(getattr(table, "__table__", table))


def _mark(store: ProjectionStore, connection: Connection) -> None:
    c = checkpoints.c
    connection.execute(
        update(checkpoints).where(c.name == store.name).values(is_live=c.version == store.version)
    )


def _view(connection: Connection, name: str, table: Any, command: str) -> str:
    quoted = connection.dialect.identifier_preparer.quote(check_identifier(name, "view"))
    columns = getattr(table, "__table__", table).c
    query = select(*columns).compile(dialect=connection.dialect)
    return f"{command} {quoted} AS {query}"
