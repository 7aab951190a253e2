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
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Any

from eventsourcing.exceptions import EventSourcingError, LockTimeout, OutcomeUnknown
from eventsourcing.infrastructure.sqlalchemy.forks import watch_forks

__all__ = ["GroupCommit"]

Rows = Sequence[tuple[Any, ...]]

PATIENCE = 0.5  # seconds to wait for the group before, at most; then a group begins beside it
PATIENCE_OF_LOCKS = 0.05  # the same, of the time to wait for a lock
SHARED_LOCK = 0.2  # seconds: a group waits no longer for the lock on a row (PostgreSQL)
LONGEST = 60.0  # seconds to wait for the end of a group that has begun
GLANCE = 0.1  # seconds after which to look whether a leader is still there
MOST_ROWS = 1000  # of a group
MOST_CHARACTERS = 2**20
NEVER = float("inf")
_NONE: AbstractSet[object] = frozenset()


class GroupCommit:
    """Stores what several threads save at once in fewer transactions than they are.

    Args:
        record: takes rows, and whether they are of several saves. Stores them in one
            transaction: all, or none if it raises anything but OutcomeUnknown or an interrupt.
            Several threads may call it at once.
        lanes: how many savers at once go each by itself; one more joins others, or waits for
            others to join it, until the last but one of those before it is done.
        shares_lock_timeouts: whether a lock for which a group has waited for long is one that
            each of its saves needs.
        lock_timeout: seconds that the database waits for a lock. What savers wait for each other
            comes on top of it, and is little beside it.
    """

    def __init__(
        self,
        record: Callable[[Rows, bool], None],
        lanes: int = 1,
        shares_lock_timeouts: bool = False,
        lock_timeout: float | None = None,
    ) -> None:
        self._record = record
        self._lanes = [_Group((), is_over=True)] * lanes  # the last group of each
        self._shares_lock_timeouts = shares_lock_timeouts
        self._lock_timeout = NEVER if lock_timeout is None else lock_timeout
        self._patience = min(PATIENCE, max(GLANCE, PATIENCE_OF_LOCKS * self._lock_timeout))
        self._changing = threading.RLock()  # a signal handler may come in between
        watch_forks(self)

    def record(self, rows: Rows) -> None:
        """Stores rows in one transaction, perhaps together with others'.

        Raises:
            OutcomeUnknown: somebody else was to store them, and may have.
            Exception: what ``record`` raises for these rows.
        """
        own = _Group(rows)
        try:
            with own.leading:
                group = self._join(own)
                if group is own:
                    self._lead(own)
        finally:
            own.end()
        if group is not own:
            self._follow(group, rows)
        elif group.parts:
            self._part(group, rows)

    def before_fork(self) -> None:
        """See :class:`Forkable`."""

    def after_fork_in_parent(self) -> None:
        """See :class:`Forkable`."""

    def after_fork_in_child(self) -> None:
        """See :class:`Forkable`. The leaders of the parent are not there."""
        self._changing = threading.RLock()
        self._lanes = [_Group((), is_over=True)] * len(self._lanes)

    def _join(self, own: _Group) -> _Group:
        """Returns the group that takes the save, which may be its own."""
        with self._changing:
            lanes, busy, free = self._lanes, [], 0
            for at, last in enumerate(lanes):
                if last.is_over or not last.leading.locked():  # its leader is done, or gone
                    free = at
                else:
                    busy.append(at)
            is_free = len(busy) < len(lanes)
            if busy and (not is_free or sum(len(lanes[at].saves) for at in busy) >= len(lanes)):
                own.measure()
                is_first = True
                for at in busy:
                    group = lanes[at]
                    if group.began == NEVER:
                        if group.take(own):
                            return group
                        is_first = False
                is_free = is_free and not is_first  # who is waits for others to come
            if is_free:
                own.began = monotonic()  # at once, as mostly
                lanes[free] = own
                return own
            # Not behind the first to be done: many gain by being in few groups, not many at once.
            # Nor do many that fit in no group, such as savers of one stream: they come last.
            busy.sort(key=lambda at: lanes[at].began)
            at = busy[max(0, len(busy) - 2)]
            own.before, lanes[at] = lanes[at], own
            return own

    def _lead(self, group: _Group) -> None:
        if group.before is not None:
            group.before.wait(self._patience)
            group.before = None
            with self._changing:
                group.began = monotonic()
        if len(group.saves) == 1:
            self._record(group.saves[0], False)
            group.is_stored = True
            return
        try:
            self._record([row for save in group.saves for row in save], True)
            group.is_stored = True
        except OutcomeUnknown:
            raise
        except EventSourcingError as error:
            group.parts = True
            long = min(PATIENCE, max(SHARED_LOCK, self._lock_timeout / 2))
            has_waited = monotonic() - group.began >= long
            if isinstance(error, LockTimeout) and has_waited and self._shares_lock_timeouts:
                group.lock_timeout = str(error)

    def _follow(self, group: _Group, rows: Rows) -> None:
        """Waits for what becomes of the group; or leaves it, if nobody begins it in time."""
        try:
            group.wait(2 * self._patience)
        finally:
            leaves = not group.is_stored and self._leave(group, rows)
        if leaves:
            self._record(rows, False)
            return
        group.wait(LONGEST)
        if group.parts:
            self._part(group, rows)
        elif not group.is_stored:
            raise OutcomeUnknown(
                "another thread was to commit the save with its own, and did not say whether it has"
            )

    def _leave(self, group: _Group, rows: Rows) -> bool:
        """Takes a save out of a group, unless that has begun. Tells whether it is out."""
        with self._changing:
            if group.began != NEVER:
                return False
            group.saves = [save for save in group.saves if save is not rows]
            return True

    def _part(self, group: _Group, rows: Rows) -> None:
        """Stores alone what could not be stored together."""
        if group.lock_timeout is not None:
            raise LockTimeout(group.lock_timeout)
        self._record(rows, False)


