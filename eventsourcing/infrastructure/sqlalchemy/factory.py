"""Puts an event store together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager

if TYPE_CHECKING:
    from sqlalchemy import Table

    from eventsourcing.infrastructure.sqlalchemy.datastore import CallersSession

__all__ = ["construct_record_manager", "construct_sqlalchemy_eventstore"]


def construct_sqlalchemy_eventstore(
    session: CallersSession | None = None,
    *,
    datastore: SQLAlchemyDatastore | None = None,
    uri: str | None = None,
    item_class: type[tuple[Any, ...]] = StoredEvent,
    record_class: Table | type | None = None,
    mapper: SequencedItemMapper | None = None,
    topic_prefixes: Iterable[str] = (),
    setup_table: bool = True,
) -> EventStore:
    """Returns an event store on a database.

    Args:
        session: to write in a transaction of the caller's.
        datastore: else the database to use.
        uri: else where to connect; by default the environment's (see SQLAlchemySettings).
        item_class, record_class: see :class:`SQLAlchemyRecordManager`.
        mapper: by default a ``SequencedItemMapper`` for the item class.
        topic_prefixes: see :class:`SequencedItemMapper`.
        setup_table: whether to create the table if it does not exist.

    Raises:
        ProgrammingError: the arguments do not fit together.
        PersistenceError: the table cannot be created.
    """
    if sum(given is not None for given in (session, datastore, uri)) > 1:
        raise ProgrammingError("give one of: session, datastore, uri")
    if mapper is not None and topic_prefixes:
        raise ProgrammingError("give the topic_prefixes to the mapper")
    if datastore is None:
        settings = SQLAlchemySettings(uri=uri) if session is None else None
        datastore = SQLAlchemyDatastore(settings, session=session)
    manager = construct_record_manager(datastore, record_class, item_class, setup_table)
    return EventStore(manager, mapper or SequencedItemMapper(item_class, topic_prefixes))


def construct_record_manager(
    datastore: SQLAlchemyDatastore,
    record_class: Table | type | None = None,
    item_class: type[tuple[Any, ...]] = StoredEvent,
    setup_table: bool = True,
) -> SQLAlchemyRecordManager:
    """Returns a record manager; or closes the datastore, and raises why there can be none.

    Args:
        datastore, record_class, item_class: see :class:`SQLAlchemyRecordManager`.
        setup_table: whether to create the table if it does not exist.
    """
    try:
        manager = SQLAlchemyRecordManager(datastore, record_class, item_class)
    except BaseException:
        datastore.close()
        raise
    try:
        if setup_table:
            manager.setup_table()
    except BaseException:
        manager.close()
        raise
    return manager
