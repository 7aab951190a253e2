"""How far projections have come, and the transactions in which they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import Connection, Table, and_, insert, or_, select, update
from sqlalchemy.orm import Session

from eventsourcing.exceptions import (
    DatabaseUnavailable,
    DiskFull,
    EventSourcingError,
    LockTimeout,
    OutcomeUnknown,
    ProgrammingError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.projectiontables import (
    DatabaseClock,
    checkpoints,
    metadata,
)
from eventsourcing.infrastructure.sqlalchemy.silence import limited_silence

__all__ = [
    "PASSING",
    "SAVERS",
    "Checkpoint",
    "Lease",
    "LeaseLost",
    "ProjectionSession",
    "ProjectionStore",
    "projection_key",
]

PASSING = (
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    OutcomeUnknown,
    ReadOnlyDatabase,
    TransactionConflict,
)
"""What is no event's fault, and is tried again until it is over."""


SAVERS = "savers"
"""The owner of shards whose work is done in the transactions of saves, and by no worker."""


class Lease(NamedTuple):
    """The right to work on a shard.

    Attributes:
        position: how far the shard has come, by what its holder knows.
        token: how many holders there have been, this one included.
    """

    shard: int
    position: int
    token: int


class Checkpoint(NamedTuple):
    """How far a shard has come, and who works on it.

    Attributes:
        position: in the feed; up to it, inclusive, all of the shard is done or set aside.
        owner: the worker that has the lease, or had it last; None if it was given back. Of an
            inline projection ``savers``; its position is where that began.
        token: how many owners there have been.
        seconds_left: of the lease, by the database's clock; 0 or less once it is over.
        is_live: whether readers are shown this version.
        seconds_idle: since the position was last written.
    """

    version: int
    shard: int
    position: int
    owner: str | None
    token: int
    seconds_left: float
    is_paused: bool
    is_live: bool
    seconds_idle: float


class LeaseLost(EventSourcingError):
    """The checkpoint is not as its worker knew it: another one has the lease, or the projection
    is paused. Nothing is written.
    """


class ProjectionSession(Session):
    """The session that a projection writes through. Its transaction is not the projection's."""

    def commit(self) -> NoReturn:
        """Raises ProgrammingError: the checkpoint is to be committed in the same transaction."""
        raise ProgrammingError("a projection does not commit: its checkpoint has a part in that")

    def rollback(self) -> NoReturn:
        """Raises ProgrammingError. ``begin_nested()`` gives what can be rolled back."""
        raise ProgrammingError("a projection does not roll back: use session.begin_nested()")


def projection_key(table: Table, name: str, version: int) -> Any:
    """Returns the condition that selects what belongs to a version of a projection."""
    return and_(table.c.name == name, table.c.version == version)


