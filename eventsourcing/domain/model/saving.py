"""Saves entities: their pending events are stored, then told to the subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eventsourcing.domain.model.bus import notify
from eventsourcing.domain.model.stores import Store

if TYPE_CHECKING:
    from eventsourcing.domain.model.entity import DomainEntity
    from eventsourcing.domain.model.events import DomainEvent

__all__ = ["publish_pending"]


def publish_pending(entities: Sequence[DomainEntity], store: Store | None) -> None:
    """Stores the pending events of all entities in one transaction, then tells subscribers.

    If storing fails, all stay pending; if a transaction of the caller's is rolled back, they
    are pending again. Without a store, subscribers alone are told.
    """
    pending = [(entity, tuple(entity._pending)) for entity in entities]
    batch = [event for _, its_events in pending for event in its_events]
    if store is not None:
        store.store(batch)
    for entity, its_events in pending:
        del entity._pending[: len(its_events)]
        entity._home = store
    if store is None:
        notify(batch)
    else:
        store.when_committed(lambda: notify(batch), lambda: _make_pending(pending))


def _make_pending(taken: Sequence[tuple[DomainEntity, tuple[DomainEvent, ...]]]) -> None:
    for entity, its_events in taken:
        entity._pending[:0] = its_events
