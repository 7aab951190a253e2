"""Who stores an event: the open stores (persistence policies) of this process.

An aggregate belongs to the store that loaded or created it, else to the innermost active one,
else to the only open one. Where that leaves a choice there is an error, never a guess.

*Active* means inside the ``with`` block of its application, in this thread or task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from eventsourcing.exceptions import (
    AmbiguousApplicationError,
    ApplicationClosedError,
    NoApplicationError,
)
from eventsourcing.utils.locks import lock_that_survives_fork

if TYPE_CHECKING:
    from eventsourcing.domain.model.events import DomainEvent

__all__ = [
    "Store",
    "activate",
    "choose",
    "close_store",
    "deactivate",
    "innermost",
    "open_store",
    "open_stores",
]


class Store(Protocol):
    """What stores events for an application.

    Attributes:
        commits: whether :meth:`store` itself commits, so that nobody needs to ask
            :meth:`when_committed`.
    """

    name: str
    commits: bool

    def accepts(self, event: DomainEvent) -> bool:
        """Tells whether events such as this one are stored here: by its class alone."""
        ...

    def store(self, events: Sequence[DomainEvent]) -> None:
        """Stores all events in one transaction, or raises and stores none."""

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """Calls back once what was stored so far is committed: now, or after the caller's
        own transaction; never, if that is rolled back.
        """

    def feed_position(self, originator_id: UUID | str | int, originator_version: int) -> int | None:
        """Returns the position in the feed of a stored event, None if there is none."""
        ...


_lock = lock_that_survives_fork()
_open: tuple[Store, ...] = ()
_active: ContextVar[tuple[Store, ...]] = ContextVar("eventsourcing_active_stores", default=())


def open_stores() -> tuple[Store, ...]:
    """Returns the open stores of this process, in the order in which they were opened."""
    return _open


def open_store(store: Store) -> None:
    """Makes ``store`` known in this process."""
    global _open
    with _lock:
        _open = (*_open, store)


def close_store(store: Store) -> None:
    """Forgets ``store``. To close it again does nothing."""
    global _open
    with _lock:
        _open = tuple(s for s in _open if s is not store)


def activate(store: Store) -> None:
    """Makes ``store`` the innermost active one of this thread or task."""
    _active.set((*_active.get(), store))


def deactivate(store: Store) -> None:
    """Takes back one :func:`activate`."""
    active = list(_active.get())
    # By value rather than by token: a generator or a fixture may leave the block from another
    # context than the one that entered it.
    for i in reversed(range(len(active))):
        if active[i] is store:
            del active[i]
            break
    _active.set(tuple(active))


def innermost(events: Sequence[DomainEvent]) -> Store | None:
    """Returns the innermost active store that accepts ``events``, if any."""
    for store in reversed(_active.get()):
        if _is_open(store) and _accepts_all(store, events):
            return store
    return None


def choose(events: Sequence[DomainEvent], home: Store | None = None) -> Store | None:
    """Returns the store for ``events``, or None if no open store accepts them.

    Raises:
        ApplicationClosedError: ``home`` is closed.
        NoApplicationError: ``home`` does not accept the events.
        AmbiguousApplicationError: several open stores do, and none of them is active.
    """
    if home is not None:
        if not _is_open(home):
            raise ApplicationClosedError(f"{home.name}, to which the aggregate belongs, is closed")
        if not _accepts_all(home, events):
            raise NoApplicationError(
                f"{home.name}, to which the aggregate belongs, does not store such events"
                f" ({_classes(events)}); see persist_event_type"
            )
        return home
    if (active := innermost(events)) is not None:
        return active
    candidates = [store for store in _open if _accepts_all(store, events)]
    if len(candidates) > 1:
        names = ", ".join(store.name for store in candidates)
        raise AmbiguousApplicationError(
            f"several open applications could store this: {names}. Say which: save inside its"
            " 'with' block, or call its save() method"
        )
    return candidates[0] if candidates else None


def _is_open(store: Store) -> bool:
    return any(s is store for s in _open)


def _accepts_all(store: Store, events: Sequence[DomainEvent]) -> bool:
    # A store decides by the class: "events such as this one".
    return all(map(store.accepts, {type(event): event for event in events}.values()))


def _classes(events: Sequence[DomainEvent]) -> str:
    return ", ".join(sorted({type(event).__qualname__ for event in events}))
