"""Repositories: aggregates by their ids, made from their events."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Any, ClassVar, TypeVar, overload
from uuid import UUID

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.domain.model.stores import Store
from eventsourcing.exceptions import (
    AggregateTypeError,
    InvalidOriginatorID,
    ProgrammingError,
    RepositoryKeyError,
    VersionNotFound,
)
from eventsourcing.infrastructure.caching import AggregateCache, check_cache_size
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.recordmanager import Bounds
from eventsourcing.infrastructure.replaying import Fold, MutatorFunc, Replay
from eventsourcing.infrastructure.snapshotting import Snapshotter
from eventsourcing.utils.ids import check_id
from eventsourcing.utils.times import moment_from

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
        snapshotter: has replays begin with snapshots. Not used with a ``mutator_func``.
        cache_size: how many aggregates to keep in memory; none by default, nor with a
            ``mutator_func``.
    """

    def __init__(
        self,
        event_store: EventStore,
        mutator_func: MutatorFunc | None = None,
        home: Store | None = None,
        snapshotter: Snapshotter | None = None,
        cache_size: int | None = None,
    ) -> None:
        self._event_store = event_store
        self._mutator_func = mutator_func
        self._home = home
        self._snapshotter = snapshotter if mutator_func is None else None
        check_cache_size(cache_size)
        self._cache: AggregateCache | None = None
        if cache_size is not None and mutator_func is None:
            self._cache = AggregateCache(event_store, self._replayed, cache_size)

    def __getitem__(self, originator_id: UUID | str | int) -> Any:
        """Returns the aggregate with this id.

        Raises:
            RepositoryKeyError: there is none (also a ``KeyError``).
            InvalidOriginatorID: no aggregate can have such an id (also a ``ValueError``).
            DataIntegrityError, TopicResolutionError: its stream cannot be replayed, whatever
                was raised by that.
            PersistenceError: the database could not be read.
        """
        return self._find(originator_id, None)

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
    def get(
        self,
        originator_id: UUID | str | int,
        of_class: type[T],
        *,
        version: int | None = None,
        at: datetime | str | None = None,
    ) -> T: ...
    @overload
    def get(
        self,
        originator_id: UUID | str | int,
        *,
        version: int | None = None,
        at: datetime | str | None = None,
    ) -> Any: ...
    def get(
        self,
        originator_id: UUID | str | int,
        of_class: type[Any] = object,
        *,
        version: int | None = None,
        at: datetime | str | None = None,
    ) -> Any:
        """Returns the aggregate with this id, an ``of_class``, as it is or was.

        One that was got as it was can be looked at. If it is changed and saved, the save raises
        ConcurrencyError, unless nothing has happened to the aggregate since.

        Args:
            version: as it was after so many events (1 or more).
            at: as it was after the last of its events that has this time or an earlier one: an
                aware datetime, or a text (see :func:`eventsourcing.utils.times.moment_from`).

        Raises:
            AggregateTypeError: it is something else.
            VersionNotFound: it has fewer events, or none from so early.
            InvalidMoment: ``at`` is no text of a time, or has no zone.
            ProgrammingError: ``of_class`` is no class; both a version and a time are given; the
                version is no number, or 0 or less; or the aggregate's events have no times.
            RepositoryKeyError, DataIntegrityError, TopicResolutionError, PersistenceError:
                as ``repository[originator_id]``; it may have been discarded by then.
        """
        if not isinstance(of_class, type):
            raise ProgrammingError(f"an aggregate's class is expected, not {of_class!r}")
        if version is not None:
            _check_version(version, 1)
        if at is not None:
            if version is not None:
                raise ProgrammingError("give one of: version, at")
            version = self._version_at(originator_id, at)
        found = self._find(originator_id, version)
        if not isinstance(found, of_class):
            raise AggregateTypeError(
                f"{originator_id!r} is a {type(found).__qualname__}, not a {of_class.__qualname__}"
            )
        return found

    def history(
        self, originator_id: UUID | str | int, *, after: int = 0
    ) -> Iterator[tuple[DomainEvent, Any]]:
        """Yields each event with the aggregate as it was after it; None once it was discarded.

        Each of these aggregates is a deep copy of its own, got as by ``get(version=...)``.

        Args:
            after: without the first so many events.

        Returns:
            An iterator, to be used once, that reads as it is advanced, in flat memory.

        Raises:
            RepositoryKeyError: there are no events with this id.
            VersionNotFound: there are fewer events than are to be left out.
            ProgrammingError: ``after`` is no number, or negative.
            DataIntegrityError, TopicResolutionError, PersistenceError: as
                ``repository[originator_id]``.
        """
        _check_version(after, 0)
        return self._history(originator_id, after)

    def _history(self, originator_id: object, after: int) -> Iterator[tuple[DomainEvent, Any]]:
        reader, mapper = self._event_store.reader, self._event_store.mapper
        replay = self._replayed(originator_id, after) if after else self._replay()
        position = after - 1
        for item in reader.get_items(originator_id, Bounds(gt=position)):
            replay.apply_event(item)
            position = item[1]
            yield mapper.event_from_item(item), self._at_home(deepcopy(replay.state))
        if position < 0:
            raise RepositoryKeyError(originator_id)

    def _replay(self) -> Replay | Fold:
        reader, mapper = self._event_store.reader, self._event_store.mapper
        if self._mutator_func is None:
            return Replay(reader, mapper)
        return Fold(reader, mapper, self._mutator_func)

    def _replayed(self, originator_id: Any, version: int | None = None) -> Replay | Fold:
        if self._snapshotter is not None:
            return self._snapshotter.replayed(originator_id, version)
        replay = self._replay()
        replay.run(originator_id, version)
        return replay

    def _find(self, originator_id: Any, version: int | None) -> Any:
        if version is None and self._cache is not None:
            state = self._cache.load(originator_id)
        else:
            state = self._replayed(originator_id, version).state
        if state is None:
            raise RepositoryKeyError(originator_id)
        return self._at_home(state)

    def _at_home(self, state: Any) -> Any:
        if isinstance(state, DomainEntity):
            state._loaded(self._home)
        return state

    def _version_at(self, originator_id: object, at: datetime | str) -> int:
        """Returns how many events there are up to the last one that is not later than ``at``."""
        moment = moment_from(at)
        newest = -1
        backwards = Bounds(is_ascending=False)
        for item in self._event_store.reader.get_items(originator_id, backwards):
            event = self._event_store.mapper.event_from_item(item)
            happened = getattr(event, "timestamp", None)
            if not isinstance(happened, datetime) or happened.tzinfo is None:
                raise ProgrammingError(
                    f"event {item[1]} of {originator_id!r} ({type(event).__qualname__}) has no time"
                )
            if happened <= moment:
                return int(item[1]) + 1
            newest = max(newest, item[1])
        if newest < 0:
            raise RepositoryKeyError(originator_id)
        raise VersionNotFound(originator_id, f"at {moment.isoformat()}", newest + 1)


def _check_version(given: object, least: int) -> None:
    if type(given) is not int or given < least:
        raise ProgrammingError(f"a version is an int from {least} on, not {given!r}")
