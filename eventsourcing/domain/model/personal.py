"""Personal data: fields of events that can be erased without changing the events.

A field is marked in its annotation. The event, the aggregate and all who handle them see its
value, until the person is forgotten: then they see the fallback::

    class Registered(AggregateRoot.Event):
        name: Annotated[str, personal("(erased)")]
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

__all__ = ["Personal", "misplaced_in", "personal", "personal_in", "shown_as"]


@dataclass(frozen=True)
class Personal:
    """Marks a field as personal data.

    Attributes:
        fallback: what the field is read as once its subject has been forgotten.
        subject: the name of the event's attribute that is the id of the person.
    """

    fallback: Any
    subject: str = "originator_id"


def personal(fallback: Any, subject: str = "originator_id") -> Personal:
    """Returns what marks a field as personal data, within ``Annotated``.

    Args:
        fallback: what the field is read as once the subject has been forgotten. It must be of the
            field's type. It is stored with each event.
        subject: the name of the attribute of the event whose value, a UUID, string or int, says
            whose data it is. By default the aggregate's id.
    """
    return Personal(fallback, subject)


def personal_in(annotation: Any) -> Personal | None:
    """Returns the mark in an annotation, or None."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return None
    return next((m for m in annotation.__metadata__ if isinstance(m, Personal)), None)


def shown_as(cls: type, values: Mapping[str, Any], marked: Container[str]) -> str:
    """Returns the repr of an object, which goes into logs and messages: what is personal data in it
    is not shown.

    Args:
        marked: the names of the values that are personal data.
    """
    shown = (f"{n}=<personal>" if n in marked else f"{n}={v!r}" for n, v in values.items())
    return f"{cls.__qualname__}({', '.join(shown)})"


def misplaced_in(annotation: Any) -> str | None:
    """Returns what is wrong with the marks in a resolved annotation of an event's field; None if
    nothing is. One that stands anywhere but outermost would mark nothing.
    """
    if typing.get_origin(annotation) is typing.Annotated:
        if any(m is personal or m is Personal for m in annotation.__metadata__):
            return "is not called: personal(fallback)"
        annotation = typing.get_args(annotation)[0]
    place = next(_marked(annotation, "inside of its type", set()), None)
    return None if place is None else f"stands {place}, where it marks nothing"


def _marked(annotation: Any, place: str, seen: set[Any]) -> Iterator[str]:
    """Yields where marks stand in an annotation and in what it is made of.

    Args:
        place: where the annotation stands.
        seen: the classes and aliases that were gone into, for some are inside of themselves.
    """
    if isinstance(annotation, list | tuple):  # the parameters of a Callable
        for each in annotation:
            yield from _marked(each, place, seen)
        return
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        if any(isinstance(m, Personal) or m is personal for m in annotation.__metadata__):
            yield place
        yield from _marked(typing.get_args(annotation)[0], place, seen)
    elif origin is not None:
        if origin is not typing.Literal:
            yield from _marked(typing.get_args(annotation), place, seen)
        yield from _marked(origin, place, seen)
    elif isinstance(annotation, typing.NewType):
        yield from _marked(annotation.__supertype__, place, seen)
    elif type(annotation).__name__ == "TypeAliasType" and annotation not in seen:
        seen.add(annotation)
        yield from _marked(annotation.__value__, place, seen)
    elif isinstance(annotation, type) and annotation not in seen and _has_fields(annotation):
        seen.add(annotation)
        for name, inner in _hints_of(annotation):
            yield from _marked(inner, f"on the field {name!r} of {annotation.__qualname__}", seen)


def _has_fields(cls: type) -> bool:
    is_namedtuple = issubclass(cls, tuple) and hasattr(cls, "_fields")
    return is_namedtuple or is_dataclass(cls) or typing.is_typeddict(cls)


def _hints_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Yields the annotations of a class that can be resolved, each by itself."""
    for base in cls.__mro__:
        names = vars(sys.modules.get(base.__module__, typing))
        for name, annotation in inspect.get_annotations(base).items():
            holder = type("holder", (), {"__annotations__": {name: annotation}})
            try:
                hints = typing.get_type_hints(holder, names, dict(vars(base)), include_extras=True)
            except Exception:  # noqa: S112 - whoever needs it says so
                continue
            yield name, hints[name]
