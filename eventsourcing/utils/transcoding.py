"""The general form: any supported Python value as JSON, and back with its own type and repr.

What JSON has a form for is written bare: None, bool, int of 64 bits, finite float, str, list,
and dict whose keys are strings that do not begin with ``$``. Everything else is an object with
exactly one key, a reserved tag of the closed table in ``docs/reference/stored-format.md``:
``{"$decimal": "1.10"}``. So no value of a user can look like a tag.

Values of further types enter through :func:`register_type`. Subclasses of built-in types are
refused unless registered, since narrowing them to the built-in would alter the value.

Rows never choose code: a class named by a stored topic is one that this process met before, or
stands in a module that is already loaded, and must be an enum, named tuple or dataclass. Such
values are built without calling the class.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import functools
import json
import math
import operator
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any, NoReturn, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils.topic import get_topic

__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "MAX_DEPTH",
    "build_dataclass",
    "decode_value",
    "encode_value",
    "is_namedtuple",
    "know_class",
    "register_type",
    "type_name",
]

T = TypeVar("T")

MAX_DEPTH = 100
"""How deep values may be nested in each other. What is written must be readable with the stack
that a later reader has left, so the limit is not left to the writer's recursion limit."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


# -- public functions --------------------------------------------------------------------


def encode_value(value: Any, field: str = "") -> Any:
    """Returns the general form of ``value``, made of what JSON has a form for.

    Args:
        value: a supported value.
        field: where the value stands; errors continue from there (``items[3].price``). The
            value at the nth key of a dict (0-based) is ``[key n]``: keys may be private.

    Raises:
        EncodeError: the value, or one inside of it, cannot be stored. Names its type.
    """
    try:
        return _encode(value, MAX_DEPTH)
    except EncodeError as error:
        _raise_at(field, error)
    except RecursionError:  # little stack was left
        raise EncodeError(f"{field or 'value'}: nested too deeply", field=field) from None


def decode_value(data: Any, field: str = "") -> Any:
    """Returns the value whose general form is ``data``, read from JSON without loss.

    Raises:
        DecodeError: ``data`` is not the general form of a value, or names an unknown class.
    """
    try:
        return _decode(data)
    except DecodeError as error:
        _raise_at(field, error)
    except RecursionError:
        raise DecodeError(f"{field or 'value'}: nested too deeply", field=field) from None


