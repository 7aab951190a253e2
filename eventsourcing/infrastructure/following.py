"""Follows the feed: what to read next, and how long to wait before. Does neither, so that it
serves whoever reads and waits in whatever way.
"""

from __future__ import annotations

from typing import NamedTuple

from eventsourcing.exceptions import (
    DatabaseUnavailable,
    LockTimeout,
    PersistenceError,
    ProgrammingError,
    TransactionConflict,
)

__all__ = ["Following", "Pause"]

PASSING = (DatabaseUnavailable, LockTimeout, TransactionConflict)
"""What another attempt may not meet."""

LONGEST_PAUSE = 24 * 3600.0
LONGEST_RETRY = 5.0  # seconds between two attempts of a reading that failed


class Pause(NamedTuple):
    """How long to wait before the next reading.

    Attributes:
        seconds: at most.
        ends_with_news: whether news of a commit ends it.
    """

    seconds: float
    ends_with_news: bool


class Following:
    """Where a reader of the feed is, and what it does next.

    In turn: ask the feed up to where it is safe; read from :attr:`next_position` to there, if
    that is not before it; tell of each event that was handed on; tell of the end of it, and
    pause.

    Events are read in batches that are some time apart, so that a reader does not read for each
    of many savers. Who finds nothing waits longer and longer, until there is news.

    Args:
        start: the first position to read.
        shortest: seconds from one reading that found something to the next.
        longest: seconds to the next reading after many that found nothing.

    Raises:
        ProgrammingError: an argument cannot be used.

    Attributes:
        position: all up to here was handed on, or was not asked for.
        error: what went wrong in the last reading, which will be tried again; or None.
    """

    def __init__(self, start: int, shortest: float, longest: float) -> None:
        if type(start) is not int or start < 1:
            raise ProgrammingError("start must be an int of at least 1")
        for seconds in (shortest, longest):
            if not (isinstance(seconds, int | float) and 0 < seconds < LONGEST_PAUSE):
                raise ProgrammingError("a pause must be a positive number of seconds")
        if shortest > longest:
            raise ProgrammingError("the shortest pause is longer than the longest one")
        self.position = start - 1
        self.error: PersistenceError | None = None
        self._shortest = shortest
        self._longest = longest
        self._idle = shortest
        self._failures = 0
        self._has_found = False

    @property
    def next_position(self) -> int:
        """Where to read on."""
        return self.position + 1

    def handed_on(self, position: int) -> None:
        """Takes note of an event that was handed on."""
        self.position = position
        self._has_found = True

    def read_to(self, safe: int) -> Pause:
        """Takes note that all up to a position was read, and says how long to wait now."""
        self.error, self._failures = None, 0
        self.position = max(self.position, safe)
        if self._has_found:
            self._has_found = False
            self._idle = self._shortest
            return Pause(self._shortest, False)
        pause = Pause(self._idle, True)
        self._idle = min(self._longest, 2 * self._idle)
        return pause

    def heard_news(self) -> None:
        """Takes note of news, for there may be more to find soon."""
        self._idle = self._shortest

    def failed(self, error: PersistenceError) -> Pause:
        """Says how long to wait after a reading that failed; or raises the error, if another
        attempt would be of no use.
        """
        if not isinstance(error, PASSING):
            raise error
        self.error = error
        self._idle = self._shortest
        seconds = min(LONGEST_RETRY, self._shortest * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        return Pause(seconds, False)
