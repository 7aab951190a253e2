"""Finds the database in which a projection's checkpoints are."""

from __future__ import annotations

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.projectionstore import ProjectionStore

__all__ = ["store_of"]


def store_of(
    application: SimpleApplication,
    projection: type[BaseProjection],
    datastore: SQLAlchemyDatastore | None = None,
) -> ProjectionStore:
    """Returns the checkpoints of a projection, in the given database or the application's.

    Raises:
        ProgrammingError: the projection's class cannot be used, or the application has no
            database of which a transaction is its own.
    """
    projection.check()
    if datastore is None:
        manager = application.event_store.record_manager
        if not isinstance(manager, SQLAlchemyRecordManager):
            raise ProgrammingError("an application without a database needs datastore=")
        datastore = manager.datastore
    return ProjectionStore(datastore, projection.name, projection.version, projection.shards)