def register_type(
    cls: type[T], tag: str, encode: Callable[[T], Any], decode: Callable[[Any], T]
) -> None:
    """Makes values of a further type storable, as ``{"$x:tag": ...}``.

    ``register_type(Money, "money", lambda m: [m.amount, m.currency], lambda d: Money(*d))``

    Args:
        cls: the type; its subclasses need registrations of their own.
        tag: names the type in stored rows, for ever: letters, digits, ``_``, ``.`` and ``-``.
        encode: makes a supported value, such as a list, a dict or a str, of a ``cls``.
        decode: makes an equal ``cls`` of what ``encode`` returned.

    Raises:
        ValueError: the tag is malformed, the tag is taken by another type, or the type has a
            form of its own already. Registering the same type and tag again replaces.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", tag):
        raise ValueError(f"tag {tag!r} must be made of letters, digits, '_', '.' and '-'")
    key = f"$x:{tag}"
    if get_topic(_REGISTERED.get(key, cls)) != get_topic(cls):
        raise ValueError(f"tag {tag!r} is taken by {type_name(_REGISTERED[key])}")
    if cls in _BUILT_IN:
        raise ValueError(f"{type_name(cls)} has a form of its own already")

    def encode_registered(value: T, room: int) -> Any:
        try:
            made = encode(value)
        except EncodeError:
            raise
        except Exception as error:
            raise EncodeError(
                f"the registered encoder of {type_name(cls)} raised {type_name(type(error))}"
            ) from error
        return {key: _encode(made, _inside(room))}

    def decode_registered(data: Any) -> T:
        made = _decode(data)
        try:
            value = decode(made)
        except Exception as error:
            raise DecodeError(
                f"the registered decoder of {type_name(cls)} raised {type_name(type(error))}"
            ) from error
        if not isinstance(value, cls):
            raise DecodeError(f"the registered decoder of {type_name(cls)} returned another type")
        return value

    _REGISTERED[key] = cls
    _ENCODERS[cls] = encode_registered
    _DECODERS[key] = decode_registered
    know_class(cls)


def know_class(cls: type) -> None:
    """Lets stored topics name ``cls``: it was met in an annotation, or in an encoded value."""
    _KNOWN[get_topic(cls)] = cls


def is_namedtuple(cls: Any) -> bool:
    """Whether ``cls`` is a class of named tuples."""
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and type(fields) is tuple
        and all(type(name) is str for name in fields)
    )


def type_name(cls: type) -> str:
    """Returns how messages name a type: they never show a value."""
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


# -- paths and refusals ------------------------------------------------------------------


def _raise_at(field: str, error: EncodeError | DecodeError) -> NoReturn:
    """Raises ``error`` with the whole path to the value at fault, in its message too."""
    path = (field + error.field).removeprefix(".")
    if not path:
        raise error
    if len(path) > 200:
        path = path[:200] + "..."
    raise type(error)(f"{path}: {error}", field=path) from error.__cause__


def _inside(room: int) -> int:
    if room <= 0:
        raise EncodeError(f"nested more than {MAX_DEPTH} levels deep, or inside of itself")
    return room - 1


Step = Callable[[int], str]
_INDEX: Step = "[{}]".format
_KEY: Step = "[key {}]".format


def _encode_all(values: Iterable[Any], room: int, step: Step = _INDEX) -> list[Any]:
    room = _inside(room)
    done: list[Any] = []
    try:
        for value in values:
            done.append(_encode(value, room))
    except EncodeError as error:
        error.field = step(len(done)) + error.field
        raise
    return done


def _decode_all(items: Iterable[Any], step: Step = _INDEX) -> list[Any]:
    done: list[Any] = []
    try:
        for item in items:
            done.append(_decode(item))
    except DecodeError as error:
        error.field = step(len(done)) + error.field
        raise
    return done


def _typed(data: Any, kind: type[T]) -> T:
    if type(data) is not kind:
        raise ValueError(f"expected {kind.__name__}, found {type(data).__name__}")
    return data


def _row(data: Any, length: int) -> list[Any]:
    if len(_typed(data, list)) != length:
        raise ValueError(f"expected {length} items, found {len(data)}")
    return list(data)


# -- dispatch ----------------------------------------------------------------------------


def _encode(value: Any, room: int) -> Any:
    cls = type(value)
    return (_ENCODERS.get(cls) or _encoder_of(cls))(value, room)


def _encoder_of(cls: type) -> Encoder:
    """Returns the encoder of a class that is not in the table yet, and puts it there."""
    if cls.__module__.startswith("dateutil."):
        _ENCODERS.update(_dateutil_encoders())
    elif maker := next((make for suits, make in _KINDS if suits(cls)), None):
        _ENCODERS[cls] = maker(cls)
        know_class(cls)
    try:
        return _ENCODERS[cls]
    except KeyError:
        hint = (
            "use datetime.timezone or zoneinfo.ZoneInfo"
            if issubclass(cls, dt.tzinfo)
            else "make it a dataclass, or register it with"
            " eventsourcing.utils.transcoding.register_type(cls, tag, encode, decode)"
        )
        raise EncodeError(f"values of type {type_name(cls)} cannot be stored: {hint}") from None


def _decode(data: Any) -> Any:
    kind = type(data)
    if kind is dict:
        return _decode_object(data)
    return _decode_all(data) if kind is list else data


def _decode_object(data: dict[str, Any]) -> Any:
    tag = next((key for key in data if key.startswith("$")), None)
    if tag is None:
        return dict(zip(data, _decode_all(data.values(), _KEY), strict=True))
    if len(data) != 1:
        raise DecodeError("an object has a reserved key (beginning with '$') beside other keys")
    decode = _DECODERS.get(tag)
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


# -- scalars: a payload that needs no encoding of its own ----------------------------------

Encoder = Callable[[Any, int], Any]
Decoder = Callable[[Any], Any]


def _scalar(tag: str, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Encoder:
    """Enters the decoder of a form into the table, and returns its encoder."""

    def encode(value: Any, room: int) -> Any:
        return {tag: write(value)}

    def decode(data: Any) -> Any:
        value = read(data)
        if write(value) != data:  # so that a value has one form only
            raise ValueError
        return value

    _DECODERS[tag] = decode
    return encode


def _bare(value: Any, room: int) -> Any:
    return value


def _write_base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


# str() would follow the caller's context, where the exponent's letter is a setting.
_write_decimal = Context(capitals=1).to_sci_string


def _write_timezone(value: dt.timezone) -> list[Any]:
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]
    return [offset.days, offset.seconds, offset.microseconds, *name]


def _write_zoneinfo(value: ZoneInfo) -> str:
    if value.key is None:
        raise EncodeError("a ZoneInfo without a key cannot be stored")
    return value.key


_DECODERS: dict[str, Decoder] = {}

# Hexadecimal, because Python limits the digits that int() and str() take in decimal.
_big_int = _scalar("$int", hex, lambda data: int(_typed(data, str), 16))
_odd_float = _scalar("$float", repr, lambda data: float(_typed(data, str)))

_ENCODERS: dict[type, Encoder] = {
    type(None): _bare,
    bool: _bare,
    str: _bare,
    int: lambda v, room: v if INT64_MIN <= v <= INT64_MAX else _big_int(v, room),
    float: lambda v, room: v if math.isfinite(v) else _odd_float(v, room),
    UUID: _scalar("$uuid", str, UUID),
    Decimal: _scalar("$decimal", _write_decimal, lambda data: Decimal(_typed(data, str))),
    bytes: _scalar("$bytes", _write_base64, base64.b64decode),
    bytearray: _scalar("$bytearray", _write_base64, lambda data: bytearray(base64.b64decode(data))),
    dt.date: _scalar("$date", dt.date.isoformat, dt.date.fromisoformat),
    dt.timedelta: _scalar(
        "$timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda data: dt.timedelta(*_row(data, 3)),
    ),
    dt.timezone: _scalar(
        "$timezone",
        _write_timezone,
        lambda data: dt.timezone(dt.timedelta(*data[:3]), *data[3:]),
    ),
    ZoneInfo: _scalar("$zoneinfo", _write_zoneinfo, lambda data: ZoneInfo(_typed(data, str))),
}


# -- dates and times: [ISO wall clock, time zone, fold] ------------------------------------


def _moment(tag: str, cls: Any) -> Encoder:
    def encode(value: Any, room: int) -> Any:
        zone = value.tzinfo
        # UTC is spelled out: it is what most rows hold, and people read rows.
        zone = "UTC" if zone is dt.UTC else _encode(zone, _inside(room))
        return {tag: [value.replace(tzinfo=None).isoformat(), zone, value.fold]}

    def decode(data: Any) -> Any:
        text, zone, fold = _row(data, 3)
        zone = dt.UTC if zone == "UTC" else _decode(zone)
        value = cls.fromisoformat(_typed(text, str))
        if value.tzinfo is not None or value.isoformat() != text:
            raise ValueError
        return value.replace(tzinfo=zone, fold=_typed(fold, int))

    _DECODERS[tag] = decode
    return encode


_ENCODERS[dt.datetime] = _moment("$datetime", dt.datetime)
_ENCODERS[dt.time] = _moment("$time", dt.time)


def _dateutil_encoders() -> dict[type, Encoder]:
    from dateutil import tz

    return {
        tz.tzutc: lambda zone, room: {"$dateutil": ["tzutc"]},
        tz.tzoffset: lambda zone, room: {
            "$dateutil": [
                "tzoffset",
                zone.tzname(None),
                _write_total(zone.utcoffset(None)),
            ]
        },
        tz.tzfile: lambda zone, room: {"$dateutil": ["tzfile", _dateutil_key(zone)]},
    }


def _write_total(offset: dt.timedelta) -> int:
    return offset // dt.timedelta(seconds=1)


def _dateutil_key(zone: Any) -> str:
    """Returns the name under which ``gettz`` finds the zone on other machines too."""
    from dateutil import tz

    path = str(getattr(zone, "_filename", ""))
    key = path.rpartition("/zoneinfo/")[2]
    if not _ZONE_KEY.fullmatch(key) or repr(tz.gettz(key)) != repr(zone):
        raise EncodeError(
            "a dateutil tzfile that gettz() does not find by its key cannot be stored"
        )
    return key


def _decode_dateutil(data: Any) -> Any:
    from dateutil import tz

    kind, *arguments = _typed(data, list)
    if kind == "tzutc" and not arguments:
        return tz.tzutc()
    if kind == "tzoffset":
        name, seconds = arguments
        if name is not None:
            _typed(name, str)
        return tz.tzoffset(name, dt.timedelta(seconds=_typed(seconds, int)))
    (key,) = arguments
    # gettz() would also open any file that is named by a path.
    zone = tz.gettz(key) if kind == "tzfile" and _ZONE_KEY.fullmatch(key) else None
    if type(zone) is not tz.tzfile:
        raise ValueError
    return zone


_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_DECODERS["$dateutil"] = _decode_dateutil


# -- containers --------------------------------------------------------------------------


def _encode_dict(value: dict[Any, Any], room: int) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return dict(zip(value, _encode_all(value.values(), room, _KEY), strict=True))
    keys = _encode_all(value, room, _KEY)
    values = _encode_all(value.values(), room, _KEY)
    return {"$dict": [list(pair) for pair in zip(keys, values, strict=True)]}


def _decode_dict(data: Any) -> Any:
    pairs = [_row(pair, 2) for pair in _typed(data, list)]
    keys = _decode_all((key for key, _ in pairs), _KEY)
    values = _decode_all((value for _, value in pairs), _KEY)
    return _whole(dict(zip(keys, values, strict=True)), pairs)


def _whole(made: Any, data: list[Any]) -> Any:
    if len(made) != len(data):
        raise ValueError("keys or elements are equal")
    return made


def _sequence(tag: str, make: Callable[[list[Any]], Any]) -> Encoder:
    _DECODERS[tag] = lambda data: make(_decode_all(_typed(data, list)))
    return lambda value, room: {tag: _encode_all(value, room)}


def _any_set(tag: str, make: Callable[[list[Any]], Any]) -> Encoder:
    _DECODERS[tag] = lambda data: _whole(make(_decode_all(_typed(data, list))), data)
    # The order of a set differs between processes. Its text should not.
    return lambda value, room: {tag: sorted(_encode_all(value, room), key=json.dumps)}


_DECODERS["$dict"] = _decode_dict
_ENCODERS |= {
    list: _encode_all,
    dict: _encode_dict,
    tuple: _sequence("$tuple", tuple),
    set: _any_set("$set", set),
    frozenset: _any_set("$frozenset", frozenset),
}


def _pair(tag: str, parts: Callable[[Any], tuple[Any, Any]], make: Callable[..., Any]) -> Encoder:
    _DECODERS[tag] = lambda data: make(*_decode_all(_row(data, 2)))
    return lambda value, room: {tag: _encode_all(parts(value), room)}


_ENCODERS[complex] = _pair("$complex", lambda v: (v.real, v.imag), complex)
_ENCODERS[Fraction] = _pair("$fraction", lambda v: (v.numerator, v.denominator), Fraction)


# -- values of a user's classes: [topic, content] ------------------------------------------

_KNOWN: dict[str, type] = {}
_REGISTERED: dict[str, type] = {}
_BUILT_IN = frozenset(_ENCODERS)


def _resolve(topic: Any, suits: Callable[[Any], bool]) -> Any:
    """Returns the class that a stored topic names. Imports nothing, and runs nothing of it."""
    cls = _KNOWN.get(_typed(topic, str)) or _loaded(topic)
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
    return functools.reduce(operator.or_, (cls.__members__[name] for name in names), cls(0))


def _decode_enum(data: Any) -> Any:
    topic, names = _row(data, 2)
    cls = _resolve(topic, _is_enum)
    try:
        if type(names) is list and issubclass(cls, enum.Flag):
            return _flags(cls, names)
        return cls.__members__[_typed(names, str)]
    except KeyError:
        raise DecodeError(f"{type_name(cls)} has no such member") from None


def _fields_encoder(tag: str, cls: type, names: Sequence[str]) -> Encoder:
    topic = get_topic(cls)
    read = [operator.attrgetter(name) for name in names]

    def encode(value: Any, room: int) -> Any:
        try:
            values = [get(value) for get in read]
        except AttributeError:
            raise EncodeError(f"a {type_name(cls)} lacks one of its fields") from None
        done = _encode_all(values, room, lambda n: f".{names[n]}")
        return {tag: [topic, dict(zip(names, done, strict=True))]}

    return encode


def _decode_fields(cls: type, data: Any, names: Sequence[str]) -> list[Any]:
    """Returns the decoded contents of exactly the fields ``names``, in their order."""
    content = _typed(data, dict)
    if odd := sorted(content.keys() ^ set(names)):
        raise DecodeError(
            f"fields of {type_name(cls)} are missing or unknown: {', '.join(odd)[:200]}"
        )
    return _decode_all((content[name] for name in names), lambda n: f".{names[n]}")


def _namedtuple_encoder(cls: Any) -> Encoder:
    return _fields_encoder("$namedtuple", cls, cls._fields)


def _decode_namedtuple(data: Any) -> Any:
    topic, content = _row(data, 2)
    cls = _resolve(topic, is_namedtuple)
    return tuple.__new__(cls, _decode_fields(cls, content, cls._fields))


def _dataclass_encoder(cls: Any) -> Encoder:
    try:
        object.__new__(cls)
    except TypeError:  # built on a built-in type, or abstract
        raise EncodeError(
            f"dataclass {type_name(cls)} is more than its fields: register it"
        ) from None
    return _fields_encoder("$dataclass", cls, [field.name for field in dataclasses.fields(cls)])


def _decode_dataclass(data: Any) -> Any:
    topic, content = _row(data, 2)
    cls = _resolve(topic, _is_dataclass)
    names = [field.name for field in dataclasses.fields(cls)]
    return build_dataclass(cls, zip(names, _decode_fields(cls, content, names), strict=True))


def build_dataclass(cls: type[T], values: Iterable[tuple[str, Any]]) -> T:
    """Returns a ``cls`` with these fields, without running its ``__init__``."""
    made = object.__new__(cls)
    for name, value in values:
        object.__setattr__(made, name, value)  # what frozen dataclasses do themselves
    return made


_KINDS: list[tuple[Callable[[Any], bool], Callable[[Any], Encoder]]] = [
    (_is_enum, _enum_encoder),
    (is_namedtuple, _namedtuple_encoder),
    (_is_dataclass, _dataclass_encoder),
]
_DECODERS |= {
    "$enum": _decode_enum,
    "$namedtuple": _decode_namedtuple,
    "$dataclass": _decode_dataclass,
}
