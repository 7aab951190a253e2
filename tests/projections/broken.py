"""Projections without what protects them, for controls."""

from collections.abc import Callable
from time import sleep
from typing import Any

from sqlalchemy import update

from eventsourcing.application.projections.pages import PageReader
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.projectionstore import (
    LeaseLost,
    ProjectionSession,
    ProjectionStore,
)
from eventsourcing.infrastructure.sqlalchemy.projectiontables import checkpoints
from eventsourcing.infrastructure.sqlalchemy.statements import Write

PAUSE = 0.02  # seconds between what belongs together: often enough somebody comes in between


def separately(is_first: bool) -> Any:
    """Return `ProjectionStore.advance` with the checkpoint in a transaction of its own."""

    def advance(
        self: ProjectionStore, leases: Any, position: int, seconds: float, work: Any = None
    ) -> Any:
        moved = [lease._replace(position=position) for lease in leases]

        def move() -> None:
            with self.transaction() as connection:
                if not self._move(connection, leases, position, seconds):
                    raise LeaseLost

        if is_first:
            move()
        for each in (work,) if work else ():
            with ProjectionSession(bind=self.datastore.engine) as session:
                each(session)
        if not is_first:
            sleep(PAUSE)
            move()
        return moved

    return advance


def unfenced(self: ProjectionStore, connection: Any, leases: Any, position: int, _: float) -> bool:
    """Move the checkpoint whoever has it."""
    shards = checkpoints.c.shard.in_([each.shard for each in leases])
    connection.execute(update(checkpoints).where(self.mine, shards).values(position=position))
    return True


def apart(execute: Callable[..., None]) -> Callable[..., None]:
    """Return `SQLAlchemyDatastore.execute` with the inline work in a transaction of its own."""

    def execute_apart(self: SQLAlchemyDatastore, write: Write, work: Any = None) -> None:
        if work is not None:
            with self.transaction() as connection:
                work(connection)
            sleep(PAUSE)
        execute(self, write)

    return execute_apart


def slowly(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return `PageReader.read`, with a pause between the reading of a page and its writing."""

    def read_slowly(*args: Any) -> Any:
        page = read(*args)
        sleep(PAUSE)
        return page

    return read_slowly


def break_process(*what: str) -> None:
    """Take something out of this process, for good."""
    changes: dict[str, Callable[[], tuple[type[Any], str, Any]]] = {
        "apart": lambda: (SQLAlchemyDatastore, "execute", apart(SQLAlchemyDatastore.execute)),
        "separate": lambda: (ProjectionStore, "advance", separately(is_first=False)),
        "slow": lambda: (PageReader, "read", slowly(PageReader.read)),
        "unfenced": lambda: (ProjectionStore, "_move", unfenced),
    }
    for name in what:
        setattr(*changes[name]())
