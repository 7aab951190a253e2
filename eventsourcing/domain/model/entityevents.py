"""Gives each entity class its own event classes. Part of the domain layer.

Made here: the nested ``Event``, ``Created``, ``AttributeChanged`` and ``Discarded`` that a class
did not write, and the event classes of methods in the short style (``@event("Deposited")``).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any

from eventsourcing.domain.model.applying import applied
from eventsourcing.domain.model.events import DomainEvent, event_classes
from eventsourcing.domain.model.eventschema import parameters_of
from eventsourcing.domain.model.upcasting import Upcaster
from eventsourcing.exceptions import EventFieldError, ProgrammingError
from eventsourcing.utils.picking import item_picker
from eventsourcing.utils.topic import aliases_of, name_class

if TYPE_CHECKING:
    from eventsourcing.domain.model.domainentity import DomainEntity

__all__ = ["command", "define_events", "new_event"]

_STANDARD = ("Event", "Created", "AttributeChanged", "Discarded")


def define_events(cls: type[DomainEntity], upcasters: Mapping[int, Upcaster] | None) -> None:
    """Adds to ``cls`` the nested event classes that it lacks, and names them after it.

    Args:
        upcasters: of the ``Created`` that is made.
    """
    if upcasters is not None and "Created" in vars(cls):
        raise ProgrammingError(
            f"{cls.__qualname__}: upcasters= belongs to its own class Created, which it has written"
        )
    constructors = _constructors(cls)
    cls._init_parameters = tuple(p.name for _, p in parameters_of(*constructors))
    if "id" in cls._init_parameters:
        raise ProgrammingError(
            f"{cls.__qualname__}: create() takes the id, so the constructor cannot have a"
            " parameter 'id'"
        )
    for name in _STANDARD:
        inherited: Any = getattr(cls, name)
        if name not in vars(cls):
            bases = (inherited,) if name == "Event" else (cls.Event, inherited)
            if name == "Created":
                namespace = {"_parameters_of": constructors}
                _derive(cls, name, bases, namespace, {"upcasters": upcasters})
            else:
                _derive(cls, name, bases, {})
    _define_short_style(cls)
    for name, nested in _nested_events(cls):
        if nested.__qualname__ == f"{cls.__qualname__}.{name}" and hasattr(nested, "_of_class"):
            nested._of_class = cls
    _name_after(cls)


def command(
    body: FunctionType, event: str | type[DomainEvent], keywords: Mapping[str, Any]
) -> Callable[..., None]:
    """Makes a command of a method of the short style: it triggers the method's event, and the
    event, whenever it is applied, runs the body.

    Args:
        body: the method as written.
        event: the name of the event class to make, or the class if the user wrote one.
        keywords: of the statement that makes the class.

    Raises:
        ProgrammingError: a parameter cannot be a field (``*args``, ``**kwargs``).
    """
    for parameter in signature(body).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ProgrammingError(
                f"{body.__qualname__}: {parameter} cannot be a field of an event"
            )
    name = event if isinstance(event, str) else ""
    by_position = tuple(p.name for _, p in parameters_of(body) if p.kind is p.POSITIONAL_OR_KEYWORD)

    @wraps(body)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> None:
        if self._es_applying is not None:
            # Called by another event's body, as an overriding method calls super(): part of
            # that event.
            body(self, *args, **kwargs)
            return
        if args:
            kwargs = _named(body, by_position, args, kwargs)
        self._trigger_event(getattr(type(self), name) if name else event, kwargs)

    method._short_style = (body, event, keywords)  # type: ignore[attr-defined]
    return method


def _named(
    body: FunctionType, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Returns all arguments of a method by their names."""
    named = dict(zip(names, args, strict=False))
    named.update(kwargs)
    if len(named) == len(args) + len(kwargs):
        return named
    if len(args) > len(names):
        raise EventFieldError(
            f"{body.__qualname__}() takes {len(names)} positional arguments, not {len(args)}"
        )
    twice = next(name for name in names if name in kwargs)
    raise EventFieldError(f"{body.__qualname__}() got {twice!r} twice")


def new_event(
    event_class: type[DomainEvent], position: dict[str, Any], values: dict[str, Any]
) -> Any:
    """Returns an event of an entity, which fills the fields in ``position`` itself."""
    name = event_class.__qualname__
    if not hasattr(event_class, "_of_class"):
        raise ProgrammingError(f"{name} is no event of an entity: derive it from one's Event")
    if "timestamp" in values:  # may be given: an import, say, knows when it happened
        position.pop("timestamp", None)
    for field in position.keys() & values.keys():
        raise EventFieldError(f"{name}: field {field!r} is filled by the entity itself")
    return event_class(**position, **values)