class ProjectionStore:
    """The checkpoints of one version of a projection.

    Args:
        datastore: the database that the projection writes to. Not a transaction of the caller's.
        shards: how many there are.

    Raises:
        ProgrammingError: the datastore is a transaction of the caller's.
    """

    def __init__(
        self, datastore: SQLAlchemyDatastore, name: str, version: int = 1, shards: int = 1
    ) -> None:
        if not datastore.can_repeat:
            raise ProgrammingError(
                "a projection commits for itself: give its application an engine, not a session"
            )
        self.datastore = datastore
        self.name = name
        self.version = version
        self.shards = shards
        self.mine = projection_key(checkpoints, name, version)

    def setup(self, tables: Sequence[Any] = ()) -> None:
        """Creates the tables of all projections, the given ones, and the checkpoints, each if it
        does not exist.

        Raises:
            ProgrammingError: the version exists with another number of shards.
            PersistenceError: the database refused.
        """
        for table in (*metadata.sorted_tables, *(getattr(t, "__table__", t) for t in tables)):
            self.datastore.setup_table(table)
        found = len(self.checkpoints())
        if not found:
            with suppress(SequencedItemConflict):  # another worker may be quicker
                self._begin_at_first()
            found = len(self.checkpoints())
        if found != self.shards:
            raise ProgrammingError(
                f"version {self.version} of the projection {self.name!r} has {found} shards, not"
                f" {self.shards}: raise the version to change that"
            )

    def checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints of all shards, by shard."""
        return [each for each in self.all_checkpoints() if each.version == self.version]

    def all_checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints of all versions, by version and shard."""
        c = checkpoints.c
        now = DatabaseClock()
        query = (
            select(
                *(c.version, c.shard, c.position, c.owner, c.token),
                (c.lease_until - now).label("left"),
                *(c.is_paused, c.is_live),
                (now - c.updated_at).label("idle"),
            )
            .where(c.name == self.name)
            .order_by(c.version, c.shard)
        )
        with self.datastore.reading() as connection:
            rows: Sequence[Any] = connection.execute(query).all()
        return [
            Checkpoint._make((*row[:5], row[5] / 1000, *row[6:8], row[8] / 1000)) for row in rows
        ]

    def advance(
        self,
        leases: Sequence[Lease],
        position: int,
        seconds: float,
        work: Callable[[Session], None] | None = None,
    ) -> list[Lease]:
        """Moves shards on to a position, and does the work, in one transaction.

        The checkpoint is written first: so of two workers one waits for the other, and then does
        nothing.

        Args:
            leases: of shards that have come equally far.
            seconds: for which the leases then hold.
            work: writes through the session it is given.

        Returns:
            The leases, with their new position.

        Raises:
            LeaseLost: another worker was there. Nothing is written.
            Exception: what ``work`` raises. Nothing is written.
        """
        with self.transaction(seconds) as connection:
            if not self._move(connection, leases, position, seconds):
                raise LeaseLost(f"the projection {self.name!r} is in other hands, or paused")
            if work is not None:
                with ProjectionSession(
                    bind=connection, autoflush=True, join_transaction_mode="rollback_only"
                ) as session:
                    work(session)
                    session.flush()
        return [lease._replace(position=position) for lease in leases]

    def lock(self, connection: Connection, shards: Sequence[int]) -> None:
        """Keeps all workers from the shards until the transaction ends."""
        for shard in sorted(shards):
            one = and_(self.mine, checkpoints.c.shard == shard)
            connection.execute(update(checkpoints).where(one).values(token=checkpoints.c.token + 0))

    def pause(self, is_paused: bool) -> None:
        """Pauses or resumes all shards. A page that is being written is finished first."""
        with self.transaction() as connection:
            connection.execute(update(checkpoints).where(self.mine).values(is_paused=is_paused))

    @contextmanager
    def transaction(self, seconds: float | None = None) -> Iterator[Connection]:
        """Gives a connection in a transaction, which is committed at the end, or rolled back.

        Args:
            seconds: after which a server that can do so ends the transaction of a client that
                has fallen silent. A worker that was stopped would else hold its locks for ever.

        Raises:
            PersistenceError: of the class that fits.
        """
        with self.datastore.transaction() as connection:
            if seconds is None:
                yield connection
                return
            with limited_silence(connection, seconds):
                yield connection

    def is_passing(self, error: BaseException) -> bool:
        """Whether the error is the database's matter, and will be over some time."""
        found = self.datastore.class_of(error)
        return found is not None and issubclass(found, PASSING)

    def _move(
        self, connection: Connection, leases: Sequence[Lease], position: int, seconds: float
    ) -> bool:
        c, now = checkpoints.c, DatabaseClock()
        held = or_(
            *(
                and_(c.shard == each.shard, c.token == each.token, c.position == each.position)
                for each in leases
            )
        )
        statement = (
            update(checkpoints)
            .where(self.mine, held, c.is_paused.is_(False))
            .values(position=position, updated_at=now, lease_until=now + round(seconds * 1000))
        )
        return connection.execute(statement).rowcount == len(leases)

    def _begin_at_first(self) -> None:
        with self.transaction() as connection:
            versions = select(checkpoints.c.version).where(checkpoints.c.name == self.name)
            is_first = connection.execute(versions.limit(1)).first() is None
            rows = [
                {
                    "name": self.name,
                    "version": self.version,
                    "shard": shard,
                    "position": 0,
                    "token": 0,
                    "lease_until": 0,
                    "is_paused": False,
                    "is_live": is_first,
                    "updated_at": 0,
                }
                for shard in range(self.shards)
            ]
            connection.execute(insert(checkpoints), rows)
