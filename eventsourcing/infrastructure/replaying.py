"""Makes aggregates of their stored events.

An event whose ``mutate`` is the body of a short-style method needs no object to be replayed: the
body is called with the stored values. All that an event's ``mutate`` checks is checked here too,
and what does not pass is left to the event, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from eventsourcing.domain.model.domainentity import DomainEntity, entity_classes
from eventsourcing.domain.model.entity import VersionedEntity
from eventsourcing.domain.model.events import Discarded, DomainEvent
from eventsourcing.domain.model.recipes import body_for
from eventsourcing.exceptions import (
    DataIntegrityError,
    DecodeError,
    EventSourcingError,
    RepositoryKeyError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.recordmanager import Bounds, RecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper

__all__ = ["MutatorFunc", "Replay", "fold"]

Item = tuple[Any, ...]
MutatorFunc = Callable[[Any, Any], Any]

FEW = 100
"""So many events are read with all columns, before it is known whether they need an object."""


class Step(NamedTuple):
    """How an aggregate is changed by the stored events of one class.

    Attributes:
        body: takes the aggregate, and the values that ``pick`` takes out of a decoded state.
    """

    event_class: type[DomainEvent]
    decode: Callable[[str], dict[str, Any]]
    pick: Callable[[dict[str, Any]], tuple[Any, ...]]
    body: Callable[..., Any]


class Replay:
    """One replay of one stream, in bounded memory: call :meth:`run` once.

    Attributes:
        state: the aggregate as far as it was replayed; None before that, or once discarded.
    """

    def __init__(self, manager: RecordManager, mapper: SequencedItemMapper) -> None:
        self.state: Any = None
        self._manager = manager
        self._mapper = mapper
        self._steps: dict[object, Step | None] = {}
        self._last: Item = ()
        self._objects = 0  # so many events needed one

    def run(self, originator_id: object) -> Any:
        """Replays the stream, and returns the state.

        Raises:
            RepositoryKeyError: it has no events.
            DataIntegrityError, TopicResolutionError: it cannot be replayed.
            PersistenceError: it could not be read.
        """
        self._apply(self._manager.get_items(originator_id, Bounds(limit=FEW)))
        if not self._last:
            raise RepositoryKeyError(originator_id)
        if self._last[1] >= FEW - 1:
            self._go_on(originator_id)
        return self.state

    def _go_on(self, originator_id: object) -> None:
        later = Bounds(gt=self._last[1])
        if self._objects == 1:  # that of the first event
            if self._apply(self._manager.get_states(originator_id, later), are_brief=True):
                return
            later = Bounds(gt=self._last[1])
        self._apply(self._manager.get_items(originator_id, later))

    def _apply(self, items: Iterator[Item], are_brief: bool = False) -> bool:
        """Tells whether all were applied: not if one needs an object, and its item is brief."""
        while (item := self._apply_states(items)) is not None:
            if are_brief:
                return False
            self._apply_event(item)
        return True

    def _apply_states(self, items: Iterator[Item]) -> Item | None:
        """Applies items up to one that needs an object, and returns this one."""
        state, last = self.state, self._last
        if not isinstance(state, DomainEntity):
            return next(items, None)
        is_timestamped = state._es_timestamped
        try:
            for item in items:
                try:
                    step = self._steps[item[2]]
                except (KeyError, TypeError):
                    step = self._step_for(item)
                if step is None or item[1] != state._es_version:
                    return item
                event_class, decode, pick, body = step
                try:
                    values = decode(item[3])
                except DecodeError:
                    return item
                state._es_applying = event_class
                try:
                    body(state, *pick(values))
                except Exception as error:
                    raise _cannot_replay(item, event_class, error) from error
                state._es_version += 1
                if is_timestamped:
                    state._es_last_modified = values["timestamp"]
                last = item
        finally:
            state._es_applying = None
            self._last = last
        return None

    def _step_for(self, item: Item) -> Step | None:
        event_class, decode = self._mapper.decoder_for(item)
        found = body_for(type(self.state), event_class)
        step = None if found is None else Step(event_class, decode, *found)
        self._steps[item[2]] = step
        return step

    def _apply_event(self, item: Item) -> None:
        event = self._mapper.event_from_item(item)
        if not self._last:
            _find_class(event, self._mapper.topic_prefixes)
        try:
            self.state = event.mutate(self.state)
        except Exception as error:
            raise _cannot_replay(item, type(event), error) from error
        _check_applied(item, event, self.state)
        self._last = item
        self._objects += 1


def fold(items: Iterator[Item], mapper: SequencedItemMapper, mutator_func: MutatorFunc) -> Any:
    """Returns what a function makes of the events, one after the other, beginning with None."""
    state: Any = None
    for item in items:
        event = mapper.event_from_item(item)
        try:
            state = mutator_func(state, event)
        except Exception as error:
            raise _cannot_replay(item, type(event), error) from error
    return state


def _find_class(created: Any, prefixes: tuple[str, ...]) -> None:
    """Makes the aggregate's class known, where it may be imported."""
    if isinstance(created, DomainEntity.Created):
        topic = created.originator_topic
        try:
            entity_classes.resolve(topic, prefixes)
        except TopicResolutionError as error:
            raise TopicResolutionError(
                f"event 0 of {created.originator_id!r}: {error}",
                topic=topic,
                originator_id=created.originator_id,
                originator_version=0,
            ) from error


def _check_applied(item: Item, event: DomainEvent, state: Any) -> None:
    """Checks that an event was not passed over for being none of the entity's."""
    version = state.version - 1 if isinstance(state, VersionedEntity) else item[1]
    if version != item[1] or (state is None and not isinstance(event, Discarded)):
        raise _cannot_replay(item, type(event), "it is not an event of the entity")


def _cannot_replay(item: Item, event_class: type, why: Exception | str) -> DataIntegrityError:
    if isinstance(why, Exception) and not isinstance(why, EventSourcingError):
        why = f"it raised {type(why).__name__}"  # whose message may show the payload
    return DataIntegrityError(
        f"the stream of {item[0]!r} cannot be replayed: event {item[1]}"
        f" ({event_class.__qualname__}): {why}",
        originator_id=item[0],
        originator_version=item[1],
    )
