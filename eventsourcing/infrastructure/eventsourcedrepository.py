"""Repositories: aggregates by their ids, made from their events."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, overload
from uuid import UUID

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.stores import Store
from eventsourcing.exceptions import (
    AggregateTypeError,
    InvalidOriginatorID,
    ProgrammingError,
    RepositoryKeyError,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.replaying import MutatorFunc, Replay, fold
from eventsourcing.utils.ids import check_id

__all__ = ["EventSourcedRepository"]

T = TypeVar("T")


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
        manager, mapper = self._event_store.record_manager, self._event_store.mapper
        if self._mutator_func is None:
            state = Replay(manager, mapper).run(originator_id)
        else:
            state = fold(manager.get_items(originator_id), mapper, self._mutator_func)
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
