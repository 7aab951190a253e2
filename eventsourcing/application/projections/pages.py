"""Reads a page of the feed for a projection, and writes what it makes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.projections.telemetry import Telemetry
from eventsourcing.exceptions import (
    DataIntegrityError,
    EventSourcingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.notificationlog import Notification, NotificationLog
from eventsourcing.infrastructure.sqlalchemy.deadletters import DeadLetter, DeadLetters
from eventsourcing.infrastructure.sqlalchemy.projectionstore import Lease, ProjectionStore
from eventsourcing.utils.ids import id_to_text

__all__ = ["HandlerFailed", "Page", "PageReader", "PageWriter", "shard_of", "traceback_of"]

Unreadable = DataIntegrityError | TopicResolutionError


def shard_of(originator_id: object, shards: int) -> int:
    """Returns the shard that a stream belongs to, from 0 on. It never changes."""
    return crc32(id_to_text(originator_id).encode()) % shards


def traceback_of(error: BaseException) -> str:
    """Returns where an error and its causes were raised, and of what classes they are. Not what
    they say, which may show what an event contains.
    """
    parts = []
    current: BaseException | None = error
    while current is not None:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__qualname__}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\n\nThe above was the cause of:\n".join(reversed(parts))


class HandlerFailed(EventSourcingError):
    """A method of the projection raised, or what it wrote was refused. Nothing is written.

    Attributes:
        error: what was raised.
        index: at which event of the page; None if that shows only when it is tried alone.
    """

    def __init__(self, error: Exception, index: int | None) -> None:
        super().__init__(f"a projection failed: {type(error).__qualname__}")
        self.error = error
        self.index = index


class Page(NamedTuple):
    """A part of the feed.

    Attributes:
        notifications: what is to be handled, in order.
        position: where the page ends, inclusive.
        end: up to where the feed could be read; 0 if that is not known.
        unreadable: the error of the one row that the page consists of, if it cannot be read.
    """

    notifications: list[Notification]
    position: int
    end: int = 0
    unreadable: Unreadable | None = None


class PageReader:
    """Reads what concerns a projection."""

    def __init__(self, log: NotificationLog, projection: BaseProjection) -> None:
        self._log = log
        self._types = projection.event_types()
        self._shards = projection.shards

    def end(self) -> int:
        """Returns up to where the feed can be read now."""
        return self._log.safe_position()

    def read(self, leases: Sequence[Lease], stop: int | None, limit: int) -> Page:
        """Reads on from where all of the leases' shards are, up to ``stop`` (inclusive)."""
        start = leases[0].position + 1
        # Before the events are read: what is not among them up to here will never be.
        mark = self._log.safe_position()
        end = mark if stop is None else min(mark, stop)
        if end < start:
            return Page([], start - 1, mark)
        try:
            found = self._log.read(start, limit, end, self._types)
        except (DataIntegrityError, TopicResolutionError) as error:
            return self._up_to(error, start, leases)
        if len(found) == limit:
            end = found[-1].position
        return Page(self._of(found, leases), end, mark)

    def _up_to(self, error: Unreadable, start: int, leases: Sequence[Lease]) -> Page:
        """Returns what comes before a row that cannot be read, or else that row."""
        if error.position is None or error.originator_id is None:
            raise error
        if error.position > start:
            before = error.position - 1
            found = self._log.read(start, None, before, self._types)
            if found:
                return Page(self._of(found, leases), before)
        is_mine = shard_of(error.originator_id, self._shards) in {each.shard for each in leases}
        return Page([], error.position, unreadable=error if is_mine else None)

    def _of(self, found: list[Notification], leases: Sequence[Lease]) -> list[Notification]:
        if self._shards == len(leases):
            return found
        mine = {each.shard for each in leases}
        return [n for n in found if shard_of(n.originator_id, self._shards) in mine]


