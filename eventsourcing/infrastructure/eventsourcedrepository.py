"""Repositories: aggregates by their ids, made from their events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, ClassVar, TypeVar, overload
from uuid import UUID

from eventsourcing.domain.model.domainentity import DomainEntity, entity_classes
from eventsourcing.domain.model.entity import VersionedEntity
from eventsourcing.domain.model.events import Discarded, DomainEvent
from eventsourcing.domain.model.stores import Store
from eventsourcing.exceptions import (
    AggregateTypeError,
    DataIntegrityError,
    EventSourcingError,
    InvalidOriginatorID,
    ProgrammingError,
    RepositoryKeyError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.utils.ids import check_id

__all__ = ["EventSourcedRepository"]

T = TypeVar("T")
MutatorFunc = Callable[[Any, Any], Any]


class EventSourcedRepository:
    """Finds aggregates by replaying their streams, in bounded memory.

    May be used from several threads at once; each read makes a new object.

    Args:
        event_store: where the events are.
        mutator_func: takes (state, event) and returns the new state, or None once the
            aggregate is discarded. By default the events' own ``mutate``.
        home: the store to which the loaded aggregates belong.
    """

    def __init__(
        self,
        event_store: EventStore,
        mutator_func: MutatorFunc | None = None,
        home: Store | None = None,
    ) -> None:
        self._event_store = event_store
        self._mutator_func = mutator_func
        self._home = home

    def __getitem__(self, originator_id: UUID | str | int) -> Any:
        """Returns the aggregate with this id.

        Raises:
            RepositoryKeyError: there is none (also a ``KeyError``).
            InvalidOriginatorID: no aggregate can have such an id (also a ``ValueError``).
            DataIntegrityError, TopicResolutionError: its stream cannot be replayed, whatever
                was raised by that.
            PersistenceError: the database could not be read.
        """
        events = self._event_store.get_domain_events(originator_id)
        first = next(events, None)
        if first is None:
            raise RepositoryKeyError(originator_id)
        state = self._replay(first, events)
        if state is None:
            raise RepositoryKeyError(originator_id)
        if isinstance(state, DomainEntity):
            state._loaded(self._home)
        return state

    __iter__: ClassVar[None] = None
    """A repository cannot be iterated over."""

    def __contains__(self, originator_id: object) -> bool:
        """Tells whether there is an aggregate with this id that is not discarded."""
        try:
            valid = check_id(originator_id)
        except InvalidOriginatorID:
            return False
        last = self._event_store.get_most_recent_event(valid)
        return last is not None and not isinstance(last, DomainEntity.Discarded)

    @overload
    def get(self, originator_id: UUID | str | int, of_class: type[T]) -> T: ...
    @overload
    def get(self, originator_id: UUID | str | int) -> Any: ...
    def get(self, originator_id: UUID | str | int, of_class: type[Any] = object) -> Any:
        """Returns the aggregate with this id, which must be an ``of_class``.

        Raises:
            AggregateTypeError: it is something else.
            ProgrammingError: ``of_class`` is no class.
            RepositoryKeyError, DataIntegrityError, TopicResolutionError, PersistenceError:
                as ``repository[originator_id]``.
        """
        if not isinstance(of_class, type):
            raise ProgrammingError(f"an aggregate's class is expected, not {of_class!r}")
        found = self[originator_id]
        if not isinstance(found, of_class):
            raise AggregateTypeError(
                f"{originator_id!r} is a {type(found).__qualname__}, not a {of_class.__qualname__}"
            )
        return found

    def _replay(self, first: DomainEvent, later: Iterator[DomainEvent]) -> Any:
        mutator = self._mutator_func
        if mutator is None:
            self._find_class(first)
        state: Any = None
        event: Any = first
        for event in chain((first,), later):
            try:
                state = event.mutate(state) if mutator is None else mutator(state, event)
            except Exception as error:
                raise _cannot_replay(event, error) from error
        if mutator is None:
            _check_all_applied(state, event)
        return state

    def _find_class(self, created: Any) -> None:
        """Makes the aggregate's class known, where it may be imported."""
        if isinstance(created, DomainEntity.Created):
            topic = created.originator_topic
            try:
                entity_classes.resolve(topic, self._event_store.mapper.topic_prefixes)
            except TopicResolutionError as error:
                raise TopicResolutionError(
                    f"event 0 of {created.originator_id!r}: {error}",
                    topic=topic,
                    originator_id=created.originator_id,
                    originator_version=0,
                ) from error


def _check_all_applied(state: Any, last: Any) -> None:
    """Checks that no event was passed over for being none of the entity's."""
    applied = state.version - 1 if isinstance(state, VersionedEntity) else last.originator_version
    if applied != last.originator_version or (state is None and not isinstance(last, Discarded)):
        raise _cannot_replay(last, "it is not an event of the entity")


def _cannot_replay(event: Any, why: Exception | str) -> DataIntegrityError:
    if isinstance(why, Exception) and not isinstance(why, EventSourcingError):
        why = f"it raised {type(why).__name__}"  # whose message may show the payload
    version = event.originator_version
    return DataIntegrityError(
        f"the stream of {event.originator_id!r} cannot be replayed: event {version}"
        f" ({type(event).__qualname__}): {why}",
        originator_id=event.originator_id,
        originator_version=version,
    )
