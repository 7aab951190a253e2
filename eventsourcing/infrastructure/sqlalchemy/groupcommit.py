"""Group commit: savers in several threads share a transaction, where else they would queue.

The time of a small save is nearly all spent in its commit, and a database commits one thing after
another. So while one group of saves is being committed, those that come meanwhile form the next
one; its first is its leader, and stores in one transaction what the others brought. Nobody waits
who is alone, and no thread is needed but those of the savers. (Databases do the same for the
transactions in their log: see D. DeWitt et al., "Implementation Techniques for Main Memory
Database Systems", 1984.)

Each save is atomic for itself all the same. A transaction that failed has stored nothing of its
group, and then each save of the group goes alone: what is wrong with one hurts no other. Where a
leader is gone, and nobody knows what it has stored, each save is told so, and finds out for itself.

A thread may be interrupted anywhere, and a signal handler may save while its thread is saving. So
nobody relies on being woken: who waits looks now and then whether the leader is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from eventsourcing.exceptions import EventSourcingError, LockTimeout, OutcomeUnknown
from eventsourcing.infrastructure.sqlalchemy.forks import watch_forks

__all__ = ["GroupCommit"]

Items = Sequence[tuple[Any, ...]]

PATIENCE = 0.5  # seconds to wait for the group before; then a group begins beside it
GLANCE = 0.1  # seconds after which to look whether a leader is still there
MOST_ITEMS = 1000  # of a group
MOST_CHARACTERS = 2**20


class GroupCommit:
    """Stores what several threads save at once in fewer transactions than they are.

    Args:
        record: takes items, and whether they are of several saves. Stores them in one
            transaction: all, or none if it raises anything but OutcomeUnknown or an interrupt.
            Several threads may call it at once.
        lanes: how many savers at once go each by itself, before they wait and form groups.
        locks_database: whether a lock that was waited for in vain is one on the whole database.
    """

    def __init__(
        self, record: Callable[[Items, bool], None], lanes: int = 1, locks_database: bool = False
    ) -> None:
        self._record = record
        self._lanes = [_Group((), is_over=True)] * lanes  # the last group of each
        self._locks_database = locks_database
        self._changing = threading.RLock()  # a signal handler may come in between
        watch_forks(self)

    def record(self, items: Items) -> None:
        """Stores items in one transaction, perhaps together with others'.

        Raises:
            OutcomeUnknown: somebody else was to store them, and may have.
            Exception: what ``record`` raises for these items.
        """
        own = _Group(items)
        try:
            with own.leading:
                group, before = self._join(own)
                if before is not None:
                    before.wait(PATIENCE)
                    self._lead(own)
        finally:
            own.end()
        if group is not own:
            self._follow(group, items)
        elif group.failure is not None:
            self._part(group.failure, items)

    def before_fork(self) -> None:
        """See :class:`Forkable`."""

    def after_fork_in_parent(self) -> None:
        """See :class:`Forkable`."""

    def after_fork_in_child(self) -> None:
        """See :class:`Forkable`. The leaders of the parent are not there."""
        self._changing = threading.RLock()
        self._lanes = [_Group((), is_over=True)] * len(self._lanes)

    def _join(self, own: _Group) -> tuple[_Group, _Group | None]:
        """Returns the group that takes the save; and if that is its own, the one before it."""
        with self._changing:
            lanes = self._lanes
            busy = [at for at, last in enumerate(lanes) if last.is_busy]
            free = [at for at, last in enumerate(lanes) if not last.is_busy]
            forming = [lanes[at] for at in busy if lanes[at].began == NEVER]
            if sum(len(lanes[at].saves) for at in busy) >= len(lanes):
                for group in forming:
                    if group.take(own):
                        return group, None
                if not forming:
                    free = []  # to be the first of a group
            at = free[0] if free else min(busy, key=lambda at: lanes[at].began)
            before, lanes[at] = lanes[at], own
            return own, before

    def _lead(self, group: _Group) -> None:
        with self._changing:
            group.began = monotonic()
        if len(group.saves) == 1:
            self._record(group.saves[0], False)
        else:
            try:
                self._record([item for items in group.saves for item in items], True)
            except OutcomeUnknown:
                raise
            except EventSourcingError as error:
                group.failure = error
                return
        group.is_stored = True

    def _follow(self, group: _Group, items: Items) -> None:
        """Waits for what becomes of the group; or leaves it, if nobody begins it in time."""
        try:
            group.wait(2 * PATIENCE)
        finally:
            with self._changing:
                leaves = group.began == NEVER
                if leaves:
                    group.saves = [save for save in group.saves if save is not items]
        if leaves:
            self._record(items, False)
            return
        group.wait()
        if group.failure is not None:
            self._part(group.failure, items)
        elif not group.is_stored:
            raise OutcomeUnknown(
                "another thread was to commit the save with its own, and was interrupted, or lost"
                " the connection"
            )

    def _part(self, failure: EventSourcingError, items: Items) -> None:
        """Stores alone what could not be stored together."""
        if self._locks_database and isinstance(failure, LockTimeout):
            raise LockTimeout(str(failure)) from failure.__cause__  # it has waited its time
        self._record(items, False)


NEVER = float("inf")


class _Group:
    """Saves that are stored together.

    Attributes:
        saves: what each of them stores, the leader's first.
        leading: is held while the leader is there.
        began: when it was closed, and its transaction began.
        is_stored: whether all is stored.
        failure: why nothing is stored.
        is_over: whether the leader has said all that it will say.
    """

    __slots__ = (
        "_characters",
        "_streams",
        "_waiting",
        "began",
        "failure",
        "is_over",
        "is_stored",
        "leading",
        "saves",
    )

    def __init__(self, items: Items, is_over: bool = False) -> None:
        self.saves = [items]
        self.leading = threading.Lock()
        self.began = NEVER
        self.is_stored = False
        self.failure: EventSourcingError | None = None
        self.is_over = is_over
        self._streams: set[object] = set()
        self._characters = 0
        self._waiting: list[threading.Lock] = []

    @property
    def is_busy(self) -> bool:
        """Whether the leader is there, and the group not over."""
        return not self.is_over and self.leading.locked()

    def take(self, save: _Group) -> bool:
        """Takes another save in, if it fits. Two saves to one stream do not: one would fail."""
        self._measure()
        save._measure()
        count = sum(map(len, self.saves)) + len(save.saves[0])
        characters = self._characters + save._characters
        if (
            count > MOST_ITEMS
            or characters > MOST_CHARACTERS
            or not self._streams.isdisjoint(save._streams)
        ):
            return False
        self.saves.append(save.saves[0])
        self._characters = characters
        self._streams |= save._streams
        return True

    def wait(self, seconds: float = NEVER) -> None:
        """Waits until the group is over, its leader is gone, or the time is up."""
        if self.is_over:
            return
        mine = threading.Lock()
        mine.acquire()
        self._waiting.append(mine)
        until = monotonic() + seconds
        while self.is_busy and (left := until - monotonic()) > 0:
            mine.acquire(timeout=min(GLANCE, left))

    def end(self) -> None:
        """Wakes those who wait, and lets go of what may be large."""
        self.is_over = True
        self.saves = []
        while self._waiting:
            self._waiting.pop().release()

    def _measure(self) -> None:
        """Looks at the items: not before somebody else is there."""
        if not self._streams:
            items = self.saves[0]
            self._streams = {item[0] for item in items}
            self._characters = sum(
                len(value) for item in items for value in item[2:] if isinstance(value, str | bytes)
            )
