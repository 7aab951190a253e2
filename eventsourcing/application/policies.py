"""What an application does when events are published, and when aggregates are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

from eventsourcing.domain.model.events import DomainEvent, EventWithOriginatorVersion
from eventsourcing.domain.model.stores import close_store, open_store
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.eventstore import EventStore

__all__ = ["EventType", "PersistencePolicy", "SnapshottingPolicy"]

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
        # What somebody has written instead is to be asked.
        asked = (type(self).when_committed, type(event_store).when_committed)
        own = (PersistencePolicy.when_committed, EventStore.when_committed)
        self.commits = event_store.record_manager.commits and asked == own
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

    def feed_position(self, originator_id: UUID | str | int, originator_version: int) -> int | None:
        """Returns the position in the feed of a stored event, None if there is none."""
        return self.event_store.feed_position(originator_id, originator_version)

    def close(self) -> None:
        """Stores no further events. To close it again does nothing."""
        close_store(self)


class SnapshottingPolicy:
    """Says when snapshots of aggregates are taken.

    A snapshot is taken when an aggregate is loaded and more events had to be replayed for it than
    they should: of what is stored, and never while it is saved. See docs: how-to/snapshots.

    Args:
        every: so many events may be replayed; None for no snapshots but those that
            :meth:`SimpleApplication.take_snapshot` takes.
        by_class: the same for the aggregates of some classes and their subclasses, of which the
            nearest holds.
        keep: so many snapshots of an aggregate are kept, those with the most events; all by
            default. Others are removed when the next one is taken.

    Raises:
        ProgrammingError: a number is not 1 or more, or a class is no class.
    """

    keep: int | None = None

    def __init__(
        self,
        every: int | None = 100,
        by_class: Mapping[type, int | None] | None = None,
        keep: int | None = None,
    ) -> None:
        self.every = every
        self.by_class = dict(by_class or {})
        self.keep = keep
        for cls in self.by_class:
            if not isinstance(cls, type):
                raise ProgrammingError(f"by_class= takes classes of aggregates, not {cls!r}")
        for number in (every, *self.by_class.values()):
            if number is not None and (type(number) is not int or number < 1):
                raise ProgrammingError(f"a number of events is an int from 1 on, not {number!r}")
        if keep is not None and (type(keep) is not int or keep < 1):
            raise ProgrammingError(f"keep= takes an int from 1 on, not {keep!r}")

    def is_due(self, aggregate_class: type, replayed: int) -> bool:
        """Tells whether to take a snapshot after so many events were replayed."""
        given = (base for base in aggregate_class.__mro__ if base in self.by_class)
        nearest = next(given, None)
        every = self.every if nearest is None else self.by_class[nearest]
        return every is not None and replayed >= every
