"""What an application does when events are published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from eventsourcing.domain.model.events import DomainEvent, EventWithOriginatorVersion
from eventsourcing.domain.model.stores import close_store, open_store
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.eventstore import EventStore

__all__ = ["EventType", "PersistencePolicy"]

EventType: TypeAlias = type[DomainEvent] | tuple[type[DomainEvent], ...]


class PersistencePolicy:
    """Stores published events of the given type, before anybody else sees them.

    Open from when it is made until :meth:`close`.

    Args:
        event_store: where to.
        persist_event_type: an event class, or a tuple of several. By default every event that
            has an originator and a version.
        name: what errors call it.

    Raises:
        ProgrammingError: ``persist_event_type`` is something else.
    """

    def __init__(
        self,
        event_store: EventStore,
        persist_event_type: EventType | None = None,
        name: str = "a persistence policy",
    ) -> None:
        if persist_event_type is None:
            persist_event_type = EventWithOriginatorVersion
        types = (
            persist_event_type if isinstance(persist_event_type, tuple) else (persist_event_type,)
        )
        if not all(isinstance(cls, type) and issubclass(cls, DomainEvent) for cls in types):
            raise ProgrammingError(
                "persist_event_type= takes an event class, or a tuple of several"
            )
        self.name = name
        self.event_store = event_store
        self.persist_event_type = types
        open_store(self)

    def accepts(self, event: DomainEvent) -> bool:
        """Tells whether events such as this one are stored here: by its class alone."""
        return isinstance(event, self.persist_event_type)

    def store(self, events: Sequence[DomainEvent]) -> None:
        """Stores all events in one transaction, or raises and stores none."""
        self.event_store.store(events)

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """Calls back once what this thread stored is committed, or else rolled back."""
        self.event_store.when_committed(callback, or_else)

    def close(self) -> None:
        """Stores no further events. To close it again does nothing."""
        close_store(self)
