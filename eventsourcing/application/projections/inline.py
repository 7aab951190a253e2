"""Projections that write in the transaction of the save: events and views are stored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from eventsourcing.application.projections.definition import Projection
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import ProgrammingError, ProjectionFailed
from eventsourcing.infrastructure.sqlalchemy.deadletters import DeadLetters
from eventsourcing.infrastructure.sqlalchemy.leases import hold_for_savers
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.projectionstore import (
    PASSING,
    ProjectionSession,
    ProjectionStore,
)
from eventsourcing.infrastructure.sqlalchemy.projectionviews import setup_views

__all__ = ["project_inline"]


def project_inline(
    application: SimpleApplication, *projections: Projection, setup: bool = True
) -> None:
    """Lets projections handle the events of each save of the application in its transaction.

    From then on, all who save such events are to do it with these projections. Runners have no
    part in them any more.

    Args:
        application: on a database; on a session of the caller's too.
        projections: instances, which all threads that save use at once. They are called in this
            order.
        setup: whether to create what does not exist, and to keep runners away, which takes a few
            queries. False where that has been done, as by another application on the database.

    Raises:
        ProgrammingError: an argument cannot be used; or a projection lacks stored events, or a
            runner works on it: catch up, while nobody saves, and close the runner.
        PersistenceError: the database refused.
    """
    manager = application.event_store.record_manager
    if not isinstance(manager, SQLAlchemyRecordManager):
        raise ProgrammingError("inline projections need an application on a database")
    for projection in projections:
        if not isinstance(projection, Projection):
            raise ProgrammingError(
                f"an inline projection is a Projection, not {type(projection).__qualname__}"
            )
        projection.check()
    if setup:
        for projection in projections:
            _setup(application, manager, projection)
    manager.inline = _Inline(application, manager, projections)


def _setup(
    application: SimpleApplication, manager: SQLAlchemyRecordManager, projection: Projection
) -> None:
    store = ProjectionStore(
        manager.datastore.beside(), projection.name, projection.version, projection.shards
    )
    store.setup(projection.tables)
    setup_views(store, projection.views)
    if DeadLetters(store).read(limit=1):
        raise ProgrammingError(
            f"the projection {store.name!r} has dead letters: retry or skip them"
        )
    hold_for_savers(store, application.notification_log.safe_position())


class _Inline:
    """Hands the events of a save to projections."""

    def __init__(
        self,
        application: SimpleApplication,
        manager: SQLAlchemyRecordManager,
        projections: Sequence[Projection],
    ) -> None:
        self._mapper = application.event_store.mapper
        self._datastore = manager.datastore
        self._projections = projections

    def __call__(self, items: Sequence[tuple[Any, ...]]) -> Callable[[Any], None]:
        # As a reader would get them; and the aggregate's own cannot be changed by a projection.
        # Before the transaction, for keys may have to be read.
        return partial(self._project, list(self._mapper.events_at_once(items, {})))

    def _project(self, events: Sequence[DomainEvent], connection: Any) -> None:
        with ProjectionSession(bind=connection, join_transaction_mode="rollback_only") as session:
            for projection in self._projections:
                self._handle(projection, events, session)

    def _handle(
        self, projection: Projection, events: Sequence[DomainEvent], session: ProjectionSession
    ) -> None:
        try:
            with self._datastore.translating():
                for event in events:
                    if (handler := projection.handler_of(event)) is not None:
                        handler(event, session)
                session.flush()
        except PASSING:
            raise
        except Exception as error:
            raise ProjectionFailed(
                f"the projection {projection.name!r} failed in the transaction of a save, and"
                f" nothing is stored: {type(error).__qualname__}",
                projection=projection.name,
            ) from error
