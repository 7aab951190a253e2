"""Events that a projection could not make use of, and those of the same streams behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, and_, delete, insert, select, update

from eventsourcing.infrastructure.sqlalchemy.projectionstore import (
    ProjectionStore,
    projection_key,
)
from eventsourcing.infrastructure.sqlalchemy.projectiontables import DatabaseClock, dead_letters

__all__ = ["DeadLetter", "DeadLetters"]


class DeadLetter(NamedTuple):
    """An event that was set aside.

    Attributes:
        position: in the feed.
        originator_id, originator_version, topic: which event it is.
        error: what the projection says of the error; None if the event waits behind another.
        traceback: where it was raised: files, lines and source, without values.
        attempts: how often the event was tried; 0 if never.
    """

    position: int
    shard: int
    originator_id: UUID | str | int
    originator_version: int
    topic: str
    error: str | None = None
    traceback: str | None = None
    attempts: int = 0


class DeadLetters:
    """The events that a version of a projection has set aside, in the order of the feed."""

    def __init__(self, store: ProjectionStore) -> None:
        self._store = store
        self._mine = projection_key(dead_letters, store.name, store.version)

    def read(
        self, originator_id: UUID | str | int | None = None, limit: int | None = None
    ) -> list[DeadLetter]:
        """Returns the letters of one stream, or of all, by position.

        Args:
            limit: at most so many; None for all.
        """
        c = dead_letters.c
        query = select(*(c[name] for name in DeadLetter._fields)).where(self._mine)
        if originator_id is not None:
            query = query.where(c.originator_id == originator_id)
        with self._store.datastore.reading() as connection:
            rows = connection.execute(query.order_by(c.position).limit(limit)).all()
        return [DeadLetter(*row) for row in rows]

    def streams(self, connection: Connection, shards: Sequence[int]) -> set[object]:
        """Returns the streams of these shards that are set aside."""
        c = dead_letters.c
        query = select(c.originator_id).where(self._mine, c.shard.in_(shards)).distinct()
        return set(connection.scalars(query))

    def put(self, connection: Connection, letters: Sequence[DeadLetter]) -> None:
        """Adds letters."""
        mine = {"name": self._store.name, "version": self._store.version}
        if letters:
            connection.execute(
                insert(dead_letters).values(set_aside_at=DatabaseClock()),
                [mine | letter._asdict() for letter in letters],
            )

    def drop(self, connection: Connection, letter: DeadLetter) -> bool:
        """Removes a letter, and tells whether it was still there."""
        one = and_(self._mine, dead_letters.c.position == letter.position)
        return bool(connection.execute(delete(dead_letters).where(one)).rowcount)

    def failed_again(self, letter: DeadLetter, error: str, traceback: str) -> None:
        """Writes what became of one more attempt."""
        c = dead_letters.c
        statement = (
            update(dead_letters)
            .where(self._mine, c.position == letter.position)
            .values(error=error, traceback=traceback, attempts=c.attempts + 1)
        )
        with self._store.transaction() as connection:
            connection.execute(statement)
