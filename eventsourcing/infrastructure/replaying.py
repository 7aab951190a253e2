"""Makes aggregates of their stored events.

An event whose ``mutate`` is the body of a short-style method needs no object to be replayed: the
body is called with the stored values. All that an event's ``mutate`` checks is checked here too,
and what does not pass is left to the event, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
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
    VersionNotFound,
)
from eventsourcing.infrastructure.erasure import KeysInUse
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds, ItemReader
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.picking import attribute_picker

__all__ = ["Fold", "Item", "MutatorFunc", "Replay"]

Item = tuple[Any, ...]
MutatorFunc = Callable[[Any, Any], Any]


class Step(NamedTuple):
    """How an aggregate is changed by the stored events of one class.

    Attributes:
        read: makes an object of a state, with the values as its attributes.
        body: takes the aggregate, and the values that ``pick`` takes out of that.
    """

    event_class: type[DomainEvent]
    read: Callable[[str], Any]
    pick: Callable[[Any], tuple[Any, ...]]
    body: Callable[..., Any]


class Replay:
    """One replay of one stream, in bounded memory: call :meth:`run` once.

    Attributes:
        state: the aggregate as far as it was replayed; None before that, or once discarded.
    """

    def __init__(self, reader: ItemReader, mapper: SequencedItemMapper) -> None:
        self.state: Any = None
        self._keys: KeysInUse = {}
        self._reader = reader
        self._mapper = mapper
        made_by = type(mapper).events_from_items
        self._maps_plainly = made_by is SequencedItemMapper.events_from_items
        self._opened: Callable[[Iterator[Item]], Iterator[Item]] = iter
        self._event_of: Callable[[Item], DomainEvent] = self._mapped
        if self._maps_plainly:
            self._opened = partial(mapper.opened, keys=self._keys)
            self._event_of = mapper.event_from_opened
        self._width = 4 + len(mapper.extra_fields)
        self._steps: dict[object, Step | None] = {}
        self._steps_of: type | None = None
        self._last: Item = ()
        self._objects = 0  # so many events needed one

    def run(self, originator_id: object, version: int | None = None) -> Any:
        """Replays the stream, and returns the state.

        Args:
            version: after so many events; all of them by default.

        Raises:
            RepositoryKeyError: it has no events.
            VersionNotFound: it has fewer events than that.
            DataIntegrityError, TopicResolutionError: it cannot be replayed.
            PersistenceError: it could not be read.
        """
        until = Bounds(lt=version)
        items = self._reader.get_states(originator_id, until, self._needs_no_objects)
        self._apply_all(originator_id, items, until)
        if not self._last:
            raise RepositoryKeyError(originator_id)
        if version is not None and self._last[1] != version - 1:
            raise VersionNotFound(originator_id, f"at version {version}", self._last[1] + 1)
        return self.state

    def resume(self, state: DomainEntity, last: Item, items: Iterator[Item]) -> Any:
        """Goes on from a state instead of :meth:`run`, and returns what becomes of it.

        Args:
            last: the item of the last event that is in the state.
            items: those that follow it, with all fields.

        Raises:
            DataIntegrityError, TopicResolutionError: it cannot be replayed.
            PersistenceError: it could not be read.
        """
        self.state, self._last = state, last
        self._apply_all(last[0], items, EVERYTHING)
        return self.state

    @property
    def version(self) -> int:
        """How many events are in the state by now."""
        return int(self._last[1]) + 1 if self._last else 0

    @property
    def has_personal_data(self) -> bool:
        """Whether there was some in the events, even if it is not marked any more, or forgotten:
        then the state is not to be kept, since it could not be erased.
        """
        return bool(self._keys)

    def _apply_all(self, originator_id: object, items: Iterator[Item], until: Bounds) -> None:
        items = self._opened(items)
        while (item := self._apply_states(items)) is not None:
            if len(item) < self._width:  # for an object, the other columns are needed too
                later = until._replace(gt=self._last[1])
                items = self._opened(self._reader.get_items(originator_id, later))
            else:
                self._apply(self._event_of(item), item)

    def apply_event(self, item: Item) -> None:
        """Applies the event that was stored as ``item``, by an object of its own.

        Raises:
            DataIntegrityError, TopicResolutionError: it cannot be applied.
        """
        self._apply(self._mapper.event_from_item(item), item)

    def _apply(self, event: DomainEvent, item: Item) -> None:
        if not self._last:
            _find_class(event, self._mapper.topic_prefixes)
        try:
            self.state = event.mutate(self.state)
        except Exception as error:
            raise _cannot_replay(item, type(event), error) from error
        _check_applied(item, event, self.state)
        self._last = item
        self._objects += 1

    def _mapped(self, item: Item) -> DomainEvent:
        """Has the mapper read an item in its own way, and looks whether it has personal data."""
        if self._mapper.erasure is not None:
            next(self._mapper.opened((item,), self._keys))
        return self._mapper.event_from_item(item)

    def _needs_no_objects(self) -> bool:
        return self._objects == 1  # that of the first event

    def _apply_states(self, items: Iterator[Item]) -> Item | None:
        """Applies items up to one that needs an object, and returns this one."""
        state, last = self.state, self._last
        if not isinstance(state, DomainEntity):
            return next(items, None)
        of_class, originator_id = type(state), state._es_id
        if of_class is not self._steps_of:
            self._steps, self._steps_of = {}, of_class
        is_timestamped = state._es_timestamped
        try:
            for item in items:
                try:
                    step = self._steps[item[2]]
                except (KeyError, TypeError):
                    step = self._step_for(item)
                if (
                    step is None
                    or item[1] != state._es_version
                    or item[0] is not originator_id
                    or type(state) is not of_class  # as a body can make it
                ):
                    return item
                event_class, read, pick, body = step
                try:
                    values = read(item[3])
                except DecodeError:
                    return item
                state._es_applying = event_class
                try:
                    body(state, *pick(values))
                except Exception as error:
                    raise _cannot_replay(item, event_class, error) from error
                state._es_version += 1
                if is_timestamped:
                    state._es_last_modified = values.timestamp
                last = item
        finally:
            state._es_applying = None
            self._last = last
        return None

    def _step_for(self, item: Item) -> Step | None:
        event_class, read = self._mapper.reader_for(item)
        found = body_for(type(self.state), event_class)
        step = None
        if found is not None and read is not None and self._maps_plainly:
            body, parameters = found
            step = Step(event_class, read, attribute_picker(parameters), body)
        self._steps[item[2]] = step
        return step


class Fold:
    """What a function makes of the events of one stream, one after the other: :meth:`run` once.

    Args:
        mutator_func: takes the state, which is None at first, and an event.
    """

    def __init__(
        self, reader: ItemReader, mapper: SequencedItemMapper, mutator_func: MutatorFunc
    ) -> None:
        self.state: Any = None
        self._reader = reader
        self._mapper = mapper
        self._mutator_func = mutator_func

    def run(self, originator_id: object, version: int | None = None) -> Any:
        """See :meth:`Replay.run`."""
        position = -1
        for item in self._reader.get_items(originator_id, Bounds(lt=version)):
            self.apply_event(item)
            position = item[1]
        if position < 0:
            raise RepositoryKeyError(originator_id)
        if version is not None and position != version - 1:
            raise VersionNotFound(originator_id, f"at version {version}", position + 1)
        return self.state

    def apply_event(self, item: Item) -> None:
        """See :meth:`Replay.apply_event`."""
        event = self._mapper.event_from_item(item)
        try:
            self.state = self._mutator_func(self.state, event)
        except Exception as error:
            raise _cannot_replay(item, type(event), error) from error


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
