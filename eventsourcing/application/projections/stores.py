"""Finds the database in which a projection's checkpoints are."""

from __future__ import annotations

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.projectionstore import ProjectionStore

__all__ = ["datastore_of", "store_of"]


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
    return ProjectionStore(
        datastore_of(application, datastore),
        projection.name,
        projection.version,
        projection.shards,
    )


def datastore_of(
    application: SimpleApplication, datastore: SQLAlchemyDatastore | None
) -> SQLAlchemyDatastore:
    """Returns the given database, or the application's.

    Raises:
        ProgrammingError: there is none.
    """
    if datastore is not None:
        return datastore
    manager = application.event_store.record_manager
    if not isinstance(manager, SQLAlchemyRecordManager):
        raise ProgrammingError("an application without a database needs datastore=")
    return manager.datastore
