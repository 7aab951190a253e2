"""What happens to connections when the process forks.

A child of a fork inherits its parent's connections, and must neither use nor close them: the
parent is still talking over them. So it forgets them, and connects for itself.

SQLite is stricter. Its locks on a file belong to the process, and a child that inherits an open
file believes that it holds locks which the system never gave it: the parent, closing what it
takes for the last connection, would delete the log into which the child is still writing. And a
child of one thread must not inherit another thread's call in progress, nor its mutexes. There a
fork waits until no thread is inside, and closes the files first.

On servers it waits for those only who are connecting. What connects calls libraries in C, such as
OpenSSL for its certificates, whose locks do not know of forks: the child would inherit one that
somebody held, and who connects there would wait for ever.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["ForkGate", "Forkable", "watch_forks"]


class Forkable(Protocol):
    """Something that holds connections."""

    def before_fork(self) -> None:
        """Is called in the parent."""

    def after_fork_in_parent(self) -> None:
        """Is called in the parent, also if the fork failed."""

    def after_fork_in_child(self) -> None:
        """Is called in the child, which has no other thread yet."""


class ForkGate:
    """Keeps a fork and the use of connections apart.

    A thread is inside while it holds :attr:`lock`, which is its own: so it takes and releases it
    without a moment at which an interrupt could leave it inside for ever.

    Args:
        is_narrow: whether only one thread at a time may be inside.

    Attributes:
        aside: is held by who does something for a thread that is inside, or was.
    """

    def __init__(self, is_narrow: bool = False) -> None:
        self._is_narrow = is_narrow
        self.reset()

    def reset(self) -> None:
        """Forgets all other threads: in a child of a fork they do not exist."""
        self._changing = threading.RLock()
        self._locks: weakref.WeakSet[Any] = weakref.WeakSet()  # those of threads that ended go
        self._held: list[Any] = []
        self._mine: Any = threading.local()
        self.aside = threading.RLock()
        self._shared = self._new_lock() if self._is_narrow else None

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """What the current thread has to hold while it is inside. It may take it several times."""
        if self._shared is not None:
            return self._shared
        try:
            mine: AbstractContextManager[Any] = self._mine.lock
        except AttributeError:
            mine = self._mine.lock = self._new_lock()
        return mine

    def shut(self) -> None:
        """Lets nobody in, and waits until all others are out."""
        self._hold(self._changing)
        for lock in list(self._locks):
            self._hold(lock)  # its own too: a signal handler may fork in the middle of something
        self._hold(self.aside)  # last: those inside may wait for who has it

    def open(self) -> None:
        """Lets everybody in again."""
        while self._held:
            self._held.pop().release()

    def _hold(self, lock: Any) -> None:
        lock.acquire()
        self._held.append(lock)

    def _new_lock(self) -> AbstractContextManager[Any]:
        lock = threading.RLock()
        with self._changing:
            self._locks.add(lock)
        return lock


_all: weakref.WeakSet[Forkable] = weakref.WeakSet()
_lock = threading.Lock()
_forking: list[Forkable] = []


def watch_forks(forkable: Forkable) -> None:
    """Tells ``forkable`` of forks from now on, while somebody else holds on to it."""
    with _lock:
        _all.add(forkable)


def _before() -> None:
    _lock.acquire()
    for forkable in list(_all):
        _forking.append(forkable)
        forkable.before_fork()


def _after_in_parent() -> None:
    try:
        while _forking:
            _forking.pop().after_fork_in_parent()
    finally:
        _lock.release()


def _after_in_child() -> None:
    try:
        while _forking:
            _forking.pop().after_fork_in_child()
    finally:
        _lock.release()


os.register_at_fork(
    before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
)