class PageWriter:
    """Lets a projection handle pages, and moves its checkpoint on."""

    def __init__(
        self,
        store: ProjectionStore,
        projection: BaseProjection,
        seconds: float,
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self.telemetry = telemetry
        self._letters = DeadLetters(store)
        self._projection = projection
        self._seconds = seconds

    def write(self, leases: Sequence[Lease], page: Page) -> list[Lease]:
        """Handles all of a page: in one transaction with the checkpoint, or before that one.

        Raises:
            HandlerFailed: see there.
            LeaseLost: another worker has been there. Nothing is written.
        """
        notifications = page.notifications
        lag = max(0, page.end - page.position)
        with self.telemetry.page(len(notifications), page.position, lag):
            if not notifications:
                return self._store.advance(leases, page.position, self._seconds)
            if self._projection.is_transactional:
                return self._in_transaction(leases, page)
            return self._before_transaction(leases, page)

    def set_aside(
        self, leases: Sequence[Lease], page: Page, error: Exception, attempts: int
    ) -> list[Lease]:
        """Sets the stream of the only event of a page aside, and moves the checkpoint on."""
        letters = [self._failed_letter(page, error, attempts)]
        return self._advance(leases, page, self._putting(letters), letters, streams=1)

    def _in_transaction(self, leases: Sequence[Lease], page: Page) -> list[Lease]:
        shards = [each.shard for each in leases]
        behind: list[DeadLetter] = []

        def work(session: Any) -> None:
            aside = self._letters.streams(session.connection(), shards)
            for index, n in enumerate(page.notifications):
                if n.originator_id in aside:
                    behind.append(self._letter(n))
                else:
                    self._handle(n, session, index)
            try:
                session.flush()
            except Exception as error:
                self._fail(error, 0 if len(page.notifications) == 1 else None)
            self._letters.put(session.connection(), behind)

        return self._advance(leases, page, work, behind)

    def _before_transaction(self, leases: Sequence[Lease], page: Page) -> list[Lease]:
        aside = self._aside(leases)
        behind: list[DeadLetter] = []
        for index, n in enumerate(page.notifications):
            if n.originator_id in aside:
                behind.append(self._letter(n))
            else:
                self._handle(n, n.position, index)
        return self._advance(leases, page, self._putting(behind), behind)

    def _putting(self, letters: Sequence[DeadLetter]) -> Callable[[Any], None]:
        return lambda session: self._letters.put(session.connection(), letters)

    def _advance(
        self,
        leases: Sequence[Lease],
        page: Page,
        work: Callable[[Any], None],
        letters: Sequence[DeadLetter],
        streams: int = 0,
    ) -> list[Lease]:
        moved = self._store.advance(leases, page.position, self._seconds, work)
        self.telemetry.set_aside(streams, len(letters))
        return moved

    def _aside(self, leases: Sequence[Lease]) -> set[object]:
        with self._store.datastore.reading() as connection:
            return self._letters.streams(connection, [each.shard for each in leases])

    def _handle(self, notification: Notification, target: Any, index: int) -> None:
        handler = self._projection.handler_of(notification.event)
        if handler is None:
            return
        try:
            with self.telemetry.event(notification):
                handler(notification.event, target)
        except Exception as error:
            self._fail(error, index)

    def _fail(self, error: Exception, index: int | None) -> None:
        if self._store.is_passing(error):
            raise error
        self.telemetry.failed(error)
        raise HandlerFailed(error, index) from error

    def _letter(self, n: Notification) -> DeadLetter:
        shard = shard_of(n.originator_id, self._store.shards)
        return DeadLetter(n.position, shard, n.originator_id, n.originator_version, n.topic)

    def _failed_letter(self, page: Page, error: Exception, attempts: int) -> DeadLetter:
        what: dict[str, Any] = {
            "error": self._projection.describe(error),
            "traceback": traceback_of(error),
            "attempts": attempts,
        }
        if page.notifications:
            return self._letter(page.notifications[0])._replace(**what)
        unreadable: Any = page.unreadable
        stream = unreadable.originator_id
        return DeadLetter(
            page.position,
            shard_of(stream, self._store.shards),
            stream,
            unreadable.originator_version,
            getattr(unreadable, "topic", ""),
        )._replace(**what)
