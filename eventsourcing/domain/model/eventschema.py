"""The fields of an event class: collected once from annotations, then used to check and encode.

Part of the domain layer. :class:`EventSchema` is what turns keyword arguments into the
attributes of an event, and names what is missing, unknown or wrongly typed.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType
from typing import Any, ClassVar

from eventsourcing.domain.model.personal import Personal, misplaced_in, personal_in
from eventsourcing.exceptions import EncodeError, EventFieldError, ProgrammingError
from eventsourcing.utils.copying import independent_copy
from eventsourcing.utils.lazy import lazy
from eventsourcing.utils.statecodec import StateCodec
from eventsourcing.utils.times import is_utc
from eventsourcing.utils.typespec import TypeSpec, compile_type

__all__ = [
    "GIVEN_BY_ENTITY",
    "POSITION_FIELDS",
    "EventSchema",
    "Field",
    "check_marks",
    "parameters_of",
    "plain_type",
]

POSITION_FIELDS = frozenset({"originator_id", "originator_version"})
"""Kept in columns of their own, and so no part of the stored state."""

RESERVED_FIELDS = frozenset({"context", "mutate", "_begins", "_of_class", "_originator"})
"""Attributes that every event has anyway."""

GIVEN_BY_ENTITY = frozenset(
    {"originator_id", "originator_version", "timestamp", "originator_topic"}
)
"""What an entity says of its event, besides what the caller says."""

_MISSING: Any = object()


class Field(typing.NamedTuple):
    """One field of an event class."""

    name: str
    annotation: Any
    default: Any = _MISSING
    default_factory: Callable[[], Any] | None = None

    @property
    def has_default(self) -> bool:
        """Whether the field may be left out, also by states stored before it was added."""
        return self.has_constant or self.default_factory is not None

    @property
    def has_constant(self) -> bool:
        """Whether what is left out has the same value each time."""
        return self.default is not _MISSING


class EventSchema:
    """The fields of one event class.

    Args:
        cls: the event class. Its annotations, and those of its bases, are the fields; a class
            of which no base declares any beyond the library's own is *open*: it takes whatever
            attributes it is given.

    Raises:
        ProgrammingError: an annotation cannot be resolved, a default is mutable, or a mark of
            personal data stands where it marks nothing, or is missing where a base has it.
    """

    def __init__(self, cls: type) -> None:
        self.name = cls.__qualname__
        self.fields: dict[str, Field] = {}
        self.is_open = True
        self._has_timestamp: bool = cls._has_timestamp  # type: ignore[attr-defined]
        # Only the last constructor counts: it names those of the bases that it goes on to.
        hidden = [base for base in cls.__mro__ if "_parameters_of" in vars(base)][1:]
        for base in reversed(cls.__mro__):
            own = {} if base in hidden else _own_fields(base)
            if "_parameters_of" in vars(base):
                self._refuse_given(own)
            self._check_keeps_marks(own)
            self.fields.update(own)
            if vars(base).get("_parameters_of") is not None or (
                own and "_free_form" not in vars(base)
            ):
                self.is_open = False
        for name in self.fields:
            if not _may_be_called(name):
                raise ProgrammingError(f"{self.name}: a field cannot be called {name!r}")
        self._specs = {field.name: self._compiled(field) for field in self.fields.values()}
        for field in self.fields.values():
            if field.default is not _MISSING and not self._specs[field.name].check(field.default):
                raise ProgrammingError(
                    f"{self.name}: the default of {field.name!r} is a"
                    f" {type(field.default).__name__}, not {self._specs[field.name].name}"
                )
        self.personal = {name: mark for name, mark in map(_mark_of, self.fields.values()) if mark}
        """The marks of the fields that are personal data, by name."""
        for name, mark in self.personal.items():
            self._check_mark(name, mark)
        self._plan = tuple(
            (field, field.name, plain_type(field.annotation), self._specs[field.name].check)
            for field in self.fields.values()
        )
        self.copied = tuple(n for n, spec in self._specs.items() if not spec.immutable)
        self.is_immutable = not self.is_open and not self.copied

    def _check_keeps_marks(self, own: Mapping[str, Field]) -> None:
        for name in own.keys() & self.fields.keys():
            earlier, later = self.fields[name].annotation, own[name].annotation
            if personal_in(earlier) is not None and personal_in(later) is None:
                raise ProgrammingError(
                    f"{self.name}: {name!r} is personal data in a base, and would be stored in the"
                    " clear here: repeat the mark, or call the field by another name"
                )

    def _check_mark(self, name: str, mark: Personal) -> None:
        if mark.subject not in self.fields or mark.subject in self.personal:
            raise ProgrammingError(
                f"{self.name}: the subject of {name!r} is another field, and not {mark.subject!r}"
            )
        if name in GIVEN_BY_ENTITY or not self._specs[name].check(mark.fallback):
            raise ProgrammingError(
                f"{self.name}: the fallback of {name!r} is a {type(mark.fallback).__name__}, not"
                f" {self._specs[name].name}"
            )

    def _compiled(self, field: Field) -> TypeSpec:
        try:
            return compile_type(field.annotation)
        except TypeError as error:
            raise ProgrammingError(f"{self.name}: field {field.name!r}: {error}") from error

    @lazy
    def codec(self) -> StateCodec:
        """Encodes and decodes the stored state of the event class."""
        annotations = {
            field.name: field.annotation
            for field in self.fields.values()
            if field.name not in POSITION_FIELDS
        }
        skip = POSITION_FIELDS | RESERVED_FIELDS if self.is_open else POSITION_FIELDS
        defaults = {
            field.name: field.default_factory or partial(independent_copy, field.default)
            for field in self.fields.values()
            if field.has_default and field.name != "timestamp"  # now is not when it happened
        }
        return StateCodec(annotations, open=self.is_open, skip=skip, defaults=defaults)

    def attributes(self, given: dict[str, Any]) -> dict[str, Any]:
        """Returns the attributes of a new event, in the order of the fields.

        Args:
            given: the keyword arguments of the event's constructor.

        Raises:
            EventFieldError: a field is missing, unknown, or of a wrong type.
            EncodeError: a value cannot be copied, and so could not be stored either.
        """
        values: dict[str, Any] = {}
        defaulted = 0
        for field, name, quick_type, check in self._plan:
            value = given.get(name, _MISSING)
            if value is _MISSING:
                value = self._default(field)
                defaulted += 1
            elif type(value) is not quick_type and not check(value):
                raise EventFieldError(
                    f"{self.name}: field {name!r} takes {self._specs[name].name},"
                    f" not {type(value).__name__}"
                )
            values[name] = value
        if self._has_timestamp and not is_utc(values["timestamp"]):
            raise EventFieldError(f"{self.name}: 'timestamp' must be an aware datetime in UTC")
        if len(values) - defaulted != len(given):
            self._take_extra(values, given)
        if not self.is_immutable:
            self._own(values)
        return values

    def copy_of(self, values: dict[str, Any]) -> dict[str, Any]:
        """Returns a copy that shares nothing mutable with ``values``."""
        copy = dict(values)
        self._own(copy)
        return copy

    def _refuse_given(self, parameters: dict[str, Field]) -> None:
        for name in parameters:
            if name in self.fields and name in GIVEN_BY_ENTITY:
                raise ProgrammingError(
                    f"{self.name}: a parameter cannot be called {name!r}: every such event has that"
                )

    def _default(self, field: Field) -> Any:
        if field.default_factory is not None:
            return field.default_factory()
        if field.default is _MISSING:
            raise EventFieldError(f"{self.name}: missing field {field.name!r}")
        return field.default

    def _take_extra(self, values: dict[str, Any], given: dict[str, Any]) -> None:
        for name, value in given.items():
            if name not in values:
                if not self.is_open:
                    known = ", ".join(n for n in self.fields if n not in POSITION_FIELDS)
                    raise EventFieldError(
                        f"{self.name}: unknown field {name!r}; it has: {known or 'none'}"
                    )
                if not _may_be_called(name):
                    raise EventFieldError(f"{self.name}: {name!r} cannot be an attribute's name")
                values[name] = value

    def _own(self, values: dict[str, Any]) -> None:
        # An event is what happened: a list that the caller or the aggregate goes on changing
        # must not change it. Scalars, which are nearly everything, need no copy.
        for name in values if self.is_open else self.copied:
            try:
                values[name] = independent_copy(values[name])
            except Exception as error:
                raise EncodeError(
                    f"{self.name}: the value of {name!r} ({type(values[name]).__name__}) cannot"
                    " be copied, and so cannot be stored",
                    field=name,
                    event=self.name,
                ) from error


def _may_be_called(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in RESERVED_FIELDS


def parameters_of(*functions: FunctionType) -> Iterator[tuple[FunctionType, inspect.Parameter]]:
    """Yields the parameters that become fields of the event made from the functions.

    ``self``, ``*args`` and ``**kwargs`` do not.

    Raises:
        ProgrammingError: a parameter is positional-only, and so has no name to be given by.
    """
    for function in functions:
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise ProgrammingError(
                    f"{function.__qualname__}: {parameter} cannot be a field of an event"
                )
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                yield function, parameter


def _own_fields(cls: type) -> dict[str, Field]:
    functions = vars(cls).get("_parameters_of")
    if functions is not None:
        return _fields_of_functions(functions)
    return {
        name: _field_of_class(cls, name, annotation)
        for name, annotation in _annotations(cls).items()
        if not name.startswith("__") and typing.get_origin(annotation) is not ClassVar
        if annotation is not ClassVar
    }


def _fields_of_functions(functions: tuple[FunctionType, ...]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    annotations = {function: _annotations(function) for function in functions}
    # From the last one, so that what a subclass adds stands after what its base has.
    for function, parameter in parameters_of(*reversed(functions)):
        name, default = parameter.name, parameter.default
        annotation = annotations[function].get(name, Any)
        if default is parameter.empty:
            fields[name] = Field(name, annotation)
        else:
            fields[name] = _defaulted(function, Field(name, annotation, default))
    for function, found in annotations.items():
        for name in found.keys() - fields.keys():  # *args and **kwargs
            if personal_in(found[name]) is not None:
                _check_place(function, name, "stands on what is no field")
    return fields


def _field_of_class(cls: type, name: str, annotation: Any) -> Field:
    default = vars(cls).get(name, _MISSING)
    if isinstance(default, dataclasses.Field):
        if default.default_factory is not dataclasses.MISSING:
            return Field(name, annotation, default_factory=default.default_factory)
        default = _MISSING if default.default is dataclasses.MISSING else default.default
    return _defaulted(cls, Field(name, annotation, default))


def _defaulted(owner: type | FunctionType, field: Field) -> Field:
    if isinstance(field.default, list | dict | set | bytearray):
        raise ProgrammingError(
            f"{owner.__qualname__}: the default of {field.name!r} is mutable;"
            " use dataclasses.field(default_factory=...)"
        )
    return field


def _annotations(owner: type | FunctionType) -> dict[str, Any]:
    found = inspect.get_annotations(owner)
    found.pop("return", None)
    return {name: _resolved(owner, name, annotation) for name, annotation in found.items()}


def _resolved(owner: type | FunctionType, name: str, annotation: Any) -> Any:
    """Returns an annotation as an object, where it was written as (or has become) a string."""
    names: dict[str, Any] = {}
    local: dict[str, Any] = {}
    if isinstance(owner, type):
        names, local = vars(sys.modules[owner.__module__]), dict(vars(owner))
    else:
        names = owner.__globals__
    holder = type("holder", (), {"__annotations__": {name: annotation}})
    try:
        marked = typing.get_type_hints(holder, names, local, include_extras=True)[name]
        plain = typing.get_type_hints(holder, names, local)[name]
    except Exception as error:
        raise ProgrammingError(
            f"{owner.__module__}.{owner.__qualname__}: the annotation of {name!r} cannot be"
            f" resolved ({error}). The types of an event's fields must be names that the module"
            " has at run time"
        ) from error
    _check_place(owner, name, misplaced_in(marked))
    return plain if personal_in(marked) is None else marked


def check_marks(cls: type) -> None:
    """Checks where marks of personal data stand, in annotations that are no strings. To be called
    when an event class is defined; the schema checks the others when they can be resolved.

    Raises:
        ProgrammingError: one stands where it marks nothing.
    """
    for owner in vars(cls).get("_parameters_of") or (cls,):
        try:
            found = inspect.get_annotations(owner)
        except Exception:  # noqa: S112 - of Python 3.14 on: a name that is defined further down
            continue
        for name, annotation in found.items():
            if not isinstance(annotation, str):
                _check_place(owner, name, misplaced_in(annotation))


def _check_place(owner: type | FunctionType, name: str, fault: str | None) -> None:
    if fault is not None:
        raise ProgrammingError(
            f"{owner.__qualname__}: the mark of personal data for {name!r} {fault}. It has to stand"
            " outermost in the annotation of the event's field, as in"
            ' Annotated[str | None, personal("(erased)")]'
        )


def plain_type(annotation: Any) -> Any:
    """Returns the annotation if it is a class that ``type(value) is`` can be tried with first."""
    if personal_in(annotation) is not None:
        annotation = typing.get_args(annotation)[0]
    return annotation if isinstance(annotation, type) else None


def _mark_of(field: Field) -> tuple[str, Personal | None]:
    return field.name, personal_in(field.annotation)
