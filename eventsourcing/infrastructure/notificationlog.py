"""The notification log: every stored event once, in one order that never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from eventsourcing.domain.model.context import EventContext
from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import DomainEvent, as_event_classes, event_classes
from eventsourcing.exceptions import DataIntegrityError, ProgrammingError, TopicResolutionError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.feed import FeedBounds, FeedPage, HighWaterMark
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.ids import check_id

__all__ = ["Notification", "NotificationLog", "notifications_from_pages"]

EventTypes: TypeAlias = type[DomainEvent] | Iterable[type[DomainEvent]]


_new = tuple.__new__  # quicker than to call the class


class Notification(NamedTuple):
    """A stored event, and its position in the feed.

    Attributes:
        position: in the feed of all events; ascending from 1, with gaps.
        originator_id: the stream.
        originator_version: the event's position in its stream, 0-based.
        topic: the text by which the row names the event's class.
        event: the event itself.
    """

    position: int
    originator_id: UUID | str | int
    originator_version: int
    topic: str
    event: DomainEvent

    @property
    def context(self) -> EventContext:
        """The event's own id, and the correlation and causation ids stored with it."""
        return self.event.context


class NotificationLog:
    """Reads the feed of all events that a store keeps.

    It remembers what it has learnt about gaps in the feed, so keep it for as long as you read.
    May be used from several threads at once.

    Args:
        event_store: where the events are.

    Raises:
        ProgrammingError: the store's table has no column that numbers all events.
    """

    def __init__(self, event_store: EventStore) -> None:
        self._mapper = event_store.mapper
        self._feed = event_store.record_manager.feed()

    def select(
        self,
        start: int = 1,
        limit: int | None = None,
        *,
        stop: int | None = None,
        event_types: EventTypes | None = None,
        aggregate_class: type[DomainEntity] | None = None,
        originator_id: UUID | str | int | None = None,
        is_ascending: bool = True,
    ) -> Iterator[Notification]:
        """Reads the events of the feed, up to where it is safe when the reading begins.

        Each event is read once and in its place, however many transactions are open: nothing
        will ever be stored between two events that were read, or before the first. Go on from
        the last one's position + 1.

        Args:
            start: the lowest position, inclusive.
            limit: at most so many events; None for all.
            stop: the highest position, inclusive; None for the end.
            event_types: only events of this class or these classes, their subclasses included,
                as far as their modules are imported.
            aggregate_class: only events of this class of aggregates and of its subclasses,
                which are those that derive from its ``Event``.
            originator_id: only events of this stream.
            is_ascending: False to begin with the last one that is safe.

        Returns:
            An iterator, to be used once, that reads as it is advanced, in bounded memory: a page
            at a time. On PostgreSQL it may have a thread that reads the page after it, and ends
            then, also when the iterator is given up meanwhile.

        Raises:
            ProgrammingError: an argument cannot be used.
            InvalidOriginatorID: no stream can have such an id.
            ApplicationClosedError: the record manager has been closed.
            TopicResolutionError, DataIntegrityError: a row cannot be read; the error has its
                ``position``. What comes before it was read; to pass over it, start behind it.
            PersistenceError: the database could not be read.
        """
        if type(is_ascending) is not bool:
            raise ProgrammingError(
                f"is_ascending must be a bool, not {type(is_ascending).__name__}"
            )
        bounds = FeedBounds(
            first=_checked("start", start, 1, 1),
            last=_checked("stop", stop, MAX_POSITION),
            limit=limit if limit is None else _checked("limit", limit, 0),
            topics=_topics(event_types, aggregate_class),
            sequence_id=originator_id if originator_id is None else check_id(originator_id),
            is_ascending=is_ascending,
        )
        pages = self._feed.get_pages(bounds)
        return notifications_from_pages(self._mapper.events_from_items, pages)

    def read(
        self, start: int, limit: int | None, stop: int, event_types: EventTypes | None
    ) -> list[Notification]:
        """Reads what :meth:`select` does, with the same arguments, all at once. Raises as that.

        The key of each person whose data is in the events is asked for once, and not with each
        event (docs: how-to/erasure).
        """
        topics = _topics(event_types, None)
        pages = self._feed.get_pages(FeedBounds(start, stop, limit, topics))
        at_once = partial(self._mapper.events_at_once, keys={})
        return list(notifications_from_pages(at_once, pages))

    def select_stored(self, start: int, stop: int) -> Iterator[tuple[int, StoredEvent]]:
        """Reads events as they are stored, in ascending order: their positions, and items.

        Args:
            start, stop: positions, both inclusive.

        Raises:
            ApplicationClosedError: the record manager has been closed.
            DataIntegrityError: the id of a stream cannot be read.
            PersistenceError: the database could not be read.
        """
        for position, item in self._feed.get_items(FeedBounds(start, stop)):
            yield position, StoredEvent._make((*item[:4], *self._mapper.context_of(item)))

    def safe_position(self) -> int:
        """Returns how far the feed can be read now, without asking who holds it back.

        Raises:
            ApplicationClosedError: the record manager has been closed.
            PersistenceError: the database could not be read.
        """
        return self._feed.safe_position()

    def high_water_mark(self) -> HighWaterMark:
        """Returns how far the feed can be read now, and who keeps it from going further.

        Raises:
            ApplicationClosedError: the record manager has been closed.
            PersistenceError: the database could not be read.
        """
        return self._feed.high_water_mark()


def notifications_from_pages(
    events_from: Callable[[Iterable[tuple[Any, ...]]], Iterator[DomainEvent]],
    pages: Iterable[FeedPage],
) -> Iterator[Notification]:
    """Yields the notifications that were stored as the items of pages, one after the other.

    Args:
        events_from: makes the events of items.

    Raises:
        TopicResolutionError, DataIntegrityError: a row cannot be read; has its ``position``.
    """
    for page in pages:
        position = None
        try:
            events = events_from(page.items)
            for position, item, event in zip(*page, events, strict=True):
                yield _new(Notification, (position, item[0], item[1], item[2], event))
        except (DataIntegrityError, TopicResolutionError) as error:
            if error.position is None:
                behind = 0 if position is None else page.positions.index(position) + 1
                error.position = page.positions[behind]
                text = f"position {error.position} of the feed: {error}"
                error.args = (text, *error.args[1:])
            raise
        del page, events  # not to hold two pages at once


def _checked(name: str, value: int | None, default: int, least: int = 0) -> int:
    if value is None and name != "start":
        return default
    if type(value) is not int or value < least:
        raise ProgrammingError(f"{name} must be an int of at least {least}, not {value!r}")
    return min(value, MAX_POSITION)


def _topics(
    event_types: EventTypes | None, aggregate_class: type[DomainEntity] | None
) -> frozenset[str] | None:
    """Returns by what topics the events are stored; None for any."""
    found: frozenset[str] | None = None
    if event_types is not None:
        found = event_classes.topics_of(as_event_classes(event_types))
    if aggregate_class is not None:
        if not (isinstance(aggregate_class, type) and issubclass(aggregate_class, DomainEntity)):
            raise ProgrammingError(
                f"aggregate_class= takes a class of aggregates, not {aggregate_class!r}"
            )
        own = event_classes.topics_of((aggregate_class.Event,))
        found = own if found is None else found & own
    return found
