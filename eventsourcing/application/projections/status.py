"""Watches all projections of a database."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from eventsourcing.application.projections.stores import datastore_of
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import TableNotFound
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.projectionstatus import ProjectionStatus, read_status

__all__ = ["ProjectionMonitor", "as_table"]


class ProjectionMonitor:
    """Reads how all projections are doing, whoever runs them.

    Args:
        application: whose events they are made of.
        datastore: as the runners' was given.
    """

    def __init__(
        self, application: SimpleApplication, datastore: SQLAlchemyDatastore | None = None
    ) -> None:
        self._application = application
        self._datastore = datastore_of(application, datastore)
        self._positions: dict[tuple[str, int], int] = {}
        self._read_at = 0.0

    def read(self) -> list[ProjectionStatus]:
        """Returns the status of each version, by name and version; with the rate since this was
        called before.

        Raises:
            PersistenceError: the database could not be read.
        """
        now = monotonic()
        seconds = now - self._read_at
        end = self._application.notification_log.safe_position()
        try:
            found = [
                each._replace(position=end) if each.is_inline else each
                for each in read_status(self._datastore)
            ]
        except TableNotFound:
            return []  # there never was one
        before = self._positions
        self._positions = {(each.name, each.version): each.position for each in found}
        self._read_at = now
        return [
            each._replace(
                lag=max(0, end - each.position),
                per_second=(each.position - before.get(key, each.position)) / seconds,
            )
            for key, each in zip(self._positions, found, strict=True)
        ]


def as_table(found: Sequence[ProjectionStatus]) -> str:
    """Returns the status of projections as lines of text, of one projection each."""
    titles = ("projection", "version", "state", "position", "behind", "a second", "shards")
    rows: list[tuple[str, ...]] = [(*titles, "workers", "failed", "set aside")]
    for each in found:
        states = ("live" * each.is_live, "paused" * each.is_paused, "inline" * each.is_inline)
        numbers = (each.position, each.lag, round(each.per_second))
        rows.append(
            (
                *(each.name, str(each.version), " ".join(filter(None, states)) or "-"),
                *map(str, numbers),
                *(f"{each.leased}/{each.shards}", str(each.workers)),
                *(str(each.failed), str(each.set_aside)),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if at in (0, 2) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
