"""What happens to connections when the process forks.

A child of a fork inherits its parent's connections, and must neither use nor close them: the
parent is still talking over them. So it forgets them, and connects for itself.

SQLite is stricter. Its locks on a file belong to the process, and a child that inherits an open
file believes that it holds locks which the system never gave it: the parent, closing what it
takes for the last connection, would delete the log into which the child is still writing. And a
child of one thread must not inherit another thread's call in progress, nor its mutexes. There a
fork waits until no thread is inside, and closes the files first.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

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

    Args:
        is_narrow: whether only one thread at a time may be inside.
    """

    def __init__(self, is_narrow: bool = False) -> None:
        self._is_narrow = is_narrow
        self._inside: list[int] = []
        self.reset()

    def reset(self) -> None:
        """Forgets all other threads: in a child of a fork they do not exist."""
        me = threading.get_ident()
        self._changed = threading.Condition()
        self._inside = [thread for thread in self._inside if thread == me]
        self._is_shut = False

    def __enter__(self) -> None:
        with self._changed:
            while self._is_shut or (self._is_narrow and self._inside):
                self._changed.wait()
            self._inside.append(threading.get_ident())

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._inside.remove(threading.get_ident())
            if self._is_shut or self._is_narrow:
                self._changed.notify_all()

    def shut(self) -> None:
        """Lets nobody in, and waits until all others are out."""
        me = threading.get_ident()  # a signal handler may fork in the middle of something
        with self._changed:
            self._is_shut = True
            while any(thread != me for thread in self._inside):
                self._changed.wait()

    def open(self) -> None:
        """Lets everybody in again."""
        with self._changed:
            self._is_shut = False
            self._changed.notify_all()


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
