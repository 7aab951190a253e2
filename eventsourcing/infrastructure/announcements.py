"""The port to what tells other processes that something was saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["Announcements", "Listener"]


class Listener(ABC):
    """Hears that others have saved something, for one reader of the feed. Close it.

    To hear nothing is no promise: a reader that looks for itself now and then misses nothing.
    """

    @property
    @abstractmethod
    def sources(self) -> tuple[Any, ...]:
        """What there is to wait for: has something to read once there is news, or it is lost."""

    @property
    @abstractmethod
    def patience(self) -> float:
        """Seconds after which to call :meth:`clear` again, whatever is heard."""

    @abstractmethod
    def clear(self) -> None:
        """Takes back what was heard, and listens again if that was lost. Look for news after
        that.

        Raises:
            ApplicationClosedError: the record manager has been closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Listens no more. Again does nothing."""


class Announcements(ABC):
    """Tells others of saves. May be used from several threads at once."""

    @abstractmethod
    def announce(self) -> None:
        """Tells that something was saved, and is committed. Never waits, and never fails: many
        saves may be told of as one, and what cannot be told is logged.
        """

    @abstractmethod
    def listen(self) -> Listener:
        """Returns a new listener. It connects when it is first cleared."""

    @abstractmethod
    def close(self) -> None:
        """Tells what is left to be told, if that takes no more than some seconds, and ends."""
