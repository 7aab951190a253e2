"""A worker that keeps a projection up to date."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.projections.pages import (
    HandlerFailed,
    Page,
    PageReader,
    PageWriter,
)
from eventsourcing.application.projections.stores import store_of
from eventsourcing.application.projections.telemetry import telemetry_of
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import PersistenceError, ProgrammingError
from eventsourcing.infrastructure.announcements import Listener
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.leases import Leases
from eventsourcing.infrastructure.sqlalchemy.projectionstore import Lease, LeaseLost
from eventsourcing.infrastructure.sqlalchemy.projectionviews import setup_views
from eventsourcing.infrastructure.wakeups import Wakeup, wait_for_any

__all__ = ["ProjectionRunner"]

LONGEST_PAUSE = 5.0  # seconds between two attempts
SHARED_PAUSE = 0.02  # seconds after a page, in which savers make the next one


class ProjectionRunner:
    """Keeps a projection up to date, alone or beside others that do the same.

    Each runner works on its share of the projection's shards. To stop one, close it; if it is
    killed, others take its shards over once its leases have run out. Used by one thread at a
    time, but for :meth:`stop` and :meth:`close`, which any may call.

    Args:
        application: whose events these are. On a database, and not on a session.
        projection: an instance, which only this runner uses.
        datastore: the database to write to, if it is another one than the application's.
        page_size: how many events share a transaction, at most.
        lease_seconds: after which a silent worker's shards are others'. Also the time that a
            page may take on PostgreSQL between two statements.
        poll_seconds: to wait before looking for new events when there were none, at most. What
            this application saves is not waited for; nor what others save, if the settings of
            both say ``notify=True``.
        max_retries: how often an event is tried again before its stream is set aside.
        first_pause: seconds before the first of these; each further pause is twice as long.
        setup_tables: whether to create tables that do not exist.

    Raises:
        ProgrammingError: an argument cannot be used.
        PersistenceError: the database refused.
    """

    def __init__(
        self,
        application: SimpleApplication,
        projection: BaseProjection,
        *,
        datastore: SQLAlchemyDatastore | None = None,
        page_size: int = 500,
        lease_seconds: float = 10.0,
        poll_seconds: float = 0.1,
        max_retries: int = 5,
        first_pause: float = 0.1,
        setup_tables: bool = True,
    ) -> None:
        if type(page_size) is not int or page_size < 1:
            raise ProgrammingError("page_size must be an int of at least 1")
        if type(max_retries) is not int or max_retries < 0:
            raise ProgrammingError("max_retries must be an int, and cannot be negative")
        if min(lease_seconds, poll_seconds, first_pause) <= 0:
            raise ProgrammingError("lease_seconds, poll_seconds and first_pause must be positive")
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.projection = projection
        self._store = store_of(application, type(projection), datastore)
        if setup_tables:
            self._store.setup(getattr(projection, "tables", ()))
            setup_views(self._store, getattr(projection, "views", {}))
        self._reader = PageReader(application.notification_log, projection)
        self._writer = PageWriter(self._store, projection, lease_seconds, telemetry_of(projection))
        self._leases = Leases(self._store, self.name, lease_seconds)
        self._held: list[Lease] = []
        self._renew_at = 0.0
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._page_size = self._most = page_size
        self._max_retries = max_retries
        self._first_pause = first_pause
        self._suspect: int | None = None  # the position of an event that failed
        self._attempts = 0  # to handle it
        self._failures = 0  # of the database, in a row
        self._event_store = application.event_store
        self._is_stopped = False
        self._stop: Wakeup | None = None  # of run() or catch_up()
        self._in_use = threading.RLock()  # by one of them

    def step(self) -> bool:
        """Handles one page of events.

        Returns:
            False if there was nothing to do.

        Raises:
            PersistenceError: the database refused, or is not there. Nothing is lost: go on.
        """
        held = self._renewed()
        if not held:
            return False
        lowest = min(each.position for each in held)
        group = [each for each in held if each.position == lowest]
        ahead = [each.position for each in held if each.position > lowest]
        page = self._read(group, min(ahead, default=None))
        if page.end:
            self._writer.telemetry.is_behind(max(0, page.end - lowest))
        if page.position <= lowest:
            return False
        try:
            moved = self._write(group, page)
        except LeaseLost:
            self._renew_at = 0.0
            return True
        self._held = [*moved, *(each for each in held if each not in group)]
        return True

    def catch_up(self) -> None:
        """Goes on until all is done that was stored when this was called, perhaps with some that
        came later; or until nothing is left to do, since others have the rest, or :meth:`stop` is
        called.

        Raises:
            PersistenceError: the database refused more than ``max_retries`` times in a row.
        """
        end: int | None = None
        with self._working():
            while not self._is_stopped:
                try:
                    if end is None:
                        end = self._reader.end()
                    if not self.step() or self._has_come_to(end):
                        return
                    self._failures = 0
                except PersistenceError as error:
                    if not self._store.is_passing(error) or self._failures >= self._max_retries:
                        raise
                    self._pause()

    def run(self) -> None:
        """Goes on until :meth:`stop` is called, whatever becomes of the database meanwhile."""
        announcements = self._event_store.record_manager.announcements
        with ExitStack() as stack:
            stop = stack.enter_context(self._working())
            news = stack.enter_context(closing(Wakeup()))
            listener = None
            if announcements is not None:
                listener = stack.enter_context(closing(announcements.listen()))
            self._event_store.add_listener(news.ring)
            stack.callback(self._event_store.remove_listener, news.ring)
            self._go_on(stop, news, listener)

    def stop(self) -> None:
        """Lets :meth:`run` and :meth:`catch_up` return after the page they are at. May be called
        from anywhere, signal handlers too.
        """
        self._is_stopped = True
        if (stop := self._stop) is not None:
            stop.ring()

    def close(self) -> None:
        """Stops, and gives the leases back: once :meth:`run` has returned, if another thread is in
        it.
        """
        self.stop()
        with self._in_use:
            self._held = []
            try:
                self._leases.give_back()
            except PersistenceError as error:
                if not self._store.is_passing(error):
                    raise  # else they run out

    def __enter__(self) -> Self:
        """Returns the runner."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the runner."""
        self.close()

    @contextmanager
    def _working(self) -> Iterator[Wakeup]:
        """Gives what :meth:`stop` rings, and keeps :meth:`close` waiting."""
        with self._in_use, closing(Wakeup()) as self._stop:
            try:
                yield self._stop
            finally:
                self._stop = None

    def _go_on(self, stop: Wakeup, news: Wakeup, listener: Listener | None) -> None:
        has_found = False
        while not self._is_stopped:
            try:
                if self.step():
                    has_found = True
                elif has_found:  # so as not to make a page for each of many saves
                    has_found = False
                    stop.wait(min(SHARED_PAUSE, self._poll_seconds))
                else:
                    self._wait_for_news(stop, news, listener)
                self._failures = 0
            except PersistenceError as error:
                if not self._store.is_passing(error):
                    raise
                self._pause()

    def _wait_for_news(self, stop: Wakeup, news: Wakeup, listener: Listener | None) -> None:
        """Waits until something was saved, or until it is time to look whatever is heard."""
        # Which it is at the latest when the leases are to be renewed.
        seconds = min(self._poll_seconds, max(0.0, self._renew_at - monotonic()))
        sources: list[Any] = [stop, news]
        if listener is not None:
            seconds = min(seconds, listener.patience)
            sources += listener.sources
        wait_for_any(seconds, *sources)
        # Before it looks again: what comes later rings again.
        news.clear()
        if listener is not None:
            listener.clear()

    def _has_come_to(self, end: int) -> bool:
        return bool(self._held) and min(each.position for each in self._held) >= end

    def _renewed(self) -> list[Lease]:
        if monotonic() >= self._renew_at:
            self._held = []
            self._held = self._leases.renew()
            self._writer.telemetry.holds(len(self._held))
            # Without a lease it looks more often, for a worker may have gone.
            part = 3 if self._held else 10
            self._renew_at = monotonic() + self._lease_seconds / part
        return self._held

    def _read(self, group: Sequence[Lease], stop: int | None) -> Page:
        suspect = self._suspect
        if suspect is not None and suspect > group[0].position:
            if suspect > group[0].position + 1:
                return self._reader.read(group, _least(stop, suspect - 1), self._page_size)
            return self._reader.read(group, suspect, 1)
        return self._reader.read(group, stop, self._page_size)

    def _write(self, group: Sequence[Lease], page: Page) -> list[Lease]:
        try:
            if page.unreadable is not None:
                return self._writer.set_aside(group, page, page.unreadable, 1)
            moved = self._writer.write(group, page)
        except HandlerFailed as failure:
            return self._failed(group, page, failure)
        self._attempts = 0
        self._page_size = min(self._most, 2 * self._page_size)
        return moved

    def _failed(self, group: Sequence[Lease], page: Page, failure: HandlerFailed) -> list[Lease]:
        """Finds the event that failed and tries it again, alone; and in the end sets its stream
        aside.
        """
        count = len(page.notifications)
        if count == 1:
            self._suspect = page.notifications[0].position
            self._attempts += 1
            if self._attempts <= self._max_retries:
                self._wait(self._attempts)
                return list(group)
            attempts, self._attempts = self._attempts, 0
            return self._writer.set_aside(group, page, failure.error, attempts)
        if failure.index is None:
            self._page_size = max(1, min(count, self._page_size) // 4)
            return list(group)
        self._suspect = page.notifications[failure.index].position
        if self.projection.is_transactional or not failure.index:
            return list(group)
        # What came before it has been handed over.
        done = Page([], page.notifications[failure.index - 1].position)
        return self._writer.write(group, done)

    def _pause(self) -> None:
        self._failures += 1
        self._wait(self._failures)

    def _wait(self, times: int) -> None:
        seconds = min(LONGEST_PAUSE, self._first_pause * 2 ** min(times - 1, 30))
        if self._stop is None:
            sleep(seconds)  # in step() alone
        else:
            self._stop.wait(seconds)


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)
