"""What the library's followers make of the feed: a dict, or a table."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.adapter import Progress
from benchmarks.databases import VIEW_TABLE
from benchmarks.items import Item
from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import (
    ExternalProjection,
    Projection,
    handles,
)
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication


class Base(DeclarativeBase):
    """What the mapped class of the view is registered with."""


class Row(Base):
    """A row of the view."""

    __tablename__ = VIEW_TABLE
    account: Mapped[str] = mapped_column(String(36), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(String(36))
    qty: Mapped[int]


class ToDict(ExternalProjection):
    """How often each ``ref`` occurs."""

    def __init__(self) -> None:
        self.view: dict[UUID, int] = {}

    @handles(Item.Event)
    def count(self, event: Any, position: int) -> None:
        self.view[event.ref] = self.view.get(event.ref, 0) + 1


class ToTable(Projection):
    """A row for each event."""

    tables = (Row,)

    @handles(Item.Event)
    def show(self, event: Any, session: Session) -> None:
        row = Row(account=str(event.originator_id), version=event.originator_version)
        row.ref, row.qty = str(event.ref), event.qty
        session.add(row)


def follower(app: SimpleApplication, view: str) -> Callable[[], Progress]:
    """Return what catches up with the feed of an application."""
    projection: Any = ToTable() if view == "table" else ToDict()
    type(projection).name = f"benchmark_{uuid4().hex}"  # a run begins at the first event
    runner = ProjectionRunner(app, projection)

    def catch_up() -> Progress:
        with runner:
            runner.catch_up()
        position = ProjectionControl(app, projection).position()
        return Progress(_count(app, projection), position)

    return catch_up


def _count(app: SimpleApplication, projection: Any) -> int:
    if isinstance(projection, ToDict):
        return sum(projection.view.values())
    manager: Any = app.event_store.record_manager
    with manager.datastore.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(Row)).scalar_one())
