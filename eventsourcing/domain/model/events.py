"""Domain events, and the bus on which they are published.

A domain event is something that happened: immutable, compared by type and attributes. It is
free-form (``DomainEvent(a=1)``) or typed: a subclass with annotated fields has a constructor
that names what is missing, unknown or wrongly typed, and that type checkers understand::

    class Deposited(DomainEvent):
        amount: Decimal
        note: str = ""
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform
from uuid import UUID

from eventsourcing.domain.model import stores
from eventsourcing.domain.model.bus import (
    assert_event_handlers_empty,
    notify,
    subscribe,
    unsubscribe,
)
from eventsourcing.domain.model.context import EventContext, current_unit_of_work, new_event_ids
from eventsourcing.domain.model.eventschema import EventSchema, check_marks
from eventsourcing.domain.model.personal import shown_as
from eventsourcing.domain.model.upcasting import Upcaster, checked_upcasters
from eventsourcing.exceptions import NoApplicationError, ProgrammingError
from eventsourcing.utils.times import utc_now
from eventsourcing.utils.topic import TopicRegistry, name_class

__all__ = [
    "AttributeChanged",
    "Created",
    "Discarded",
    "DomainEvent",
    "EventWithOriginatorID",
    "EventWithOriginatorVersion",
    "EventWithTimestamp",
    "Logged",
    "assert_event_handlers_empty",
    "event_classes",
    "notify",
    "publish",
    "subscribe",
    "unsubscribe",
]

event_classes: TopicRegistry[DomainEvent] = TopicRegistry("domain event")
"""Every event class of this process, by topic."""


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,)
)
class DomainEvent:
    """Something that happened.

    Subclasses may be given a stable topic (``class Deposited(DomainEvent, topic="deposited")``),
    by which stored rows name them whatever becomes of their module; ``aliases``, the topics that
    older rows have for them; and ``upcasters``, which read the rows of older versions (see
    :mod:`eventsourcing.domain.model.upcasting`).

    Raises:
        EventFieldError: a field is missing, unknown, or of a wrong type.
        ProgrammingError: the class's annotations cannot be used, which is told when the class is
            defined or when its first event is made; a topic or an alias is that of
            another class; an upcaster is missing.
    """

    __slots__ = ("__dict__", "__weakref__", "_context")

    __topic__: ClassVar[str]
    __upcasters__: ClassVar[tuple[Upcaster, ...]]
    _free_form: ClassVar[bool] = True
    _has_timestamp: ClassVar[bool] = False
    _es_schema: ClassVar[EventSchema | None] = None

    if TYPE_CHECKING:
        _context: tuple[str | None, ...] | None

    def __init_subclass__(
        cls,
        topic: str | None = None,
        aliases: Iterable[str] = (),
        upcasters: Mapping[int, Upcaster] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        check_marks(cls)
        name_class(cls, topic, aliases)
        if upcasters is not None:
            cls.__upcasters__ = checked_upcasters(cls.__qualname__, upcasters)
        cls._es_schema = None
        event_classes.register(cls)

    def __init__(self, /, **attributes: Any) -> None:
        _set_attributes(self, schema_of(type(self)).attributes(attributes))
        _set_context(self, current_unit_of_work())

    @property
    def context(self) -> EventContext:
        """The event's own id, and the correlation and causation ids stored with it."""
        context: Any = self._context
        if type(context) is tuple:  # the three columns of the row that it was made of
            _set_context(self, _new_tuple(EventContext, context))
        elif type(context) is not EventContext:
            give_ids([self])
        return self._context  # type: ignore[return-value]

    def mutate(self, obj: Any, /) -> Any:
        """Changes ``obj`` by what happened. Override it; there is nothing to call or return."""
        return obj

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__qualname__} is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__qualname__} is immutable: cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.__dict__.items())))

    def __repr__(self) -> str:
        state = self.__dict__  # a stored event has it in another order than a new one
        schema = schema_of(type(self))
        shown = {name: state[name] for name in (*schema.fields, *state) if name in state}
        return shown_as(type(self), shown, schema.personal)

    def __getstate__(self) -> tuple[dict[str, Any], EventContext]:
        return self.__dict__, self.context

    def __setstate__(self, state: tuple[dict[str, Any], EventContext]) -> None:
        _set_attributes(self, dict(state[0]))
        _set_context(self, state[1])


event_classes.register(DomainEvent)

# An event refuses to be set, and these are quicker than object.__setattr__.
_new = object.__new__
_new_tuple = tuple.__new__
_WITH_ID = (EventContext, tuple)
_NO_UNIT = (None, None)
_set_attributes = vars(DomainEvent)["__dict__"].__set__
_set_context = vars(DomainEvent)["_context"].__set__

