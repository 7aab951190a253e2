"""The general form's tables and the walk through a value: what the forms are made with.

The forms themselves enter the tables when ``_forms`` and ``_classforms`` are imported;
``transcoding`` is the way in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils.topic import get_topic

T = TypeVar("T")
Encoder = Callable[[Any, int], Any]  # (value, how many more levels of nesting there may be)
Decoder = Callable[[Any], Any]

ENCODERS: dict[type, Encoder] = {}
DECODERS: dict[str, Decoder] = {}
KINDS: list[tuple[Callable[[Any], bool], Callable[[Any], Encoder]]] = []
"""Kinds of classes whose encoders are made when they are met: (is it one?, make)."""
LATE: dict[str, Callable[[], dict[type, Encoder]]] = {}
"""Encoders for the classes of a package, by its name, that is imported when needed."""
KNOWN: dict[str, type] = {}
"""The classes that stored topics may name, by topic."""

MAX_DEPTH = 100
"""How deep values may be nested in each other. What is written must be readable with the stack
that a later reader has left, so the limit is not left to the writer's recursion limit."""


def know_class(cls: type) -> None:
    """Lets stored topics name ``cls``: it was met in an annotation, or in an encoded value."""
    KNOWN[get_topic(cls)] = cls


def type_name(cls: type) -> str:
    """Returns how messages name a type: they never show a value."""
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


# -- paths and refusals ------------------------------------------------------------------


def raise_at(field: str, error: EncodeError | DecodeError) -> NoReturn:
    """Raises ``error`` with the whole path to the value at fault, in its message too."""
    path = (field + error.field).removeprefix(".")
    if not path:
        raise error
    if len(path) > 200:
        path = path[:200] + "..."
    raise type(error)(f"{path}: {error}", field=path) from error.__cause__


def inside(room: int) -> int:
    if room <= 0:
        raise EncodeError(f"nested more than {MAX_DEPTH} levels deep, or inside of itself")
    return room - 1


Step = Callable[[int], str]
AT_INDEX: Step = "[{}]".format
AT_KEY: Step = "[key {}]".format


def encode_all(values: Iterable[Any], room: int, step: Step = AT_INDEX) -> list[Any]:
    room = inside(room)
    done: list[Any] = []
    try:
        for value in values:
            done.append(encode_any(value, room))
    except EncodeError as error:
        error.field = step(len(done)) + error.field
        raise
    return done


def decode_all(items: Iterable[Any], step: Step = AT_INDEX) -> list[Any]:
    done: list[Any] = []
    try:
        for item in items:
            done.append(decode_any(item))
    except DecodeError as error:
        error.field = step(len(done)) + error.field
        raise
    return done


def typed(data: Any, kind: type[T]) -> T:
    if type(data) is not kind:
        raise ValueError(f"expected {kind.__name__}, found {type(data).__name__}")
    return data


def row(data: Any, length: int) -> list[Any]:
    found: list[Any] = typed(data, list)
    if len(found) != length:
        raise ValueError(f"expected {length} items, found {len(found)}")
    return found


# -- dispatch ----------------------------------------------------------------------------


def encode_any(value: Any, room: int) -> Any:
    cls = type(value)
    return (ENCODERS.get(cls) or _encoder_of(cls))(value, room)


def _encoder_of(cls: type) -> Encoder:
    """Returns the encoder of a class that is not in the table yet, and puts it there."""
    late = LATE.get(cls.__module__.partition(".")[0])
    if late is not None:
        ENCODERS.update(late())
    elif maker := next((make for suits, make in KINDS if suits(cls)), None):
        ENCODERS[cls] = maker(cls)
        know_class(cls)
    try:
        return ENCODERS[cls]
    except KeyError:
        hint = (
            "use datetime.timezone or zoneinfo.ZoneInfo"
            if issubclass(cls, dt.tzinfo)
            else "make it a dataclass, or register it with"
            " eventsourcing.utils.transcoding.register_type(cls, tag, encode, decode)"
        )
        raise EncodeError(f"values of type {type_name(cls)} cannot be stored: {hint}") from None


def decode_any(data: Any) -> Any:
    kind = type(data)
    if kind is dict:
        return _decode_object(data)
    return decode_all(data) if kind is list else data


def _decode_object(data: dict[str, Any]) -> Any:
    for key in data:
        if key[:1] == "$":
            return _decode_tagged(key, data)
    return dict(zip(data, decode_all(data.values(), AT_KEY), strict=True))


def _decode_tagged(tag: str, data: dict[str, Any]) -> Any:
    if len(data) != 1:
        raise DecodeError("an object has a reserved key (beginning with '$') beside other keys")
    decode = DECODERS.get(tag)
    if decode is None:
        raise DecodeError(f"tag {tag[:40]!r} is unknown: is a register_type() call missing?")
    try:
        return decode(data[tag])
    except (DecodeError, RecursionError, MemoryError):
        raise
    except Exception as error:
        raise DecodeError(
            f"what stands under {tag} is not its form ({type_name(type(error))})"
        ) from None


def scalar(tag: str, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Encoder:
    """Enters the decoder of a form into the table, and returns its encoder."""

    def encode(value: Any, room: int) -> Any:
        return {tag: write(value)}

    def decode(data: Any) -> Any:
        value = read(data)
        if write(value) != data:  # so that a value has one form only
            raise ValueError
        return value

    DECODERS[tag] = decode
    return encode
