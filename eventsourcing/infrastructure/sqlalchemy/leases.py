"""Divides the shards of a projection among the workers that are alive.

Each worker has the right to as many shards as any other, or one more. It says now and then that it
is alive, gives back what it has too much of, and takes what nobody works on. A lease that runs
out is anybody's. Each new holder raises the shard's token, so what an earlier one still writes is
refused (M. Kleppmann, "How to do distributed locking", 2016: a fencing token).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.projectionstore import (
    SAVERS,
    Checkpoint,
    Lease,
    ProjectionStore,
    projection_key,
)
from eventsourcing.infrastructure.sqlalchemy.projectiontables import (
    DatabaseClock,
    checkpoints,
    workers,
)

__all__ = ["Leases", "hold_for_savers", "share"]

FOR_EVER = 2**62  # milliseconds


def share(worker: str, alive: Sequence[str], shards: int) -> int:
    """Returns how many shards are a worker's: as many as each other's, or one more."""
    ranks = sorted({*alive, worker})
    return shards // len(ranks) + (ranks.index(worker) < shards % len(ranks))


def hold_for_savers(store: ProjectionStore, end: int) -> None:
    """Keeps all workers from a projection for good, because those who save do its work.

    Args:
        end: up to where all shards must have come.

    Raises:
        ProgrammingError: they have not, or somebody works on one.
        PersistenceError: the database refused.
    """
    c = checkpoints.c
    is_free = and_(c.position >= end, c.lease_until <= DatabaseClock())
    statement = (
        update(checkpoints)
        .where(store.mine, or_(c.owner == SAVERS, is_free))
        .values(owner=SAVERS, token=c.token + 1, lease_until=FOR_EVER)
    )
    with store.transaction() as connection:
        if connection.execute(statement).rowcount != store.shards:
            raise ProgrammingError(
                f"the projection {store.name!r} cannot be made by those who save: a runner has it,"
                f" or it has not come to position {end} of the feed. Catch up while nobody saves,"
                " and close the runner"
            )


class Leases:
    """What one worker holds of a projection.

    Args:
        worker: its name, which no other worker has.
        seconds: for which a lease holds after it was renewed.
    """

    def __init__(self, store: ProjectionStore, worker: str, seconds: float) -> None:
        self._store = store
        self._worker = worker
        self._milliseconds = round(seconds * 1000)
        self._of_projection = projection_key(workers, store.name, store.version)

    def renew(self) -> list[Lease]:
        """Says that the worker is alive, and returns what it holds from now on, by shard."""
        found = self._store.checkpoints()
        with self._store.transaction() as connection:
            due = share(self._worker, self._alive(connection), self._store.shards)
            kept = [each for each in found if each.owner == self._worker]
            free = [each for each in found if each.owner != self._worker and each.seconds_left <= 0]
            for each in found:
                if each in kept[due:]:
                    self._give_back(connection, each)
                elif each in kept[:due] or each in free[: max(0, due - len(kept))]:
                    self._take(connection, each)
        return self._held()

    def give_back(self) -> None:
        """Gives back all, so that others need not wait for it to run out."""
        with self._store.transaction() as connection:
            me = workers.c.worker == self._worker
            connection.execute(delete(workers).where(self._of_projection, me))
            connection.execute(
                update(checkpoints)
                .where(self._store.mine, checkpoints.c.owner == self._worker)
                .values(owner=None, lease_until=0)
            )

    def _alive(self, connection: Connection) -> list[str]:
        """Writes that this worker is alive, and returns all that are."""
        c, now = workers.c, DatabaseClock()
        until = now + self._milliseconds
        me = and_(self._of_projection, c.worker == self._worker)
        statement = update(workers).where(me).values(seen_until=until)
        if not connection.execute(statement).rowcount:
            connection.execute(
                insert(workers).values(
                    name=self._store.name,
                    version=self._store.version,
                    worker=self._worker,
                    seen_until=until,
                )
            )
        seen = select(c.worker, c.seen_until > now).where(self._of_projection)
        found = connection.execute(seen).all()
        for worker in sorted(worker for worker, is_alive in found if not is_alive):
            connection.execute(delete(workers).where(self._of_projection, c.worker == worker))
        return [worker for worker, is_alive in found if is_alive]

    def _take(self, connection: Connection, each: Checkpoint) -> None:
        """Takes a shard that is free, or goes on holding one."""
        c, now = checkpoints.c, DatabaseClock()
        as_it_was = and_(self._store.mine, c.shard == each.shard, c.token == each.token)
        is_mine = each.owner == self._worker
        connection.execute(
            update(checkpoints)
            .where(as_it_was, c.owner == self._worker if is_mine else c.lease_until <= now)
            .values(
                owner=self._worker,
                token=c.token if is_mine else c.token + 1,
                lease_until=now + self._milliseconds,
            )
        )

    def _give_back(self, connection: Connection, each: Checkpoint) -> None:
        c = checkpoints.c
        connection.execute(
            update(checkpoints)
            .where(self._store.mine, c.shard == each.shard, c.token == each.token)
            .values(owner=None, lease_until=0)
        )

    def _held(self) -> list[Lease]:
        return [
            Lease(each.shard, each.position, each.token)
            for each in self._store.checkpoints()
            if each.owner == self._worker and each.seconds_left > 0 and not each.is_paused
        ]
