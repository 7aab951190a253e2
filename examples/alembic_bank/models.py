"""The tables of the application: its own, and those of the events and snapshots."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from eventsourcing.infrastructure.sqlalchemy.tables import (
    stored_events_table,
    stored_snapshots_table,
)


class Base(DeclarativeBase):
    pass


class Letter(Base):
    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)


stored_events_table(metadata=Base.metadata)
stored_snapshots_table(metadata=Base.metadata)  # if snapshots are taken
