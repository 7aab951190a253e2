"""What an operator does with a projection: look, pause, try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.projections.pages import traceback_of
from eventsourcing.application.projections.stores import store_of
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import DataIntegrityError, EventSourcingError, ProjectionBehind
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.deadletters import DeadLetter, DeadLetters
from eventsourcing.infrastructure.sqlalchemy.projectionstore import (
    SAVERS,
    Checkpoint,
    ProjectionSession,
)
from eventsourcing.infrastructure.sqlalchemy.projectionviews import drop_version, go_live

__all__ = ["ProjectionControl"]

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1  # seconds between two looks at the checkpoints


class ProjectionControl:
    """Looks after a projection while runners work on it, in this process or in others.

    Args:
        application: whose events these are.
        projection: an instance, which handles what is tried again.
        datastore: as the runners' was given.

    Raises:
        ProgrammingError: an argument cannot be used.
    """

    def __init__(
        self,
        application: SimpleApplication,
        projection: BaseProjection,
        *,
        datastore: SQLAlchemyDatastore | None = None,
    ) -> None:
        self._application = application
        self._projection = projection
        self._store = store_of(application, type(projection), datastore)
        self._letters = DeadLetters(self._store)

    def checkpoints(self) -> list[Checkpoint]:
        """Returns how far each shard has come, and who works on it, by shard."""
        return self._store.checkpoints()

    def all_versions(self) -> list[Checkpoint]:
        """Returns the same of all versions of the projection, by version and shard."""
        return self._store.all_checkpoints()

    def position(self) -> int:
        """Returns up to where, inclusive, each event has taken effect, or is set aside. Of an
        inline projection that is the end.
        """
        reached = self._reached()
        return self.end() if reached == MAX_POSITION else reached

    def end(self) -> int:
        """Returns up to where, inclusive, the feed can be read now."""
        return self._application.notification_log.safe_position()

    def lag(self) -> int:
        """Returns by how many positions of the feed the projection is behind; 0 if it is not."""
        return max(0, self.end() - self.position())

    def wait(self, position: int, timeout: float = 10.0) -> None:
        """Waits until the projection has come to a position of the feed, such as that of a save.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ProjectionBehind: it has not come so far in that time.
        """
        until, pause = monotonic() + timeout, FIRST_PAUSE
        while (reached := self._reached()) < position:
            if monotonic() >= until:
                raise ProjectionBehind(
                    f"the projection {self._store.name!r} is at position {reached} of the feed, and"
                    f" has not come to {position} in {timeout} seconds",
                    position=reached,
                )
            sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def wait_for(self, *aggregates: AggregateRoot, timeout: float = 10.0) -> None:
        """Waits until readers can see the aggregates as they were loaded, or last saved; not their
        pending events.

        Raises:
            ProjectionBehind: they cannot in that time, in seconds.
        """
        feed_position = self._application.event_store.feed_position
        stored = [(each.id, each.version - len(each.pending_events)) for each in aggregates]
        found = [feed_position(id_, version - 1) or 0 for id_, version in stored]
        self.wait(max(found, default=0), timeout)

    def go_live(self) -> None:
        """Shows readers this version from now on, in the views of the projection: in one
        transaction, but on MariaDB and MySQL, where each view is replaced by itself.
        """
        go_live(self._store, getattr(self._projection, "views", {}))

    def drop(self) -> None:
        """Drops a version that is not live: its tables, its checkpoints and its dead letters.

        Raises:
            ProgrammingError: it is live.
        """
        drop_version(self._store, tuple(getattr(self._projection, "tables", ())))

    def pause(self) -> None:
        """Lets no runner begin another page, until :meth:`resume` is called."""
        self._store.pause(True)

    def resume(self) -> None:
        """Lets the runners go on. They take notice when they next renew their leases."""
        self._store.pause(False)

    def dead_letters(
        self, originator_id: UUID | str | int | None = None, limit: int | None = None
    ) -> list[DeadLetter]:
        """Returns the events that were set aside, of one stream or of all, by position.

        Args:
            limit: at most so many; None for all.
        """
        return self._letters.read(originator_id, limit)

    def retry(self, originator_id: UUID | str | int) -> int:
        """Handles the events of a stream that were set aside, in order, up to one that fails
        again. Without such a one the stream flows again.

        Returns:
            How many events were handled.

        Raises:
            PersistenceError: the database refused. What was handled until then is.
        """
        count = 0
        while letters := self.dead_letters(originator_id, limit=1):
            if not self._apply(letters[0]):
                break
            count += 1
        return count

    def skip(self, originator_id: UUID | str | int) -> int:
        """Drops the event that a stream was set aside for, and goes on as :meth:`retry` does."""
        for letter in self.dead_letters(originator_id, limit=1):
            with self._store.transaction() as connection:
                self._store.lock(connection, [letter.shard])
                self._letters.drop(connection, letter)
        return self.retry(originator_id)

    def _reached(self) -> int:
        found = self.checkpoints()
        if not found:
            return 0  # no runner has ever begun
        if all(each.owner == SAVERS for each in found):
            return MAX_POSITION  # with the save itself
        return min(each.position for each in found)

    def _apply(self, letter: DeadLetter) -> bool:
        """Handles an event again, and tells whether that succeeded."""
        try:
            with self._catching():
                event = self._event_of(letter)
            with self._store.transaction() as connection:
                self._store.lock(connection, [letter.shard])
                if self._letters.drop(connection, letter):
                    with self._catching():
                        self._handle(event, letter.position, connection)
        except _FailedAgain as failure:
            error: Any = failure.__cause__
            what = self._projection.describe(error)
            self._letters.failed_again(letter, what, traceback_of(error))
            return False
        return True

    @contextmanager
    def _catching(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._store.is_passing(error):
                raise
            raise _FailedAgain from error

    def _handle(self, event: DomainEvent, position: int, connection: Any) -> None:
        handler = self._projection.handler_of(event)
        if handler is None:
            return
        if not self._projection.is_transactional:
            handler(event, position)
            return
        with ProjectionSession(bind=connection) as session:
            handler(event, session)
            session.flush()

    def _event_of(self, letter: DeadLetter) -> DomainEvent:
        log = self._application.notification_log
        for notification in log.select(letter.position, stop=letter.position):
            return notification.event
        raise DataIntegrityError(
            f"there is no event at position {letter.position} of the feed",
            originator_id=letter.originator_id,
            originator_version=letter.originator_version,
        )


class _FailedAgain(EventSourcingError):
    """The handler failed. The cause is what it raised."""
