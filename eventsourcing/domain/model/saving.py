"""Saves entities: their pending events are stored, then told to the subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from eventsourcing.domain.model.bus import notify
from eventsourcing.domain.model.stores import Store
from eventsourcing.exceptions import ProgrammingError

if TYPE_CHECKING:
    from eventsourcing.domain.model.domainentity import DomainEntity
    from eventsourcing.domain.model.events import DomainEvent

__all__ = ["Saved", "publish_pending"]


class Saved:
    """What a save has stored, to wait for (docs: how-to/projections).

    Nothing is looked up before it is asked for, so that it costs the save nothing.
    """

    __slots__ = ("_events", "_position", "_store")

    def __init__(self, events: Sequence[DomainEvent] = (), store: Store | None = None) -> None:
        self._events = events
        self._store = store
        self._position: int | None = None

    def __repr__(self) -> str:
        """Shows the position if it was looked up, and looks nothing up."""
        return f"Saved(events={len(self._events)}, position={self._position})"

    @property
    def position(self) -> int:
        """Up to here, the feed has all that was saved: the highest position of an event of it. 0
        if nothing is stored: there was nothing to save, or the caller's transaction was
        rolled back. Looked up when it is first asked for: a row for each aggregate.

        Raises:
            ProgrammingError: nothing numbers the rows of the table.
            ApplicationClosedError: the application has been closed.
            PersistenceError: the database could not be read.
        """
        if self._position is None:
            self._position = self._highest()
        return self._position

    def _highest(self) -> int:
        if self._store is None:
            return 0
        fields = [event.__dict__ for event in self._events]
        last = {each["originator_id"]: each["originator_version"] for each in fields}
        # Of each stream: some may be stored since an earlier attempt of this save.
        return max(self._store.feed_position(*place) or 0 for place in last.items())


def publish_pending(entities: Iterable[DomainEntity], store: Store | None) -> Saved:
    """Stores the pending events of all entities in one transaction, then tells subscribers.

    If storing fails, all stay pending; if a transaction of the caller's is rolled back, they
    are pending again. Without a store, subscribers alone are told.

    Raises:
        ProgrammingError: an entity's events are not all there.
    """
    pending: list[tuple[DomainEntity, tuple[DomainEvent, ...]]] = []
    batch: list[DomainEvent] = []
    for entity in entities:
        its_events = tuple(entity._es_pending)
        _check_complete(entity, its_events)
        pending.append((entity, its_events))
        batch += its_events
    asked = None if store is None or store.commits else store
    if store is not None:
        store.store(batch)
    for entity, its_events in pending:
        saved = set(map(id, its_events))
        entity._es_pending = [e for e in entity._es_pending if id(e) not in saved]
        entity._es_stored = entity._es_version
        entity._es_home = store
    if asked is None:
        notify(batch)
    else:
        asked.when_committed(lambda: notify(batch), lambda: _make_pending(pending))
    return Saved(batch, store)


def _check_complete(entity: DomainEntity, its_events: Sequence[DomainEvent]) -> None:
    """Checks that the events lead from what is stored to what the entity is.

    They do not if an interrupt came between the change and its event, or if two threads shared
    the entity. To store them all the same would leave a gap, and nobody could load it again.
    """
    if not entity._es_versioned:
        return
    position = entity._es_version - len(its_events)
    is_complete = entity._es_stored is None or entity._es_stored == position
    for event in its_events:
        is_complete = is_complete and event.__dict__["originator_version"] == position
        position += 1
    if not is_complete:
        raise ProgrammingError(
            f"{type(entity).__qualname__} {entity.id!r} has lost an event on the way (an"
            " interrupt, or two threads at once?): load it again, and repeat the command"
        )


def _make_pending(taken: Sequence[tuple[DomainEntity, tuple[DomainEvent, ...]]]) -> None:
    for entity, its_events in taken:
        entity._es_pending[:0] = its_events
        entity._es_stored = entity._es_version - len(entity._es_pending)
