"""What a compiled annotation is, and the annotations that are not made of others."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import datetime as dt
import math
import types
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils._forms import INT64_MAX, INT64_MIN

Test = Callable[[Any], bool]
Read = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class TypeSpec:
    """What a type annotation means.

    A type has a *natural form* if JSON text, together with the annotation, gives back every
    exact value: ``wire``, ``exact`` and ``read`` are None if it has none.

    Attributes:
        name: the annotation, readable.
        check: whether a value is acceptable, the elements of containers included. int is
            accepted for float, and bool for int. What is not understood accepts everything.
        exact: whether msgspec writes the value so that decoding as ``wire`` gives back an equal
            value of the same type with the same repr, or refuses it for a lone surrogate.
        wire: the type for msgspec to decode as.
        read: makes a value of its natural form, read from JSON; DecodeError where it is not one.
        scalar: whether the natural form has neither arrays nor objects inside.
        immutable: whether no acceptable value can change, all the way down.
    """

    name: str
    check: Test
    exact: Test | None = None
    wire: Any = None
    read: Read | None = None
    scalar: bool = False
    immutable: bool = False


def name_of(annotation: Any) -> str:
    if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
        return repr(annotation).replace("typing.", "").replace("collections.abc.", "")
    return "None" if annotation is type(None) else annotation.__qualname__


def anything(value: Any) -> bool:
    return True


def instance(*classes: type) -> Test:
    return lambda value: isinstance(value, classes)


def is_exactly(cls: type) -> Test:
    return lambda value: type(value) is cls


def step(step: str, read: Read, data: Any) -> Any:
    try:
        return read(data)
    except DecodeError as error:
        error.field = step + error.field
        raise


def decodable(wire: Any) -> bool:
    try:
        msgspec.json.Decoder(wire)
    except (TypeError, NotImplementedError, ValueError, NameError, AttributeError):
        return False
    return True


# -- leaves ------------------------------------------------------------------------------


def _exact_int(value: Any) -> bool:
    return type(value) is int and INT64_MIN <= value <= INT64_MAX


def _exact_float(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _exact_moment(cls: Any) -> Test:
    utc, minute = dt.UTC, dt.timedelta(minutes=1)
    timezone: Any = dt.timezone

    def exact(value: Any) -> bool:
        if type(value) is not cls or value.fold:
            return False
        zone = value.tzinfo
        if zone is utc or zone is None:
            return True
        if type(zone) is not timezone:
            return False
        offset, *name = zone.__getinitargs__()
        return not name and not offset % minute

    return exact


def convert(wire: Any, name: str) -> Read:
    def read(data: Any) -> Any:
        try:
            return msgspec.convert(data, wire)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError):
            raise unlike(name, data) from None  # the cause would show the payload

    return read


def unlike(name: str, data: Any) -> DecodeError:
    return DecodeError(f"expected {name}, found {_JSON_NAMES.get(type(data), 'something else')}")


_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
_JSON_NAMES |= {bool: "a boolean", int: "a number", float: "a number"}


def _read_str(data: Any) -> Any:
    if type(data) is not str:  # not msgspec's, which refuses lone surrogates
        raise unlike("str", data)
    return data


def _read_decimal(data: Any) -> Any:
    if type(data) is not str:  # a number has lost its trailing zeros by now
        raise unlike("Decimal", data)
    return convert(Decimal, "Decimal")(data)


def _leaf(cls: type, *also: type, exact: Test | None = None, read: Read | None = None) -> TypeSpec:
    name = name_of(cls)
    return TypeSpec(
        name,
        instance(cls, *also),
        exact or is_exactly(cls),
        cls,
        read or convert(cls, name),
        True,
        True,
    )


def _plain(cls: type, *also: type) -> TypeSpec:
    return TypeSpec(name_of(cls), instance(cls, *also), immutable=True)


ANY = TypeSpec("Any", anything)
LEAVES: dict[Any, TypeSpec] = {
    object: TypeSpec("object", anything),
    abc.Callable: TypeSpec("Callable", anything),
    type(None): _leaf(type(None)),
    bool: _leaf(bool),
    int: _leaf(int, exact=_exact_int),
    float: _leaf(float, int, exact=_exact_float),
    str: _leaf(str, read=_read_str),
    bytes: _leaf(bytes),
    UUID: _leaf(UUID),
    Decimal: _leaf(Decimal, read=_read_decimal),
    dt.datetime: _leaf(dt.datetime, exact=_exact_moment(dt.datetime)),
    dt.time: _leaf(dt.time, exact=_exact_moment(dt.time)),
    dt.date: _leaf(dt.date),
    dt.timedelta: _leaf(dt.timedelta),
    complex: _plain(complex, float, int),
    Fraction: _plain(Fraction),
    dt.timezone: _plain(dt.timezone),
    dt.tzinfo: _plain(dt.tzinfo),
    ZoneInfo: _plain(ZoneInfo),
}
