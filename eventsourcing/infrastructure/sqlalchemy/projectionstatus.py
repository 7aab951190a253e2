"""What the tables of projections say of all projections in a database."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import case, func, select

from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.projectionstore import SAVERS
from eventsourcing.infrastructure.sqlalchemy.projectiontables import (
    DatabaseClock,
    checkpoints,
    dead_letters,
)

__all__ = ["ProjectionStatus", "read_status"]


class ProjectionStatus(NamedTuple):
    """How a version of a projection is doing.

    Attributes:
        is_live: whether readers are shown it.
        is_paused: whether an operator has paused it.
        shards: how many there are.
        leased: how many of them somebody works on.
        workers: how many work on them.
        position: up to where in the feed all is done or set aside.
        lag: positions of the feed that are not.
        per_second: positions since it was read before; 0 the first time.
        failed: events that could not be handled.
        set_aside: these, and the events behind them in their streams.
        is_inline: whether it is made in the transactions of saves, and so is never behind.
    """

    name: str
    version: int
    is_live: bool
    is_paused: bool
    shards: int
    leased: int
    workers: int
    position: int
    lag: int = 0
    per_second: float = 0.0
    failed: int = 0
    set_aside: int = 0
    is_inline: bool = False


def read_status(datastore: SQLAlchemyDatastore) -> list[ProjectionStatus]:
    """Returns the status of all versions of all projections, by name and version.

    Raises:
        TableNotFound: there never was a projection.
        PersistenceError: the database could not be read.
    """
    c, now = checkpoints.c, DatabaseClock()
    is_leased = (c.lease_until > now) & c.owner.is_not(None)
    query = (
        select(
            *(c.name, c.version),
            func.max(_number(c.is_live)),
            func.max(_number(c.is_paused)),
            func.count(),
            func.sum(_number(is_leased)),
            func.count(case((is_leased, c.owner)).distinct()),
            func.min(c.position),
            func.min(_number(func.coalesce(c.owner, "") == SAVERS)),
        )
        .group_by(c.name, c.version)
        .order_by(c.name, c.version)
    )
    letters = select(
        *(dead_letters.c.name, dead_letters.c.version),
        *(func.count(dead_letters.c.error), func.count()),
    ).group_by(dead_letters.c.name, dead_letters.c.version)
    with datastore.reading() as connection:
        rows = connection.execute(query).all()
        counts = {(row[0], row[1]): row[2:] for row in connection.execute(letters)}
    found = []
    for name, version, is_live, is_paused, shards, leased, workers, position, is_inline in rows:
        failed, set_aside = counts.get((name, version), (0, 0))
        status = ProjectionStatus(
            *(name, version, bool(is_live), bool(is_paused)),
            *(shards, int(leased), workers, position),
        )
        found.append(status._replace(failed=failed, set_aside=set_aside, is_inline=bool(is_inline)))
    return found


def _number(condition: Any) -> Any:
    return case((condition, 1), else_=0)
