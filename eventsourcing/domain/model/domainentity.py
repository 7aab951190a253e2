"""The base of all entities. Domain layer; :mod:`.entity` has what applications derive from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

from eventsourcing.domain.model import events, stores
from eventsourcing.domain.model.applying import applied, applied_by, name_of
from eventsourcing.domain.model.context import current_unit_of_work
from eventsourcing.domain.model.entityevents import define_events, new_event
from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithOriginatorID,
    restore,
    schema_of,
    twin_of,
)
from eventsourcing.domain.model.personal import shown_as
from eventsourcing.domain.model.recipes import Recipe, Recipes
from eventsourcing.domain.model.saving import publish_pending
from eventsourcing.domain.model.upcasting import Upcaster
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
from eventsourcing.utils.topic import TopicRegistry, get_topic, name_class

__all__ = ["DomainEntity", "entity_classes"]

entity_classes: TopicRegistry[DomainEntity] = TopicRegistry("entity")
"""Every entity class of this process, by topic."""


class DomainEntity:
    """An entity with an id. Its events carry the id, and no position.

    Subclasses may be given a stable ``topic``, the ``aliases`` that older rows have for them, and
    the ``upcasters`` of the ``Created`` that is made of their constructor: as event classes are.

    Attributes:
        schema_version: of what the class makes of its events. To be raised when its attributes
            mean something else than before.
    """

    schema_version: ClassVar[int] = 1

    __topic__: ClassVar[str]
    _init_parameters: ClassVar[tuple[str, ...]] = ()
    _es_topic: ClassVar[str]
    _es_recipes: ClassVar[Recipes]
    _es_versioned: ClassVar[bool] = False  # its events have positions
    _es_timestamped: ClassVar[bool] = False  # its events have times

    _es_id: UUID | str | int
    _es_created_on: datetime
    _es_last_modified: datetime
    _es_home: stores.Store | None
    _es_pending: list[DomainEvent]
    _es_version: int
    _es_stored: int | None  # at which version the store has it, if that is known
    _es_discarded: bool
    _es_applying: DomainEvent | type[DomainEvent] | None  # its class: replayed without an object

    class Event(EventWithOriginatorID):
        """Something that happened to the entity."""

        _free_form = True
        _begins: ClassVar[bool] = False
        _of_class: ClassVar[type[DomainEntity] | None] = None

        def __init_subclass__(
            cls,
            topic: str | None = None,
            aliases: Iterable[str] = (),
            upcasters: Mapping[int, Upcaster] | None = None,
            **kwargs: Any,
        ) -> None:
            super().__init_subclass__(topic, aliases, upcasters, **kwargs)
            if applied_by(cls.mutate) is None:  # its own, that of a mixin, or a wrapper
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
                raise OriginatorVersionError(
                    f"{type(obj).__qualname__} {obj._es_id!r} exists already"
                )
            cls = self._of_class
            if cls is None or cls._es_topic != self.originator_topic:
                cls = entity_classes.resolve(self.originator_topic)
            obj = cls.__new__(cls)
            obj._begin(self)
            obj._check_follows(self)
            obj._es_applying = self
            try:
                state = self.__dict__
                names = cls._init_parameters
                cls.__init__(obj, **{name: state[name] for name in names if name in state})
            finally:
                obj._es_applying = None
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
            obj._es_discarded = True

    def __init_subclass__(
        cls,
        topic: str | None = None,
        aliases: Iterable[str] = (),
        upcasters: Mapping[int, Upcaster] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        name_class(cls, topic, aliases)
        entity_classes.register(cls)
        cls._es_topic = get_topic(cls)
        define_events(cls, upcasters)
        cls._es_recipes = Recipes(cls)

    def __init__(self, **kwargs: Any) -> None:
        try:  # without a __getattr__ of the user's, and quicker later on than vars() would be
            object.__getattribute__(self, "_es_id")
        except AttributeError:
            name = type(self).__qualname__
            raise ProgrammingError(
                f"make it with {name}.create(...), not with {name}(...)"
            ) from None
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
        position = cls._position(originator_id, 0)
        position["originator_topic"] = cls._es_topic
        recipe = cls._es_recipes[cls.Created]
        values = recipe.defaults | kwargs
        if recipe.picked(values) is not None:
            values.update(position)
            event = restore(cls.Created, values, current_unit_of_work())
        else:
            event = new_event(cls.Created, position, kwargs)
        obj: Self = twin_of(event).mutate(None)
        obj._es_home, obj._es_stored = stores.innermost([event]), 0
        obj._emit(event)
        return obj

    @property
    def id(self) -> Any:
        """The id that was given, or the UUID that was generated, when the entity was created."""
        return self._es_id

    def change_attribute(self, name: str, value: Any) -> None:
        """Sets an attribute by an ``AttributeChanged`` event.

        Raises:
            ProgrammingError: it is no attribute that can be set; or events of the entity have a
                field of that name that is marked as personal data, which this event has not.
        """
        if personal := self._es_recipes.personal:
            self._check_may_be_set(name, personal)
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
        if not isinstance(event_class, type):
            raise ProgrammingError(f"{event_class!r} is no class of events")
        self._trigger_event(event_class, kwargs)

    def _trigger_event(self, event_class: type[DomainEvent], values: dict[str, Any]) -> None:
        if self._es_applying is not None or self._es_discarded:
            raise _refusal(self)
        recipe = self._es_recipes[event_class]
        picked = recipe.picked(values)
        if picked is None:
            self._trigger_otherwise(recipe, values)
            return
        happened = self._es_applying = recipe.event_of(self, values)
        try:
            if recipe.body is None:
                recipe.change(happened, self)
            else:
                recipe.body(self, *picked)
        finally:
            self._es_applying = None
        self._es_version += 1
        if recipe.is_timestamped:
            self._es_last_modified = values["timestamp"]
        self._emit(happened)

    def _trigger_otherwise(self, recipe: Recipe, values: dict[str, Any]) -> None:
        """Triggers an event with its defaults, or not the quick way, or says what is wrong."""
        if recipe.defaults.keys() - values.keys():
            self._trigger_event(recipe.event_class, {**recipe.defaults, **values})
            return
        position = self._position(self._es_id, self._es_version)
        event = new_event(recipe.event_class, position, values)
        twin_of(event).mutate(self)
        self._emit(event)

    @classmethod
    def _position(cls, originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        """Returns the fields of an event that say where and when it happens."""
        position: dict[str, Any] = {"originator_id": originator_id}
        if cls._es_versioned:
            position["originator_version"] = version
        if cls._es_timestamped:
            position["timestamp"] = utc_now()
        return position

    def _begin(self, event: Any) -> None:
        self._es_id = event.originator_id
        self._es_version = 0
        self._es_pending = []
        self._es_stored = self._es_home = self._es_applying = None
        self._es_discarded = False
        if self._es_timestamped:
            self._es_created_on = self._es_last_modified = event.timestamp

    def _check_follows(self, event: Any) -> None:
        if self._es_discarded:
            raise _refusal(self)
        if event.originator_id is not self._es_id and event.originator_id != self._es_id:
            raise OriginatorIDError(
                f"{type(event).__qualname__} is of {event.originator_id!r}, not of {self._es_id!r}"
            )
        owner = event._of_class
        if owner is not None and not isinstance(self, owner):
            raise MismatchedEventError(
                f"{type(event).__qualname__} is an event of {owner.__qualname__}, and"
                f" {self._es_id!r} is a {type(self).__qualname__}"
            )
        if self._es_versioned and event.originator_version != self._es_version:
            raise OriginatorVersionError(
                f"{type(event).__qualname__} has position {event.originator_version}, but"
                f" {type(self).__qualname__} {self._es_id!r} takes {self._es_version} next"
            )

    def _loaded(self, home: stores.Store | None) -> None:
        """Is told by a repository where the entity comes from."""
        self._es_home, self._es_stored = home, self._es_version

    def _emit(self, event: DomainEvent) -> None:
        self._es_pending.append(event)
        publish_pending([self], stores.choose(self._es_pending, self._es_home))

    def _set_attribute(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None)
        if not name.isidentifier() or name.startswith("_") or callable(found):
            raise ProgrammingError(f"{name!r} is no attribute that an event can change")
        if isinstance(found, property) and found.fset is None:
            raise ProgrammingError(f"{name!r} of {type(self).__qualname__} is read-only")
        setattr(self, name, value)

    def _check_may_be_set(self, name: str, personal: frozenset[str]) -> None:
        event_class = self.AttributeChanged
        is_personal = isinstance(name, str) and name in personal
        if is_personal and "value" not in schema_of(event_class).personal:
            raise ProgrammingError(
                f"{name!r} of {type(self).__qualname__} is personal data in its events, and"
                f" {event_class.__qualname__} would store it in the clear, where it is never"
                " erased: write an event with a marked field for it instead"
            )

    def __getstate__(self) -> dict[str, Any]:
        # A copy has pending events of its own, and belongs to no application yet. To save both
        # stores each event once: an event is known by its id.
        return {**self.__dict__, "_es_pending": list(self._es_pending), "_es_home": None}

    def __repr__(self) -> str:
        state = {"id": self._es_id}
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                state[name] = value
        return shown_as(type(self), state, self._es_recipes.personal)


entity_classes.register(DomainEntity)
DomainEntity._es_topic = get_topic(DomainEntity)
DomainEntity._es_recipes = Recipes(DomainEntity)


def _refusal(entity: DomainEntity) -> EntityIsDiscarded | ProgrammingError:
    if entity._es_discarded:
        return EntityIsDiscarded(
            f"{type(entity).__qualname__} {entity._es_id!r} has been discarded"
        )
    return ProgrammingError(
        f"{name_of(entity._es_applying)} is being applied: what an event does must"
        " not trigger another event, or each replay would trigger it again"
    )
