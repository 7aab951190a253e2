"""What an operator does with a projection: look, pause, try again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.projections.pages import traceback_of
from eventsourcing.application.projections.stores import store_of
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import DataIntegrityError, EventSourcingError
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.deadletters import DeadLetter, DeadLetters
from eventsourcing.infrastructure.sqlalchemy.projectionstore import Checkpoint, ProjectionSession

__all__ = ["ProjectionControl"]


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

    def _apply(self, letter: DeadLetter) -> bool:
        """Handles an event again, and tells whether that succeeded."""
        try:
            with self._store.transaction() as connection:
                self._store.lock(connection, [letter.shard])
                if self._letters.drop(connection, letter):
                    self._handle(letter, connection)
        except _FailedAgain as failure:
            error: Any = failure.__cause__
            what = self._projection.describe(error)
            self._letters.failed_again(letter, what, traceback_of(error))
            return False
        return True

    def _handle(self, letter: DeadLetter, connection: Any) -> None:
        try:
            event = self._event_of(letter)
            handler = self._projection.handler_of(event)
            if handler is None:
                return
            if not self._projection.is_transactional:
                handler(event, letter.position)
                return
            with ProjectionSession(bind=connection) as session:
                handler(event, session)
                session.flush()
        except Exception as error:
            if self._store.is_passing(error):
                raise
            raise _FailedAgain from error

    def _event_of(self, letter: DeadLetter) -> Any:
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
