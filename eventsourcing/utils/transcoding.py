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

import re
from collections.abc import Callable
from typing import Any, TypeVar

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils import _classforms  # noqa: F401 - its forms enter the tables
from eventsourcing.utils._forms import BUILT_IN
from eventsourcing.utils._general import (
    DECODERS,
    ENCODERS,
    MAX_DEPTH,
    decode_any,
    encode_any,
    inside,
    know_class,
    raise_at,
    type_name,
)
from eventsourcing.utils.topic import get_topic

__all__ = ["MAX_DEPTH", "decode_value", "encode_value", "register_type"]

T = TypeVar("T")

_REGISTERED: dict[str, type] = {}


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
        return encode_any(value, MAX_DEPTH)
    except EncodeError as error:
        raise_at(field, error)
    except RecursionError:  # little stack was left
        raise EncodeError(f"{field or 'value'}: nested too deeply", field=field) from None


def decode_value(data: Any, field: str = "") -> Any:
    """Returns the value whose general form is ``data``, read from JSON without loss.

    Raises:
        DecodeError: ``data`` is not the general form of a value, or names an unknown class.
    """
    try:
        return decode_any(data)
    except DecodeError as error:
        raise_at(field, error)
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
    if cls in BUILT_IN:
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
        return {key: encode_any(made, inside(room))}

    def decode_registered(data: Any) -> T:
        made = decode_any(data)
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
    ENCODERS[cls] = encode_registered
    DECODERS[key] = decode_registered
    know_class(cls)
