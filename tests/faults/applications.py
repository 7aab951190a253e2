"""The application that clients run, and others that lack a protection, for controls."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import create_engine

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import PersistenceError, SequencedItemConflict
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager

__all__ = ["APPLICATIONS"]

Settings = Mapping[str, Any]


def right(uri: str, settings: Settings) -> SimpleApplication:
    """Return an application as users make it. Its table is there."""
    return _application(SQLAlchemyRecordManager, uri, settings)


class _RowByRow(SQLAlchemyRecordManager):
    """Commits each row by itself."""

    def _write(
        self, rows: Sequence[tuple[Any, ...]], is_shared: bool = False, work: Any = None
    ) -> None:
        for row in rows:
            super()._write([row], work=work)


class _Careless(SQLAlchemyRecordManager):
    """Takes a lost connection for success."""

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        try:
            super().record(items)
        except SequencedItemConflict:
            raise
        except PersistenceError:
            return


class _Forgetful(EventStore):
    """Does not know its own events again."""

    def _same(self, stored: object, item: object) -> bool:
        return False


def forgetful(uri: str, settings: Settings) -> SimpleApplication:
    """Return an application that takes its own events for a rival's."""
    app = right(uri, settings)
    store = _Forgetful(app.event_store.record_manager, app.event_store.mapper)
    app.event_store = app.persistence_policy.event_store = store
    return app


def clinging(uri: str, settings: Settings) -> SimpleApplication:
    """Return an application that has one connection, and never makes another."""
    # what the pool says of the lost connection, again and again, is no news
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL + 1)
    made: list[Any] = []
    url = SQLAlchemySettings(uri=uri).url
    first = create_engine(url)

    def connect() -> Any:
        if not made:
            made.append(first.raw_connection())  # and keeps it
        return made[0].dbapi_connection

    # Two of its pool's records may hold that connection. What one that is forgotten does at the
    # garbage's collection, to roll back, would wait for the other's call, in the middle of it.
    engine = create_engine(
        url,
        creator=connect,
        pool_size=1,
        max_overflow=0,
        pool_timeout=1,
        pool_reset_on_return=None,
    )
    return SimpleApplication(engine=engine, setup_table=False)


def _application(
    manager: type[SQLAlchemyRecordManager], uri: str, settings: Settings
) -> SimpleApplication:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=uri, **settings))
    return SimpleApplication(record_manager=manager(datastore))


APPLICATIONS: Mapping[str, Callable[[str, Settings], SimpleApplication]] = {
    "right": right,
    "row by row": lambda uri, settings: _application(_RowByRow, uri, settings),
    "careless": lambda uri, settings: _application(_Careless, uri, settings),
    "forgetful": forgetful,
    "clinging": clinging,
}
