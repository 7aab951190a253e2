"""Locks that work in the child of a fork, whatever the parent's threads were doing."""

from __future__ import annotations

import os
import threading

__all__ = ["lock_that_survives_fork"]


def lock_that_survives_fork() -> threading.Lock:
    """Returns a lock for a module, which is free in every child of this process.

    A fork copies a lock as it is. Taken by another thread at that moment, it would stay taken
    in the child, where that thread does not exist.
    """
    lock = threading.Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
