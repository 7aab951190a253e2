"""Places to keep items in, as the suites see them."""

from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import ChainedEvent, SequencedItem, StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.tables import (
    OriginatorId,
    State,
    stored_events_table,
)

Id = UUID | str | int


class Place(Protocol):
    """Somewhere to keep items."""

    def open(self, item_class: type[tuple[Any, ...]] = StoredEvent) -> RecordManager:
        """Return a new record manager for this place. The caller closes it."""


class MemoryPlace:
    """Nothing outlives its record manager here."""

    def open(self, item_class: type[tuple[Any, ...]] = StoredEvent) -> RecordManager:
        return MemoryRecordManager(item_class)


class SQLAlchemyPlace:
    """A database, with a table for each of the item classes of the suites."""

    def __init__(self, uri: str, setup_table: bool = True) -> None:
        self.uri = uri
        self.setup_table = setup_table

    def open(
        self, item_class: type[tuple[Any, ...]] = StoredEvent, **settings: Any
    ) -> SQLAlchemyRecordManager:
        datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=self.uri, **settings))
        manager = SQLAlchemyRecordManager(datastore, TABLES[item_class], item_class)
        if self.setup_table:
            manager.setup_table()
        return manager


class TenantItem(NamedTuple):
    """An item with names of its own, and columns that are filled from the event."""

    entity: Id
    place: int
    kind: str
    body: str
    tenant: str | None
    priority: int | None
    event_id: str


def _table(name: str, position: tuple[str, str], *columns: Column[Any]) -> Table:
    id_type = BigInteger().with_variant(Integer, "sqlite")
    return Table(
        name,
        MetaData(),
        Column("id", id_type, Identity(), primary_key=True),
        *columns,
        UniqueConstraint(*position),
    )


TABLES: dict[type[tuple[Any, ...]], Table] = {
    StoredEvent: stored_events_table(),
    ChainedEvent: stored_events_table("chained_events", chained=True),
    SequencedItem: _table(
        "sequenced_items",
        ("sequence_id", "position"),
        Column("sequence_id", OriginatorId, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("topic", State, nullable=False),
        Column("state", State, nullable=False),
    ),
    TenantItem: _table(
        "tenant_items",
        ("entity", "place"),
        Column("tenant", String(100)),
        Column("entity", OriginatorId, nullable=False),
        Column("place", BigInteger, nullable=False),
        Column("kind", State, nullable=False),
        Column("body", State, nullable=False),
        Column("priority", Integer),
        Column("event_id", String(32), nullable=False),
    ),
}
"""The record class of each item class."""
