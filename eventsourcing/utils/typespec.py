"""Type annotations, compiled once into something quick to ask.

:func:`compile_type` makes a :class:`TypeSpec` of an annotation. It answers two questions that
must not be confused. ``check``: is this value acceptable, as a type checker would say? ``exact``:
is it so much what the annotation says that its JSON need not name the type?
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from typing import Any

import msgspec

from eventsourcing.utils._classforms import (
    build_dataclass,
    check_fields,
    default_of,
    defaults_of,
    is_namedtuple,
)
from eventsourcing.utils._general import know_class
from eventsourcing.utils._typegenerics import GENERICS, other_generic
from eventsourcing.utils._typeleaves import (
    ANY,
    LEAVES,
    PERSONAL_TAG,
    TypeSpec,
    anything,
    convert,
    decodable,
    instance,
    name_of,
    row_is_exact,
    step,
    unlike,
)
from eventsourcing.utils.copying import independent_copy
from eventsourcing.utils.picking import attribute_picker

__all__ = ["PERSONAL_TAG", "TypeSpec", "compile_type", "hints_of", "unwrap"]


def compile_type(annotation: Any) -> TypeSpec:
    """Returns the meaning of a resolved annotation (of ``get_type_hints(include_extras=True)``).

    Raises:
        TypeError: it holds a dataclass whose own annotations cannot be resolved, so that the
            form of its values would depend on what else is imported.
    """
    return _compile(annotation, frozenset())


def _compile(annotation: Any, outer: frozenset[type]) -> TypeSpec:
    """``outer`` are the dataclasses around the annotation; one inside of itself ends there."""
    annotation = unwrap(annotation)
    origin = typing.get_origin(annotation)
    if origin is not None:
        args = typing.get_args(annotation)
        if not args and not isinstance(annotation, types.GenericAlias):
            return _compile(origin, outer)  # typing.List, without arguments
        return GENERICS.get(origin, other_generic)(
            annotation, origin, args, lambda inner: _compile(inner, outer)
        )
    if annotation is Any:
        return ANY
    if not isinstance(annotation, type) or getattr(annotation, "_is_protocol", False):
        return TypeSpec(name_of(annotation), anything)
    if typing.is_typeddict(annotation):
        return TypeSpec(name_of(annotation), instance(dict))
    return LEAVES.get(annotation) or _compile_class(annotation, outer)


def unwrap(annotation: Any) -> Any:
    """Takes off what does not change the values: Annotated, Final, NewType, ``type`` aliases."""
    while True:
        if annotation is None:
            return type(None)
        if typing.get_origin(annotation) in (typing.Annotated, typing.Final):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


# -- classes -----------------------------------------------------------------------------


def _compile_class(cls: Any, outer: frozenset[type]) -> TypeSpec:
    if isinstance(cls, enum.EnumMeta):
        know_class(cls)
        return _compile_enum(cls)
    if is_namedtuple(cls):
        know_class(cls)
        hints = hints_of(cls) or {}
        for name in cls._fields:
            _compile(hints.get(name, Any), outer)  # stored topics may name what is met there
        return TypeSpec(name_of(cls), instance(cls))
    if "__dataclass_fields__" in vars(cls) and cls not in outer:
        know_class(cls)
        return _compile_dataclass(cls, outer | {cls})
    return TypeSpec(name_of(cls), instance(cls))


def hints_of(cls: Any) -> dict[str, Any] | None:
    """Returns the annotations of a class, or None if they do not resolve."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return None


def _compile_enum(cls: Any) -> TypeSpec:
    spec = TypeSpec(name_of(cls), instance(cls), immutable=True)
    if issubclass(cls, enum.Flag) or cls._missing_.__func__ is not enum.Enum._missing_.__func__:  # type: ignore[attr-defined]
        return spec  # values that are not members, or not the member's own
    try:
        back = [msgspec.json.decode(msgspec.json.encode(m), type=cls) is m for m in cls]
    except (msgspec.MsgspecError, ValueError, TypeError, NotImplementedError):
        return spec
    if not all(back) or not back:
        return spec
    return spec.natural(cls, None, cls, convert(cls, spec.name), scalar=True)


def _compile_dataclass(cls: Any, outer: frozenset[type]) -> TypeSpec:
    names = [field.name for field in dataclasses.fields(cls)]
    plain = _is_plain(cls, names)
    hints = hints_of(cls)
    if hints is None:
        if plain:
            raise TypeError(f"the annotations of dataclass {cls.__qualname__} cannot be resolved")
        return TypeSpec(name_of(cls), instance(cls))
    fields = {name: _compile(hints.get(name, Any), outer) for name in names}
    spec = TypeSpec(name_of(cls), instance(cls))
    row_rest = row_is_exact(fields.values())
    if not plain or row_rest is None or not decodable(cls):
        return spec
    readers: dict[str, Any] = {name: field.read for name, field in fields.items()}  # none is None
    row_of, defaults = attribute_picker(names), defaults_of(cls)

    def rest(value: Any) -> bool:
        try:
            return row_rest(row_of(value))
        except AttributeError:  # a field was deleted
            return False

    def read(data: Any) -> Any:
        if type(data) is not dict:
            raise unlike(spec.name, data)
        check_fields(cls, data, names, defaults)
        values = [
            (n, step(f".{n}", reader, data[n]) if n in data else default_of(defaults, n, f".{n}"))
            for n, reader in readers.items()
        ]
        return build_dataclass(cls, values)

    by_hand = _has_changeable_default(cls) or any(_is_by_hand(f.wire) for f in fields.values())
    return spec.natural(cls, rest, _ByHand if by_hand else cls, read)


class _ByHand:
    """What msgspec refuses to decode, which leaves it to ``read``."""


def _is_by_hand(wire: Any) -> bool:
    return wire is _ByHand or any(map(_is_by_hand, typing.get_args(wire)))


def _has_changeable_default(cls: Any) -> bool:
    """Whether there is a default that can change: msgspec gives the very same to all objects."""
    defaults = [f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING]
    try:
        return any(independent_copy(default) is not default for default in defaults)
    except Exception:  # that it cannot be copied is told when the default is needed
        return True


def _is_plain(cls: Any, names: list[str]) -> bool:
    """Whether a dataclass is its fields and nothing else, so that msgspec can build it."""
    attributes = (inspect.getattr_static(cls, name, None) for name in names)
    frozen = cls.__dataclass_params__.frozen
    return (
        not hasattr(cls, "__post_init__")
        and cls.__dataclass_params__.init
        and cls.__new__ is object.__new__
        and (frozen or cls.__setattr__ is object.__setattr__)
        and cls.__getattribute__ is object.__getattribute__
        and all(field.init for field in dataclasses.fields(cls))
        and not any(
            inspect.isdatadescriptor(a) and not inspect.ismemberdescriptor(a) for a in attributes
        )
        and not any(
            f._field_type.name == "_FIELD_INITVAR" for f in cls.__dataclass_fields__.values()
        )
    )
