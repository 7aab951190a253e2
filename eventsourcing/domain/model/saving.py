"""Saves entities: their pending events are stored, then told to the subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eventsourcing.domain.model.bus import notify
from eventsourcing.domain.model.stores import Store
from eventsourcing.exceptions import ProgrammingError

if TYPE_CHECKING:
    from eventsourcing.domain.model.domainentity import DomainEntity
    from eventsourcing.domain.model.events import DomainEvent

__all__ = ["publish_pending"]


def publish_pending(entities: Sequence[DomainEntity], store: Store | None) -> None:
    """Stores the pending events of all entities in one transaction, then tells subscribers.

    If storing fails, all stay pending; if a transaction of the caller's is rolled back, they
    are pending again. Without a store, subscribers alone are told.

    Raises:
        ProgrammingError: an entity's events are not all there.
    """
    pending = [(entity, tuple(entity._es_pending)) for entity in entities]
    for entity, its_events in pending:
        _check_complete(entity, its_events)
    batch = [event for _, its_events in pending for event in its_events]
    if store is not None:
        store.store(batch)
    for entity, its_events in pending:
        saved = set(map(id, its_events))
        entity._es_pending = [e for e in entity._es_pending if id(e) not in saved]
        entity._es_stored = entity._es_version
        entity._es_home = store
    if store is None:
        notify(batch)
    else:
        store.when_committed(lambda: notify(batch), lambda: _make_pending(pending))


def _check_complete(entity: DomainEntity, its_events: Sequence[DomainEvent]) -> None:
    """Checks that the events lead from what is stored to what the entity is.

    They do not if an interrupt came between the change and its event, or if two threads shared
    the entity. To store them all the same would leave a gap, and nobody could load it again.
    """
    if not entity._es_versioned:
        return
    first = entity._es_version - len(its_events)
    positions = [event.__dict__["originator_version"] for event in its_events]
    if positions != [*range(first, entity._es_version)] or entity._es_stored not in (None, first):
        raise ProgrammingError(
            f"{type(entity).__qualname__} {entity.id!r} has lost an event on the way (an"
            " interrupt, or two threads at once?): load it again, and repeat the command"
        )


def _make_pending(taken: Sequence[tuple[DomainEntity, tuple[DomainEvent, ...]]]) -> None:
    for entity, its_events in taken:
        entity._es_pending[:0] = its_events
        entity._es_stored = entity._es_version - len(entity._es_pending)
