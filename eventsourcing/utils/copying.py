"""Copies of values that share nothing mutable with the original.

What cannot change is not copied. Which classes those are is found out once for each class; that
nothing mutable is inside of one of their objects is found out for each object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cached_property
from operator import is_
from types import NoneType
from typing import Any
from uuid import UUID

from eventsourcing.utils._classforms import is_namedtuple

__all__ = ["SCALARS", "independent_copy"]

Copier = Callable[[Any], Any]

SCALARS = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, UUID, Decimal}
    | {datetime, date, time, timedelta, timezone}
)
"""Classes of which no object can change."""

_are_scalars = SCALARS.issuperset
_COPY_METHODS = ("__deepcopy__", "__reduce__", "__reduce_ex__")
# A frozen dataclass with slots is given these by dataclasses itself.
_STATE_METHODS = ("__getstate__", "__setstate__")


def independent_copy(value: Any) -> Any:
    """Returns what :func:`copy.deepcopy` would, much quicker for what events are made of.

    An object that cannot change, all the way down, is its own copy. One that can, and stands in
    several places, is copied for each, as if it had been stored.

    Raises:
        RecursionError: the value contains itself.
        Exception: as :func:`copy.deepcopy`.
    """
    cls = type(value)
    if cls in SCALARS:
        return value
    return (_COPIERS.get(cls) or _copier_of(cls))(value)


def _copies(values: Iterable[Any]) -> list[Any]:
    return [  # independent_copy() in line
        value if (cls := type(value)) in SCALARS else (_COPIERS.get(cls) or _copier_of(cls))(value)
        for value in values
    ]


def _copy_list(value: list[Any]) -> list[Any]:
    return value.copy() if _are_scalars(map(type, value)) else _copies(value)


def _copy_set(value: set[Any]) -> set[Any]:
    return value.copy() if _are_scalars(map(type, value)) else set(_copies(value))


def _copy_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    if _are_scalars(map(type, value)) and _are_scalars(map(type, value.values())):
        return value.copy()
    return {independent_copy(key): independent_copy(item) for key, item in value.items()}


def _copier_of_frozen(make: Callable[[list[Any]], Any]) -> Copier:
    """Returns a copier of tuples and the like, which ``make`` makes of copies of what they hold."""

    def copy(value: Any) -> Any:
        if _are_scalars(map(type, value)):
            return value
        copies = _copies(value)
        return value if all(map(is_, copies, value)) else make(copies)

    return copy


def _copier_of_dataclass(cls: type) -> Copier:
    """Returns a copier of dataclass objects that are their ``__dict__``."""
    is_frozen = _is_frozen(cls)

    def copy(value: Any) -> Any:
        state = vars(value)
        if is_frozen and _are_scalars(map(type, state.values())):
            return value
        copies = _copies(state.values())
        if is_frozen and all(map(is_, copies, state.values())):
            return value
        made: Any = object.__new__(cls)
        vars(made).update(zip(state, copies, strict=True))
        return made

    return copy


def _copier_of_slotted(cls: Any) -> Copier:
    """Returns a copier of frozen dataclass objects that are their slots."""
    names = [field.name for field in dataclasses.fields(cls)]

    def copy(value: Any) -> Any:
        values = [getattr(value, name) for name in names]
        return value if all(map(is_, _copies(values), values)) else deepcopy(value)

    return copy


def _is_frozen(cls: type) -> bool:
    # A subclass that is no dataclass itself can have further attributes, which can be set.
    parameters = vars(cls).get("__dataclass_params__")
    return parameters is not None and bool(parameters.frozen) and not _caches(cls)


def _caches(cls: type) -> bool:
    """Whether what objects of a class have worked out is kept in them, so that they change."""
    attributes = (each for base in cls.__mro__ for each in vars(base).values())
    return any(isinstance(each, cached_property) for each in attributes)


def _is_slotted(cls: type) -> bool:
    """Whether the objects of a dataclass have its fields, and room for nothing else."""
    names = {field.name for field in dataclasses.fields(cls)}
    slots = [vars(base).get("__slots__", ()) for base in cls.__mro__]
    return cls.__dictoffset__ == 0 and names.issuperset(
        name for each in slots for name in ((each,) if isinstance(each, str) else each)
    )


def _says_how(cls: type, names: Iterable[str] = _COPY_METHODS + _STATE_METHODS) -> bool:
    """Whether a class has a way of its own to be copied."""
    return any(getattr(cls, name, None) is not getattr(object, name, None) for name in names)


_COPIERS: dict[type, Copier] = {
    list: _copy_list,
    set: _copy_set,
    dict: _copy_dict,
    tuple: _copier_of_frozen(tuple),
    frozenset: _copier_of_frozen(frozenset),
}


def _copier_of(cls: type) -> Copier:
    copier = _COPIERS[cls] = _find_copier(cls)
    return copier


def _find_copier(cls: Any) -> Copier:
    if issubclass(cls, Enum):
        return lambda value: value
    if is_namedtuple(cls) and not cls.__dictoffset__ and not _says_how(cls):
        return _copier_of_frozen(lambda copies: tuple.__new__(cls, copies))
    if not hasattr(cls, "__dataclass_fields__"):
        return deepcopy
    if cls.__dictoffset__ and not any(vars(base).get("__slots__") for base in cls.__mro__):
        return deepcopy if _says_how(cls) else _copier_of_dataclass(cls)
    if _is_frozen(cls) and _is_slotted(cls) and not _says_how(cls, _COPY_METHODS):
        return _copier_of_slotted(cls)
    return deepcopy
