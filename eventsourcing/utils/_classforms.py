"""The general forms of enum members, named tuples and dataclasses: ``[topic, content]``."""

from __future__ import annotations

import dataclasses
import enum
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial, reduce
from types import ModuleType
from typing import Any, TypeVar

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils._general import (
    DECODERS,
    KINDS,
    KNOWN,
    Encoder,
    decode_all,
    encode_all,
    row,
    type_name,
    typed,
)
from eventsourcing.utils.picking import attribute_picker
from eventsourcing.utils.topic import get_topic

T = TypeVar("T")


def is_namedtuple(cls: Any) -> bool:
    """Whether ``cls`` is a class of named tuples."""
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and type(fields) is tuple
        and all(type(name) is str for name in fields)
    )


# -- values of a user's classes: [topic, content] ------------------------------------------


def _resolve(topic: Any, suits: Callable[[Any], bool]) -> Any:
    """Returns the class that a stored topic names. Imports nothing, and runs nothing of it."""
    cls = KNOWN.get(typed(topic, str)) or _loaded(topic)
    if cls is None or not suits(cls):
        raise DecodeError(f"topic {topic[:200]!r} names no class of the tag's kind that is loaded")
    return cls


def _loaded(topic: str) -> Any:
    module, _, qualname = topic.partition("#")
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        # vars(), because getattr() may run code: a module's __getattr__, a descriptor.
        if not isinstance(found, ModuleType | type):
            return None
        found = vars(found).get(name)
    return found if isinstance(found, type) and get_topic(found) == topic else None


def _is_enum(cls: Any) -> bool:
    return isinstance(cls, enum.EnumMeta)


def _is_dataclass(cls: Any) -> bool:
    return isinstance(cls, type) and "__dataclass_fields__" in vars(cls)


def _enum_encoder(cls: Any) -> Encoder:
    topic = get_topic(cls)

    def encode(value: Any, room: int) -> Any:
        names: Any = value.name
        if cls.__members__.get(names) is not value:  # a combination of flags, or none of them
            names = [member.name for member in value] if isinstance(value, enum.Flag) else []
            if _flags(cls, names) != value:
                raise EncodeError(f"{type_name(cls)} has a value that its members do not make up")
        return {"$enum": [topic, names]}

    return encode


def _flags(cls: Any, names: list[str]) -> Any:
    return reduce(operator.or_, (cls.__members__[name] for name in names), cls(0))


def _decode_enum(data: Any) -> Any:
    topic, names = row(data, 2)
    cls = _resolve(topic, _is_enum)
    try:
        if type(names) is list and issubclass(cls, enum.Flag):
            return _flags(cls, names)
        return cls.__members__[typed(names, str)]
    except KeyError:
        raise DecodeError(f"{type_name(cls)} has no such member") from None


def _fields_encoder(tag: str, cls: type, names: Sequence[str]) -> Encoder:
    topic = get_topic(cls)
    row_of = attribute_picker(names)

    def encode(value: Any, room: int) -> Any:
        try:
            values = row_of(value)
        except AttributeError:
            raise EncodeError(f"a {type_name(cls)} lacks one of its fields") from None
        done = encode_all(values, room, lambda n: f".{names[n]}")
        return {tag: [topic, dict(zip(names, done, strict=True))]}

    return encode


def check_fields(
    cls: type, content: Mapping[str, Any], names: Iterable[str], defaults: Mapping[str, Any]
) -> None:
    """Checks that a stored object has the fields ``names``, and no other.

    What the class was given since it was stored is not there, and takes its default.
    """
    known = set(names)
    if odd := sorted(content.keys() - known | known - content.keys() - defaults.keys()):
        raise DecodeError(
            f"fields of {type_name(cls)} are missing or unknown: {', '.join(odd)[:200]}"
        )


def _decode_fields(
    cls: type, data: Any, names: Sequence[str], defaults: Mapping[str, Callable[[], Any]]
) -> list[Any]:
    """Returns the decoded contents of the fields ``names``, in their order."""
    content = typed(data, dict)
    check_fields(cls, content, names, defaults)
    stored = [name for name in names if name in content]
    done = decode_all((content[name] for name in stored), lambda n: f".{stored[n]}")
    values = dict(zip(stored, done, strict=True))
    return [
        values[name] if name in values else default_of(defaults, name, f".{name}") for name in names
    ]


def _namedtuple_encoder(cls: Any) -> Encoder:
    return _fields_encoder("$namedtuple", cls, cls._fields)


def _decode_namedtuple(data: Any) -> Any:
    topic, content = row(data, 2)
    cls = _resolve(topic, is_namedtuple)
    defaults = {name: partial(deepcopy, value) for name, value in cls._field_defaults.items()}
    return tuple.__new__(cls, _decode_fields(cls, content, cls._fields, defaults))


def _dataclass_encoder(cls: Any) -> Encoder:
    try:
        object.__new__(cls)
    except TypeError:  # built on a built-in type, or abstract
        raise EncodeError(
            f"dataclass {type_name(cls)} is more than its fields: register it"
        ) from None
    return _fields_encoder("$dataclass", cls, [field.name for field in dataclasses.fields(cls)])


def _decode_dataclass(data: Any) -> Any:
    topic, content = row(data, 2)
    cls = _resolve(topic, _is_dataclass)
    names = [field.name for field in dataclasses.fields(cls)]
    values = _decode_fields(cls, content, names, defaults_of(cls))
    return build_dataclass(cls, zip(names, values, strict=True))


def defaults_of(cls: Any) -> dict[str, Callable[[], Any]]:
    """Returns what makes the default of each field of a dataclass that has one.

    It makes another one for each reader, who may change it.
    """
    defaults: dict[str, Callable[[], Any]] = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = partial(deepcopy, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = field.default_factory
    return defaults


def default_of(defaults: Mapping[str, Callable[[], Any]], name: str, path: str) -> Any:
    """Returns the default of a field that is not stored.

    Raises:
        DecodeError: what makes it raised something, as a user's function may.
    """
    try:
        return defaults[name]()
    except MemoryError:
        raise
    except Exception as error:
        raise DecodeError(
            f"the default of {name} cannot be made ({type_name(type(error))})", field=path
        ) from error


def build_dataclass(cls: type[T], values: Iterable[tuple[str, Any]]) -> T:
    """Returns a ``cls`` with these fields, without running its ``__init__``."""
    made = object.__new__(cls)
    for name, value in values:
        object.__setattr__(made, name, value)  # what frozen dataclasses do themselves
    return made


KINDS += [
    (_is_enum, _enum_encoder),
    (is_namedtuple, _namedtuple_encoder),
    (_is_dataclass, _dataclass_encoder),
]
DECODERS |= {
    "$enum": _decode_enum,
    "$namedtuple": _decode_namedtuple,
    "$dataclass": _decode_dataclass,
}
