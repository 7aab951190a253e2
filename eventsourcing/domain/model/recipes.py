"""How entities of one class make events of one class, worked out once. Part of the domain layer.

Nearly all events can be made the quick way: the class of each value alone tells that the value
fits and cannot change. The others are left to the event's constructor, which also says what is
wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from eventsourcing.domain.model.applying import applied_by
from eventsourcing.domain.model.context import current_unit_of_work
from eventsourcing.domain.model.events import (
    DomainEvent,
    event_classes,
    restore,
    schema_of,
)
from eventsourcing.domain.model.eventschema import GIVEN_BY_ENTITY, POSITION_FIELDS, plain_type
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.utils.copying import SCALARS
from eventsourcing.utils.picking import item_picker
from eventsourcing.utils.times import utc_now

if TYPE_CHECKING:
    from eventsourcing.domain.model.domainentity import DomainEntity

__all__ = ["Recipe", "Recipes", "body_for", "event_classes_of", "takes"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How entities of one class make events of one class.

    Attributes:
        event_class: what is made.
        pick: returns the values of the fields in their order, or raises ``KeyError``.
        types: equals the list of these values' classes; None if there is no quick way.
        width: how many they are.
        defaults: what fields have for a value that is not given.
        is_versioned: whether the events have positions.
        is_timestamped: whether the events have times.
        mutate: what the class had when the recipe was made. There is no quick way past another
            one: a wrapper, say, that was put there since.
        change: takes an event and an entity, and changes the entity.
        body: takes an entity and the values, and changes the entity as ``change`` does; None if
            nothing does.
    """

    event_class: type[DomainEvent]
    pick: Callable[[dict[str, Any]], tuple[Any, ...]]
    types: list[Any] | None = None
    width: int = 0
    defaults: dict[str, Any] = field(default_factory=dict)
    is_versioned: bool = False
    is_timestamped: bool = False
    mutate: Callable[[Any, Any], Any] | None = None
    change: Callable[[Any, Any], Any] = lambda event, entity: None
    body: Callable[..., Any] | None = None

    def picked(self, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Returns the values of the fields in their order, if an event with just these values can
        be made the quick way.
        """
        try:
            picked = self.pick(values)
        except KeyError:
            return None
        if (
            [*map(type, picked)] != self.types
            or len(values) != self.width
            or self.event_class.mutate is not self.mutate
        ):
            return None
        return picked

    def event_of(self, entity: DomainEntity, values: dict[str, Any]) -> DomainEvent:
        """Returns the event that the entity makes of values that the recipe takes.

        The dict becomes the event's own.
        """
        values["originator_id"] = entity._es_id
        if self.is_versioned:
            values["originator_version"] = entity._es_version
        if self.is_timestamped:
            values["timestamp"] = utc_now()
        return restore(self.event_class, values, current_unit_of_work())


class Recipes(dict[type[DomainEvent], Recipe]):
    """The recipes of one class of entities, by event class."""

    def __init__(self, entity_class: type[DomainEntity]) -> None:
        super().__init__()
        self._entity_class = entity_class
        self._personal: tuple[int, frozenset[str]] = (-1, frozenset())

    @property
    def personal(self) -> frozenset[str]:
        """The names of the fields of its events that are marked as personal data."""
        then, names = self._personal
        return names if then == event_classes.changes else self._find_personal()

    def _find_personal(self) -> frozenset[str]:
        now, names, has_all = event_classes.changes, set[str](), True
        for event_class in event_classes_of(self._entity_class):
            if takes(self._entity_class, event_class):
                try:
                    names.update(schema_of(event_class).personal)
                except ProgrammingError:  # so there is no such event yet
                    has_all = False
        found = frozenset(names)
        if has_all:
            self._personal = (now, found)
        return found

    def __missing__(self, event_class: type[DomainEvent]) -> Recipe:
        recipe = self[event_class] = _recipe_for(self._entity_class, event_class)
        return recipe


def event_classes_of(entity_class: type[DomainEntity]) -> set[type[DomainEvent]]:
    """Returns the classes of the events of an entity, and of the entities derived from it: those
    that its class has, and those that are derived from its ``Event``.
    """
    members: dict[str, Any] = {}
    for base in reversed(entity_class.__mro__):
        members.update(vars(base))
    nested = {m for m in members.values() if isinstance(m, type) and issubclass(m, DomainEvent)}
    topics = event_classes.topics_of((entity_class.Event,))
    return nested.union(map(event_classes.resolve, topics))


def takes(entity_class: type[DomainEntity], event_class: type[DomainEvent]) -> bool:
    """Tells whether an event of this class can be one of the entity: it is no other entity's."""
    of_class = getattr(event_class, "_of_class", None)
    return of_class is None or issubclass(entity_class, of_class)


def _recipe_for(entity_class: type[DomainEntity], event_class: Any) -> Recipe:
    by = applied_by(getattr(event_class, "mutate", None))
    if by is None or not _has_quick_way(entity_class, event_class):
        return Recipe(event_class, item_picker(()))
    fields = schema_of(event_class).fields
    names = tuple(name for name in fields if name not in GIVEN_BY_ENTITY)
    # An entity is not changed by a second Created: that refuses to make it once more.
    begins = event_class._begins
    return Recipe(
        event_class,
        pick=item_picker(names),
        width=len(names),
        types=[_one_or_several(fields[name].annotation) for name in names],
        defaults={name: fields[name].default for name in names if fields[name].has_constant},
        is_versioned="originator_version" in fields,
        is_timestamped="timestamp" in fields,
        mutate=by.mutate,
        change=event_class._originator if begins else by.change,
        body=by.body if by.parameters == names and not begins else None,
    )


def body_for(
    entity_class: type[DomainEntity], event_class: Any
) -> tuple[Callable[..., Any], tuple[str, ...]] | None:
    """Returns what changes an entity by the values of an event, without the event: the body that is
    called with the entity and with values, and the names of these. None if nothing does.
    """
    by = applied_by(event_class.mutate)
    of_class = getattr(event_class, "_of_class", None)
    if (
        by is None
        or by.body is None
        or event_class._begins  # an entity is not begun twice
        or of_class is None
        or not issubclass(entity_class, of_class)
        or not entity_class._es_versioned
        or (entity_class._es_timestamped and not event_class._has_timestamp)
        or not schema_of(event_class).fields.keys() - POSITION_FIELDS >= {*by.parameters}
    ):
        return None
    return by.body, by.parameters


class _OneOf(frozenset[Any]):
    """Equals each of these classes."""

    def __eq__(self, other: object) -> bool:
        return other in self

    __hash__ = frozenset.__hash__


def _one_or_several(annotation: Any) -> Any:
    if annotation is Any:
        return _OneOf(SCALARS)
    if get_origin(annotation) in (Union, UnionType):
        return _OneOf(get_args(annotation))
    return plain_type(annotation)


def _has_quick_way(entity_class: type[DomainEntity], event_class: Any) -> bool:
    of_class = getattr(event_class, "_of_class", None)
    if of_class is None or not issubclass(entity_class, of_class):
        return False
    schema = schema_of(event_class)
    given = {"originator_id"}
    if entity_class._es_versioned:
        given.add("originator_version")
    if entity_class._es_timestamped:
        given.add("timestamp")
    if event_class._begins:
        given.add("originator_topic")
    constructors = [base for base in event_class.__mro__[:-1] if "__init__" in vars(base)]
    return (
        not schema.is_open
        and all(schema.fields[name].annotation is Any for name in schema.copied)
        and len(constructors) == 1
        and GIVEN_BY_ENTITY & schema.fields.keys() == given
    )