E = TypeVar("E", bound=DomainEvent)


def schema_of(cls: type[DomainEvent]) -> EventSchema:
    """Returns the fields of ``cls``, collected when they are first asked for.

    Not at definition: annotations may name classes that the module defines further down.
    """
    schema = cls._es_schema
    if schema is None:
        schema = cls._es_schema = EventSchema(cls)
    return schema


def restore(cls: type[E], attributes: dict[str, Any], context: Sequence[str | None] | None) -> E:
    """Returns an event with these attributes: neither checked nor copied.

    Args:
        attributes: becomes the event's own.
        context: event id, correlation id and causation id; or a unit of work, or None.
    """
    event: E = _new(cls)
    _set_attributes(event, attributes)
    _set_context(event, context)
    return event


def give_ids(events: Iterable[DomainEvent]) -> None:
    """Gives an id to each event that has none yet, which is quicker than one after the other."""
    new = []
    for event in events:
        if type(event._context) not in _WITH_ID:
            new.append(event)
    for event, event_id in zip(new, new_event_ids(len(new)), strict=True):
        unit = event._context or _NO_UNIT  # of work, in which it was born
        _set_context(event, _new_tuple(EventContext, (event_id, *unit)))


def twin_of(event: E) -> E:
    """Returns ``event``, or where it holds mutable values a copy with values of its own."""
    schema = schema_of(type(event))
    if schema.is_immutable:
        return event
    values = event.__dict__
    copy = schema.copy_of(values)
    if all(map(is_, copy.values(), values.values())):  # as frozen dataclasses mostly do
        return event
    return restore(type(event), copy, event.context)


class EventWithOriginatorID(DomainEvent):
    """An event of the entity ``originator_id``."""

    _free_form = True
    originator_id: UUID | str | int
    if TYPE_CHECKING:

        def __init__(self, **attributes: Any) -> None: ...


class EventWithOriginatorVersion(DomainEvent):
    """An event with a position in its stream: 0 for the first one."""

    _free_form = True
    originator_version: int
    if TYPE_CHECKING:

        def __init__(self, **attributes: Any) -> None: ...


class EventWithTimestamp(DomainEvent):
    """An event that knows when it happened (aware, UTC)."""

    _free_form = True
    _has_timestamp = True
    timestamp: datetime = dataclasses.field(default_factory=utc_now)
    if TYPE_CHECKING:

        def __init__(self, **attributes: Any) -> None: ...


class Created(DomainEvent):
    """Something came into being."""


class AttributeChanged(DomainEvent):
    """An attribute was given a new value."""

    name: str
    value: Any


class Discarded(DomainEvent):
    """Something came to its end."""


class Logged(EventWithTimestamp):
    """Something worth noting happened, in no entity's history."""

    if TYPE_CHECKING:

        def __init__(self, **attributes: Any) -> None: ...


def as_events(given: DomainEvent | Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    """Returns one event, or several, as a tuple.

    Raises:
        ProgrammingError: one of them is no event.
    """
    batch = (given,) if isinstance(given, DomainEvent) else tuple(given)
    for event in batch:
        if not isinstance(event, DomainEvent):
            raise ProgrammingError(f"a {type(event).__qualname__} is no domain event")
    return batch


def as_event_classes(event_types: Any) -> tuple[type[DomainEvent], ...]:
    """Returns one class of events, or several, as a tuple.

    Raises:
        ProgrammingError: one of them is no class of events.
    """
    classes: tuple[Any, ...] = (event_types,)
    if isinstance(event_types, Iterable) and not isinstance(event_types, type):
        classes = tuple(event_types)
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, DomainEvent)):
            raise ProgrammingError(f"event_types= takes classes of events, not {cls!r}")
    return classes


def publish(events: DomainEvent | Iterable[DomainEvent]) -> None:
    """Publishes one event, or several in their order.

    Those that an open application stores are stored first, in one transaction; if that fails,
    nobody sees any of them. Then every subscriber is called for each event.

    Raises:
        SubscriberError: subscribers failed; all were called, and what is to be stored is.
        AmbiguousApplicationError: several open applications could store the events.
        NoApplicationError: several would have to share them.
        ConcurrencyError, PersistenceError, EncodeError: as raised by storing.
        ProgrammingError: one of them is no event.
    """
    batch = as_events(events)
    stored = [e for e in batch if any(store.accepts(e) for store in stores.open_stores())]
    store = stores.choose(stored) if stored else None
    if store is None:
        if stored:
            raise NoApplicationError("no single open application stores all of these events")
        notify(batch)
    else:
        store.store(stored)
        store.when_committed(lambda: notify(batch))