def _constructors(cls: type) -> tuple[FunctionType, ...]:
    """The constructors that take part: each one that is reached through ``**kwargs``."""
    found = []
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        if isinstance(init, FunctionType):
            found.append(init)
            if all(p.kind is not p.VAR_KEYWORD for p in signature(init).parameters.values()):
                break
    return tuple(found)


def _define_short_style(cls: type[DomainEntity]) -> None:
    """Defines the events of the decorated methods of ``cls``, and of its plain mixins."""
    for base in cls.__mro__:
        for attribute in list(vars(base).values()):
            short_style = _short_style_of(attribute)
            _refuse_wrapped(cls, attribute)
            if short_style is not None and (base is cls or not _has_event(cls, short_style[1])):
                _define_event_of(cls, *short_style)


def _short_style_of(attribute: object) -> Any:
    return getattr(attribute, "__dict__", {}).get("_short_style")


def _refuse_wrapped(cls: type[DomainEntity], attribute: object) -> None:
    wrapped = [getattr(attribute, name, None) for name in ("fget", "fset", "__func__")]
    if isinstance(attribute, property | classmethod | staticmethod) and any(
        map(_short_style_of, wrapped)
    ):
        raise ProgrammingError(
            f"{cls.__qualname__}: @event goes onto a plain method, not onto a"
            f" {type(attribute).__name__}"
        )


def _has_event(cls: type[DomainEntity], event: str | type[DomainEvent]) -> bool:
    return hasattr(cls, event) if isinstance(event, str) else "mutate" in vars(event)


def _define_event_of(
    cls: type[DomainEntity],
    body: FunctionType,
    event: str | type[DomainEvent],
    keywords: Mapping[str, Any],
) -> None:
    mutate = _mutate_of(body)
    if isinstance(event, str):
        inherited = getattr(cls, event, None)
        if event in vars(cls):
            raise ProgrammingError(f"{cls.__qualname__}.{event} is defined twice")
        if inherited is not None and not _is_event_class(inherited):
            raise ProgrammingError(
                f"{cls.__qualname__} has an attribute {event!r}, which cannot be an event class too"
            )
        _derive(cls, event, (cls.Event,), {"_parameters_of": (body,), "mutate": mutate}, keywords)
        return
    if "mutate" in vars(event):
        raise ProgrammingError(f"{event.__qualname__} has a mutate() besides {body.__qualname__}()")
    event.mutate = mutate  # type: ignore[method-assign]
    event.__init_subclass__()


def _mutate_of(body: FunctionType) -> Callable[[Any, Any], Any]:
    """Makes a ``mutate`` of the body of a method: the event's fields are its arguments."""
    parameters = [parameter for _, parameter in parameters_of(body)]
    names = tuple(parameter.name for parameter in parameters)
    if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters):
        pick = item_picker(names)

        def mutate(self: DomainEvent, obj: Any) -> None:
            body(obj, *pick(self.__dict__))

        return applied(mutate, body, names)

    def mutate_by_name(self: DomainEvent, obj: Any) -> None:
        body(obj, **{name: self.__dict__[name] for name in names})

    return applied(mutate_by_name)


def _derive(
    cls: type,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
    keywords: Mapping[str, Any] = MappingProxyType({}),
) -> type[DomainEvent]:
    """Makes a nested class, as if it had been written in the body of ``cls``."""
    body = {"__module__": cls.__module__, "__qualname__": f"{cls.__qualname__}.{name}", **namespace}
    derived: type[DomainEvent] = types.new_class(
        name, bases, dict(keywords), lambda ns: ns.update(body)
    )
    setattr(cls, name, derived)
    return derived


def _name_after(cls: type[DomainEntity]) -> None:
    """Lets the nested events of a class with a stable topic, or with aliases, have such too."""
    stable, aliases = vars(cls).get("__topic__"), aliases_of(cls)
    for name, nested in _nested_events(cls) if stable or aliases else ():
        if "__topic__" not in vars(nested):
            topic = f"{stable}.{name}" if stable else None
            named_after = [f"{alias}.{name}" for alias in aliases]
            name_class(nested, topic, dict.fromkeys((*aliases_of(nested), *named_after)))
            event_classes.register(nested)


def _nested_events(cls: type[DomainEntity]) -> list[tuple[str, Any]]:
    return [(name, nested) for name, nested in vars(cls).items() if _is_event_class(nested)]


def _is_event_class(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, DomainEvent)
