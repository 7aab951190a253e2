"""Wakes a thread that waits, from another thread or from a signal handler."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from typing import Any

__all__ = ["Wakeup", "wait_for_any"]

# Not select(), which takes no file descriptors of 1024 or more, where there is something else.
_Selector: Any = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Wakeup:
    """What one thread waits for, perhaps beside other sockets, and others ring.

    It rings by a byte in a socket and not by a lock. So a signal handler may ring while its own
    thread is ringing; and one can wait for it and for a server at once. To ring it many times is
    the same as once. Close it.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._is_ringing = False

    def fileno(self) -> int:
        """Returns the file descriptor that has something to read while it rings."""
        return self._receiver.fileno()

    def ring(self) -> None:
        """Wakes who waits, or who will wait next. Never waits, and never fails."""
        if not self._is_ringing:
            self._is_ringing = True
            with suppress(OSError):  # closed
                self._sender.send(b"\0")

    def wait(self, seconds: float) -> bool:
        """Waits until it rings, and tells whether it does; False if time is over."""
        return wait_for_any(seconds, self)

    def clear(self) -> None:
        """Takes back what has rung. Look for what it may have rung for after that."""
        with suppress(OSError):
            self._receiver.recv(4096)
        # After that: who rings in between is not heard, and has done before what is looked for.
        self._is_ringing = False

    def close(self) -> None:
        """Closes the sockets. Again does nothing."""
        self._receiver.close()
        self._sender.close()


def wait_for_any(seconds: float, *sources: Any) -> bool:
    """Waits until there is something to read from one of the sources, or one is closed.

    Args:
        seconds: at most.
        sources: file descriptors, or what has one.

    Returns:
        False if time is over.
    """
    with _Selector() as selector:
        try:
            for source in sources:
                selector.register(source, selectors.EVENT_READ)
            return bool(selector.select(seconds))
        except (OSError, ValueError):  # closed by another thread
            return True