class _Group:
    """Saves that are stored together.

    Attributes:
        saves: the rows of each, the leader's first.
        leading: is held while the leader is there.
        before: the group that it waits for; None if it begins at once, or has begun.
        began: when it was closed, and its transaction began.
        is_stored: whether all is stored.
        parts: whether nothing is stored, and each save is to go alone.
        lock_timeout: what the database said, if going alone would be to wait once more.
        is_over: whether the leader has said all that it will say.
    """

    # What most keep is said once: a saver who meets nobody makes one for each save.
    before: _Group | None = None
    began = NEVER
    is_stored = parts = False
    lock_timeout: str | None = None
    _streams = _NONE  # it takes nobody, and nobody takes it
    _characters = 0

    def __init__(self, rows: Rows, is_over: bool = False) -> None:
        self.saves = [rows]
        self.leading = threading.Lock()
        self.is_over = is_over
        self._waiting: list[threading.Lock] = []

    def measure(self) -> None:
        """Looks at the leader's rows, who does it: before, the group takes nobody."""
        (rows,) = self.saves
        try:
            self._streams = {row[0] for row in rows}
        except TypeError:
            return  # an id that cannot be hashed: the database will say what is wrong
        texts = [value for row in rows for value in row if isinstance(value, (str, bytes))]
        self._characters = sum(map(len, texts))

    def take(self, other: _Group) -> bool:
        """Takes another's save in, if it fits. Two saves to one stream do not: one would fail."""
        count = sum(map(len, self.saves)) + len(other.saves[0])
        characters = self._characters + other._characters
        if (
            not (self._streams and other._streams)
            or not self._streams.isdisjoint(other._streams)
            or count > MOST_ROWS
            or characters > MOST_CHARACTERS
        ):
            return False
        self._streams |= other._streams
        self._characters = characters
        self.saves.append(other.saves[0])
        return True

    def wait(self, seconds: float) -> None:
        """Waits until the group is over, its leader is gone, or the time is up."""
        if self.is_over:
            return
        mine = threading.Lock()
        mine.acquire()
        self._waiting.append(mine)
        until, left = monotonic() + seconds, seconds
        while left > 0 and not self.is_over and self.leading.locked():
            if mine.acquire(timeout=left if left < GLANCE else GLANCE):
                return
            left = until - monotonic()

    def end(self) -> None:
        """Wakes those who wait, and lets go of what may be large."""
        self.is_over = True
        self.saves = []
        self._streams = _NONE
        while self._waiting:
            self._waiting.pop().release()
