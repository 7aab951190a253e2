"""The general forms of built-in types and of the standard library's."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from eventsourcing.exceptions import EncodeError
from eventsourcing.utils._general import (
    AT_KEY,
    DECODERS,
    ENCODERS,
    LATE,
    Encoder,
    decode_all,
    decode_any,
    encode_all,
    encode_any,
    inside,
    row,
    scalar,
    typed,
)

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_DAY = dt.timedelta(days=1)

# -- scalars: a payload that needs no encoding of its own ----------------------------------


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


# Hexadecimal, because Python limits the digits that int() and str() take in decimal.
_big_int = scalar("$int", hex, lambda data: int(typed(data, str), 16))
_odd_float = scalar("$float", repr, lambda data: float(typed(data, str)))

ENCODERS |= {
    type(None): _bare,
    bool: _bare,
    str: _bare,
    int: lambda v, room: v if INT64_MIN <= v <= INT64_MAX else _big_int(v, room),
    float: lambda v, room: v if math.isfinite(v) else _odd_float(v, room),
    UUID: scalar("$uuid", str, lambda data: msgspec.convert(data, UUID)),  # quicker than UUID()
    Decimal: scalar("$decimal", _write_decimal, lambda data: Decimal(typed(data, str))),
    bytes: scalar("$bytes", _write_base64, base64.b64decode),
    bytearray: scalar("$bytearray", _write_base64, lambda data: bytearray(base64.b64decode(data))),
    dt.date: scalar("$date", dt.date.isoformat, dt.date.fromisoformat),
    dt.timedelta: scalar(
        "$timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda data: dt.timedelta(*row(data, 3)),
    ),
    dt.timezone: scalar(
        "$timezone",
        _write_timezone,
        lambda data: dt.timezone(dt.timedelta(*data[:3]), *data[3:]),
    ),
    ZoneInfo: scalar("$zoneinfo", _write_zoneinfo, lambda data: ZoneInfo(typed(data, str))),
}


# -- dates and times: [ISO wall clock, time zone, fold] ------------------------------------


def _moment(tag: str, cls: Any) -> Encoder:
    def encode(value: Any, room: int) -> Any:
        zone = value.tzinfo
        # UTC is spelled out: it is what most rows hold, and people read rows.
        zone = "UTC" if zone is dt.UTC else encode_any(zone, inside(room))
        return {tag: [value.replace(tzinfo=None).isoformat(), zone, value.fold]}

    def decode(data: Any) -> Any:
        text, zone, fold = row(data, 3)
        zone = dt.UTC if zone == "UTC" else decode_any(zone)
        value = cls.fromisoformat(typed(text, str))
        if value.tzinfo is not None or value.isoformat() != text:
            raise ValueError
        return value.replace(tzinfo=zone, fold=typed(fold, int))

    DECODERS[tag] = decode
    return encode


ENCODERS[dt.datetime] = _moment("$datetime", dt.datetime)
ENCODERS[dt.time] = _moment("$time", dt.time)


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
    if abs(offset) >= _DAY:  # a moment in such a zone can be neither compared nor hashed
        raise EncodeError("a dateutil tzoffset of a day or more cannot be stored")
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

    kind, *arguments = typed(data, list)
    if kind == "tzutc" and not arguments:
        return tz.tzutc()
    if kind == "tzoffset":
        name, seconds = arguments
        if name is not None:
            typed(name, str)
        offset = dt.timedelta(seconds=typed(seconds, int))
        _write_total(offset)
        return tz.tzoffset(name, offset)
    (key,) = arguments
    # gettz() would also open any file that is named by a path.
    zone = tz.gettz(key) if kind == "tzfile" and _ZONE_KEY.fullmatch(key) else None
    if type(zone) is not tz.tzfile:
        raise ValueError
    return zone


_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
DECODERS["$dateutil"] = _decode_dateutil
LATE["dateutil"] = _dateutil_encoders


# -- containers --------------------------------------------------------------------------


def _encode_dict(value: dict[Any, Any], room: int) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return dict(zip(value, encode_all(value.values(), room, AT_KEY), strict=True))
    keys = encode_all(value, room, AT_KEY)
    values = encode_all(value.values(), room, AT_KEY)
    return {"$dict": [list(pair) for pair in zip(keys, values, strict=True)]}


def _decode_dict(data: Any) -> Any:
    pairs = [row(pair, 2) for pair in typed(data, list)]
    keys = decode_all((key for key, _ in pairs), AT_KEY)
    values = decode_all((value for _, value in pairs), AT_KEY)
    return _whole(dict(zip(keys, values, strict=True)), pairs)


def _whole(made: Any, data: list[Any]) -> Any:
    if len(made) != len(data):
        raise ValueError("keys or elements are equal")
    return made


def _sequence(tag: str, make: Callable[[list[Any]], Any]) -> Encoder:
    DECODERS[tag] = lambda data: make(decode_all(typed(data, list)))
    return lambda value, room: {tag: encode_all(value, room)}


def _any_set(tag: str, make: Callable[[list[Any]], Any]) -> Encoder:
    DECODERS[tag] = lambda data: _whole(make(decode_all(typed(data, list))), data)
    # The order of a set differs between processes. Its text should not.
    return lambda value, room: {tag: sorted(encode_all(value, room), key=json.dumps)}


DECODERS["$dict"] = _decode_dict
ENCODERS |= {
    list: encode_all,
    dict: _encode_dict,
    tuple: _sequence("$tuple", tuple),
    set: _any_set("$set", set),
    frozenset: _any_set("$frozenset", frozenset),
}


def _pair(
    tag: str, kind: type, parts: Callable[[Any], tuple[Any, Any]], make: Callable[..., Any]
) -> Encoder:
    def decode(data: Any) -> Any:
        # Of nothing else: Fraction("1e999999999", None) would take all memory there is.
        return make(*(typed(part, kind) for part in decode_all(row(data, 2))))

    DECODERS[tag] = decode
    return lambda value, room: {tag: encode_all(parts(value), room)}


ENCODERS[complex] = _pair("$complex", float, lambda v: (v.real, v.imag), complex)
ENCODERS[Fraction] = _pair("$fraction", int, lambda v: (v.numerator, v.denominator), Fraction)

BUILT_IN = frozenset(ENCODERS)
