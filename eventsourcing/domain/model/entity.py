"""Entities: objects whose state is the sum of their events.

Every entity class has its own nested ``Event``, ``Created``, ``AttributeChanged`` and
``Discarded``; a subclass that does not write them gets them made::

    class Person(TimestampedVersionedEntity):
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name = name

    Person.Created      # a typed event class, with the field ``name``

The entities of this module publish each event at once. An
:class:`~eventsourcing.domain.model.aggregate.AggregateRoot` keeps them until it is saved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

from eventsourcing.domain.model import events, stores
from eventsourcing.domain.model.entityevents import applied, define_events, new_event
from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithOriginatorID,
    EventWithOriginatorVersion,
    EventWithTimestamp,
    quick_event,
    twin_of,
)
from eventsourcing.domain.model.saving import publish_pending
from eventsourcing.exceptions import (
    EntityIsDiscarded,
    EventFieldError,
    MismatchedEventError,
    OriginatorIDError,
    OriginatorVersionError,
    ProgrammingError,
)
from eventsourcing.utils.ids import check_id
from eventsourcing.utils.times import utc_now
from eventsourcing.utils.topic import TopicRegistry, get_topic

__all__ = [
    "DomainEntity",
    "TimestampedEntity",
    "TimestampedVersionedEntity",
    "VersionedEntity",
    "entity_classes",
]

entity_classes: TopicRegistry[DomainEntity] = TopicRegistry("entity")
"""Every entity class of this process, by topic."""


class DomainEntity:
    """An entity with an id. Its events carry the id, and no position."""

    __topic__: ClassVar[str]
    _init_parameters: ClassVar[tuple[str, ...]] = ()

    _id: UUID | str | int
    _home: stores.Store | None = None
    _pending: list[DomainEvent]
    _version: int = 0
    _discarded: bool = False
    _applying: DomainEvent | None = None

    class Event(EventWithOriginatorID):
        """Something that happened to the entity."""

        _free_form = True
        _begins: ClassVar[bool] = False
        _of_class: ClassVar[type[DomainEntity] | None] = None

        def __init_subclass__(cls, topic: str | None = None, **kwargs: Any) -> None:
            super().__init_subclass__(topic=topic, **kwargs)
            if not hasattr(cls.mutate, "is_applied"):  # its own, or that of a mixin
                cls.mutate = applied(cls.mutate)  # type: ignore[method-assign]

        def _originator(self, obj: DomainEntity | None) -> DomainEntity:
            raise OriginatorVersionError(
                f"a {type(self).__qualname__} cannot be the first event of an entity, nor follow"
                " its end"
            )

        @applied
        def mutate(self, obj: Any, /) -> Any:
            """Changes the entity. Override it; there is nothing to call or return.

            Args:
                obj: the entity; None for a ``Created``, which makes it.

            Returns:
                The entity, or None once it is discarded.

            Raises:
                OriginatorIDError, OriginatorVersionError: the event does not follow the
                    entity, which is unchanged.
                EntityIsDiscarded: the entity takes no more events.
            """

    class Created(Event, events.Created):
        """The entity came into being. Its further fields are the parameters of the entity's
        constructor.
        """

        _begins = True
        originator_topic: str

        def _originator(self, obj: DomainEntity | None) -> DomainEntity:
            if obj is not None:
                raise OriginatorVersionError(f"{type(obj).__qualname__} {obj._id!r} exists already")
            cls = self._of_class
            if cls is None or get_topic(cls) != self.originator_topic:
                cls = entity_classes.resolve(self.originator_topic)
            obj = cls.__new__(cls)
            obj._begin(self)
            obj._check_follows(self)
            obj._applying = self
            try:
                state = self.__dict__
                names = cls._init_parameters
                cls.__init__(obj, **{name: state[name] for name in names if name in state})
            finally:
                obj._applying = None
            return obj

    class AttributeChanged(Event, events.AttributeChanged):
        """An attribute of the entity was given a new value."""

        def mutate(self, obj: Any, /) -> Any:
            """Sets the attribute."""
            obj._set_attribute(self.name, self.value)

    class Discarded(Event, events.Discarded):
        """The entity came to its end."""

        def mutate(self, obj: Any, /) -> Any:
            """Has the entity refuse all further events."""
            obj._discarded = True

    def __init_subclass__(cls, topic: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.__topic__ = topic
        entity_classes.register(cls)
        define_events(cls)

    def __init__(self, **kwargs: Any) -> None:
        if "_id" not in self.__dict__:
            name = type(self).__qualname__
            raise ProgrammingError(f"make it with {name}.create(...), not with {name}(...)")
        if kwargs:
            raise EventFieldError(
                f"{type(self).__qualname__}: unknown field {next(iter(kwargs))!r}"
            )

    @classmethod
    def create(cls, id: UUID | str | int | None = None, **kwargs: Any) -> Self:
        """Creates a new entity.

        Args:
            id: a UUID, a printable string of 1 to 255 characters without surrounding white
                space, or a 64-bit int; a new random UUID by default.
            kwargs: the fields of the class's ``Created`` event, which are the parameters of
                its constructor.

        Raises:
            InvalidOriginatorID: the id is none of these.
            EventFieldError: a field is missing, unknown, or of a wrong type.
        """
        originator_id = uuid4() if id is None else check_id(id)
        position = cls._place(originator_id, 0)
        position["originator_topic"] = get_topic(cls)
        event = quick_event(cls.Created, position, kwargs)
        if event is None:
            event = new_event(cls.Created, position, kwargs)
        obj: Self = twin_of(event).mutate(None)
        obj._home = stores.innermost([event])
        obj._emit(event)
        return obj

    @property
    def id(self) -> UUID | str | int:
        """The id that was given or generated when the entity was created."""
        return self._id

    def change_attribute(self, name: str, value: Any) -> None:
        """Sets an attribute by an ``AttributeChanged`` event."""
        self._trigger(self.AttributeChanged, name=name, value=value)

    def discard(self) -> None:
        """Ends the entity's life: it takes no further events, and no repository has it."""
        self._trigger(self.Discarded)

    def _trigger(self, event_class: type[DomainEvent], /, **kwargs: Any) -> None:
        """Makes an event, changes this entity by it, and emits it. For command methods.

        Args:
            event_class: what happened.
            kwargs: its fields, without those that say where in the stream it stands.

        Raises:
            EventFieldError: a field is missing, unknown, or of a wrong type.
            EntityIsDiscarded: the entity has been discarded.
            ProgrammingError: called while an event is being applied, or with a class that is
                not one of an entity's events.
        """
        self._trigger_event(event_class, kwargs)

    def _trigger_event(self, event_class: type[DomainEvent], values: dict[str, Any]) -> None:
        if self._discarded:
            raise _is_discarded(self)
        if self._applying is not None:
            raise ProgrammingError(
                f"{type(self._applying).__qualname__} is being applied: what an event does must"
                " not trigger another event, or each replay would trigger it again"
            )
        position = self._place(self._id, self._version)
        event = quick_event(event_class, position, values)
        if event is None:
            event = new_event(event_class, position, values)
            twin_of(event).mutate(self)
        else:
            event.mutate(self)
        self._emit(event)

    # -- what versions and time stamps add to

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        """Returns the fields of an event that say where and when it happens."""
        return {"originator_id": originator_id}

    def _begin(self, event: Any) -> None:
        self._id = event.originator_id
        self._pending = []

    def _check_follows(self, event: Any) -> None:
        if self._discarded:
            raise _is_discarded(self)
        if event.originator_id is not self._id and event.originator_id != self._id:
            raise OriginatorIDError(
                f"{type(event).__qualname__} is of {event.originator_id!r}, not of {self._id!r}"
            )
        owner = event._of_class
        if owner is not None and not isinstance(self, owner):
            raise MismatchedEventError(
                f"{type(event).__qualname__} is an event of {owner.__qualname__}, and {self._id!r}"
                f" is a {type(self).__qualname__}"
            )

    def _count(self, event: Any) -> None:
        pass

    def _emit(self, event: DomainEvent) -> None:
        self._pending.append(event)
        publish_pending([self], stores.choose(self._pending, self._home))

    def _set_attribute(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None)
        if not name.isidentifier() or name.startswith("_") or callable(found):
            raise ProgrammingError(f"{name!r} is no attribute that an event can change")
        if isinstance(found, property) and found.fset is None:
            raise ProgrammingError(f"{name!r} of {type(self).__qualname__} is read-only")
        setattr(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has pending events of its own, and belongs to no application yet. To save both
        # stores each event once: an event is known by its id.
        return {**self.__dict__, "_pending": list(self._pending), "_home": None}

    def __repr__(self) -> str:
        state = {"id": self._id}
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                state[name] = value
        return f"{type(self).__qualname__}({', '.join(f'{k}={v!r}' for k, v in state.items())})"


entity_classes.register(DomainEntity)


def _is_discarded(entity: DomainEntity) -> EntityIsDiscarded:
    return EntityIsDiscarded(f"{type(entity).__qualname__} {entity._id!r} has been discarded")


class VersionedEntity(DomainEntity):
    """An entity whose events are numbered: 0 for the first one."""

    class Event(EventWithOriginatorVersion, DomainEntity.Event):
        """Something that happened to the entity, with its position."""

        _free_form = True

    class Created(Event, DomainEntity.Created): ...

    class AttributeChanged(Event, DomainEntity.AttributeChanged): ...

    class Discarded(Event, DomainEntity.Discarded): ...

    @property
    def version(self) -> int:
        """How many events were applied, which is the position that the next one takes."""
        return self._version

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {"originator_id": originator_id, "originator_version": version}

    def _check_follows(self, event: Any) -> None:
        if (
            event.originator_version == self._version
            and event.originator_id is self._id
            and event._of_class is type(self)
            and not self._discarded
        ):
            return  # nearly always
        super()._check_follows(event)
        if event.originator_version != self._version:
            raise OriginatorVersionError(
                f"{type(event).__qualname__} has position {event.originator_version}, but"
                f" {type(self).__qualname__} {self._id!r} takes {self._version} next"
            )

    def _count(self, event: Any) -> None:
        self._version += 1


class TimestampedEntity(DomainEntity):
    """An entity that knows when its first and its last event happened."""

    _created_on: datetime
    _last_modified: datetime

    class Event(EventWithTimestamp, DomainEntity.Event):
        """Something that happened to the entity, with its time."""

        _free_form = True

    class Created(Event, DomainEntity.Created): ...

    class AttributeChanged(Event, DomainEntity.AttributeChanged): ...

    class Discarded(Event, DomainEntity.Discarded): ...

    @property
    def created_on(self) -> datetime:
        """When the entity was created (aware, UTC)."""
        return self._created_on

    @property
    def last_modified(self) -> datetime:
        """When the entity's last event happened (aware, UTC)."""
        return self._last_modified

    def _begin(self, event: Any) -> None:
        super()._begin(event)
        self._created_on = self._last_modified = event.timestamp

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {"originator_id": originator_id, "timestamp": utc_now()}

    def _count(self, event: Any) -> None:
        self._last_modified = event.timestamp


class TimestampedVersionedEntity(TimestampedEntity, VersionedEntity):
    """An entity whose events have both a position and a time."""

    class Event(TimestampedEntity.Event, VersionedEntity.Event):
        """Something that happened to the entity, with its position and time."""

        _free_form = True

    class Created(Event, TimestampedEntity.Created, VersionedEntity.Created): ...

    class AttributeChanged(
        Event, TimestampedEntity.AttributeChanged, VersionedEntity.AttributeChanged
    ):
        """An attribute of the entity was given a new value."""

    class Discarded(Event, TimestampedEntity.Discarded, VersionedEntity.Discarded): ...

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {
            "originator_id": originator_id,
            "originator_version": version,
            "timestamp": utc_now(),
        }

    def _count(self, event: Any) -> None:
        self._version += 1
        self._last_modified = event.timestamp
