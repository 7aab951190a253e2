"""A subscription to the feed: what is stored, from a position on, and then what comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from eventsourcing.exceptions import ApplicationClosedError, PersistenceError
from eventsourcing.infrastructure.announcements import Listener
from eventsourcing.infrastructure.following import Following, Pause
from eventsourcing.infrastructure.notificationlog import Notification, NotificationLog
from eventsourcing.infrastructure.wakeups import Wakeup, wait_for_any

__all__ = ["Subscription"]


class Subscription:
    """An iterator over the feed that waits for what comes, until it is stopped.

    An application's ``subscribe`` makes it. Iterated by one thread at a time; :meth:`stop` and
    :meth:`close` may be called by any. It needs no thread of its own.

    Where the database cannot be reached, or gives a reading up for another transaction, it waits
    and tries again: see :attr:`error`. Any other error is raised, and then nothing is passed
    over: the next step reads the same event again.

    Args:
        log: the feed.
        select: reads what is wanted, as the log's ``select`` does.
        following: says what to read next, and when.
        on_close: is called with the subscription once it is closed.
        listener: hears of what others save; None if nobody tells. It is closed with this.
    """

    def __init__(
        self,
        log: NotificationLog,
        select: Callable[..., Iterator[Notification]],
        following: Following,
        on_close: Callable[[Subscription], None],
        listener: Listener | None = None,
    ) -> None:
        self._log = log
        self._select = select
        self._following = following
        self._on_close = on_close
        self._listener = listener
        self._batch: Iterator[Notification] | None = None
        self._safe = 0
        self._news, self._stop = Wakeup(), Wakeup()
        self._is_stopped = False
        self._in_use = threading.RLock()

    @property
    def position(self) -> int:
        """Up to here, all was handed out, or was not asked for. To resume, start behind the
        position of the last notification that you have dealt with.
        """
        return self._following.position

    @property
    def error(self) -> PersistenceError | None:
        """Why it is not reading at the moment, though it tries; None if nothing is wrong."""
        return self._following.error

    def tell(self) -> None:
        """Lets it look for new events at once. May be called from anywhere, signal handlers too."""
        self._news.ring()

    def stop(self) -> None:
        """Lets the iteration end, also if it waits. May be called from anywhere."""
        self._is_stopped = True
        self._stop.ring()

    def close(self) -> None:
        """Stops, and releases what it holds: once the thread that iterates comes to its end, if
        it is another one.
        """
        self.stop()
        if self._in_use.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._in_use.release()

    def __iter__(self) -> Self:
        """Returns the subscription."""
        return self

    def __next__(self) -> Notification:
        """Returns the next notification, as soon as there is one.

        Raises:
            StopIteration: it was stopped, or the application closed.
            TopicResolutionError, DataIntegrityError: a row cannot be read; has its ``position``.
                To pass over it, subscribe again behind it.
            PersistenceError: the database could not be read, and another attempt would not help.
        """
        with self._in_use:
            while not self._is_stopped:
                try:
                    found = self._step()
                except (PersistenceError, ApplicationClosedError) as error:
                    self._batch = None
                    if self._is_stopped:
                        break
                    if isinstance(error, ApplicationClosedError):
                        raise
                    self._wait(self._following.failed(error))
                    continue
                except BaseException:
                    self._batch = None
                    raise
                if found is not None:
                    return found
            self._release()
        raise StopIteration

    def __enter__(self) -> Self:
        """Returns the subscription."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the subscription."""
        self.close()

    def _step(self) -> Notification | None:
        if self._batch is None:
            self._news.clear()  # before it looks: what comes later rings again
            if self._listener is not None:
                self._listener.clear()
            self._safe = self._log.safe_position()
            first = self._following.next_position
            self._batch = self._select(first, stop=self._safe) if first <= self._safe else iter(())
        found = next(self._batch, None)
        if found is not None:
            self._following.handed_on(found.position)
            return found
        self._batch = None
        self._wait(self._following.read_to(self._safe))
        return None

    def _wait(self, pause: Pause) -> None:
        seconds = pause.seconds
        sources: list[Any] = [self._stop]
        if pause.ends_with_news:
            sources.append(self._news)
            if self._listener is not None:
                seconds = min(seconds, self._listener.patience)
                sources += self._listener.sources
        if wait_for_any(seconds, *sources) and not self._is_stopped:
            self._following.heard_news()

    def _release(self) -> None:
        self._batch = None
        self._on_close(self)
        if self._listener is not None:
            self._listener.close()
        self._news.close()
        self._stop.close()
