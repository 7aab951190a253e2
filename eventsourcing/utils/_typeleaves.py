"""What a compiled annotation is, and the annotations that are not made of others."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import datetime as dt
import math
import types
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils._forms import INT64_MAX, INT64_MIN

PERSONAL_TAG = "$personal"
"""Is the one key of what stands in a state for personal data, and so of no object in natural form.
"""

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
        kind: the one class that all exact values have; None if there is no such class.
        rest: what else makes a value of that class exact; None if nothing.
        wire: the type for msgspec to decode as.
        read: makes a value of its natural form, read from JSON; DecodeError where it is not one.
        scalar: whether the natural form has neither arrays nor objects inside.
        immutable: whether no acceptable value can change, all the way down. Never so for the
            classes of users: nobody checks what a frozen dataclass really holds.
    """

    name: str
    check: Test
    exact: Test | None = None
    wire: Any = None
    read: Read | None = None
    scalar: bool = False
    immutable: bool = False
    kind: type | None = None
    rest: Test | None = None

    def natural(
        self, kind: type, rest: Test | None, wire: Any, read: Read, scalar: bool = False
    ) -> TypeSpec:
        """Returns this meaning, of a type that has a natural form."""
        return dataclasses.replace(
            self,
            exact=_exact(kind, rest),
            kind=kind,
            rest=rest,
            wire=wire,
            read=read,
            scalar=scalar,
        )


def name_of(annotation: Any) -> str:
    if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
        return repr(annotation).replace("typing.", "").replace("collections.abc.", "")
    return "None" if annotation is type(None) else annotation.__qualname__


def anything(value: Any) -> bool:
    return True


def instance(*classes: type) -> Test:
    return lambda value: isinstance(value, classes)


# -- exactness ---------------------------------------------------------------------------


def _exact(kind: type, rest: Test | None) -> Test:
    if rest is None:
        return lambda value: type(value) is kind
    return lambda value: type(value) is kind and rest(value)


class _AnyClass:
    """Is equal to every class, where a row may have one of several."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


def row_is_exact(specs: Iterable[TypeSpec]) -> Callable[[tuple[Any, ...]], bool] | None:
    """Returns what tells whether each value of a row is exact; None if one type cannot be.

    All classes are compared at once, so that only the rest takes a call for each value.
    """
    classes: list[Any] = []
    tests: list[tuple[int, Test]] = []
    for n, spec in enumerate(specs):
        if spec.exact is None:
            return None
        classes.append(spec.kind or _AnyClass())
        test = spec.rest if spec.kind else spec.exact
        if test is not None:
            tests.append((n, test))

    def exact(row: tuple[Any, ...]) -> bool:
        if [*map(type, row)] != classes:
            return False
        for n, test in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not test(row[n]):
                return False
        return True

    return exact


def all_are_exact(spec: TypeSpec) -> Callable[[Iterable[Any]], bool] | None:
    """Returns what tells whether all of the values are exact; None if the type cannot be.

    It goes through the values twice.
    """
    exact, kind, rest = spec.exact, spec.kind, spec.rest
    if exact is None:
        return None
    if kind is None:
        return lambda values: all(map(exact, values))
    are_of_kind = frozenset((kind,)).issuperset
    if rest is None:
        return lambda values: are_of_kind(map(type, values))
    return lambda values: are_of_kind(map(type, values)) and all(map(rest, values))


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


_UTC, _MINUTE = dt.UTC, dt.timedelta(minutes=1)


def _has_64_bits(value: int) -> bool:
    return INT64_MIN <= value <= INT64_MAX


def _is_plain_moment(value: dt.datetime | dt.time) -> bool:
    if value.fold:
        return False
    zone: Any = value.tzinfo
    if zone is _UTC or zone is None:
        return True
    if type(zone) is not dt.timezone:
        return False
    offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
    return not name and not offset % _MINUTE


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


def _leaf(cls: type, *also: type, rest: Test | None = None, read: Read | None = None) -> TypeSpec:
    spec = _plain(cls, *also)
    return spec.natural(cls, rest, cls, read or convert(cls, spec.name), scalar=True)


def _plain(cls: type, *also: type) -> TypeSpec:
    return TypeSpec(name_of(cls), instance(cls, *also), immutable=True)


ANY = TypeSpec("Any", anything)
LEAVES: dict[Any, TypeSpec] = {
    object: TypeSpec("object", anything),
    abc.Callable: TypeSpec("Callable", anything),
    type(None): _leaf(type(None)),
    bool: _leaf(bool),
    int: _leaf(int, rest=_has_64_bits),
    float: _leaf(float, int, rest=math.isfinite),
    str: _leaf(str, read=_read_str),
    bytes: _leaf(bytes),
    UUID: _leaf(UUID),
    Decimal: _leaf(Decimal, read=_read_decimal),
    dt.datetime: _leaf(dt.datetime, rest=_is_plain_moment),
    dt.time: _leaf(dt.time, rest=_is_plain_moment),
    dt.date: _leaf(dt.date),
    dt.timedelta: _leaf(dt.timedelta),
    complex: _plain(complex, float, int),
    Fraction: _plain(Fraction),
    dt.timezone: _plain(dt.timezone),
    dt.tzinfo: _plain(dt.tzinfo),
    ZoneInfo: _plain(ZoneInfo),
}
