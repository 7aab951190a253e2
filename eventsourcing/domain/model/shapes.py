"""What classes are made of, told in the same words in every process. Part of the domain layer.

What is told is lists of texts. It depends neither on the order of sets and dicts nor on addresses,
and so cannot have the default ``repr()`` of anything.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, EnumMeta
from fractions import Fraction
from functools import cached_property, partial, partialmethod, singledispatchmethod
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.utils.copying import SCALARS
from eventsourcing.utils.topic import upcasters_of

__all__ = ["is_nested", "is_ours", "shape_of", "shapes_of"]

Path = tuple[int, ...]  # of the objects around one, by which one that is inside of itself is known

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SUNDER = re.compile(r"_[^_].*_\Z")
_OWNER = "_of_class"  # in event classes: their aggregate's, whose name is no part of what it does
_SAY_ALL = (range, slice, bytearray, Fraction)  # with their repr()
_HAVE_CODE = (FunctionType, property, classmethod, staticmethod, partialmethod)


def is_ours(cls: type) -> bool:
    """Whether a class is the library's own, or the base of all classes."""
    return cls is object or cls.__module__.partition(".")[0] == "eventsourcing"


def is_nested(value: Any, cls: type) -> bool:
    """Whether a member of a class is a class that was defined in its body."""
    return isinstance(value, type) and value.__qualname__.startswith(f"{cls.__qualname__}.")


def shapes_of(cls: type) -> list[Any]:
    """Returns the shapes of a class and its bases, without those that are the library's own."""
    return [shape_of(base) for base in cls.__mro__ if not is_ours(base)]


def shape_of(cls: type) -> list[Any]:
    """Returns what a class is made of, without its bases and its name: annotations, upcasters,
    constants, the code of its methods, and the classes that are nested in it.
    """
    shape: list[Any] = [_annotations(cls)]
    for step in upcasters_of(cls):
        called = inspect.getattr_static(type(step), "__call__", None)  # of an object, its code
        shape.append([_told(step), _told(called)])
    members: Mapping[str, Any] = vars(cls)
    if isinstance(cls, EnumMeta):  # which also keeps what it was asked for
        values: dict[str, Any] = dict(cls.__members__)
        shape.append([[name, _told(each._value_)] for name, each in values.items()])
        members = {n: v for n, v in members.items() if n not in values and not _SUNDER.match(n)}
    for name, value in sorted(members.items()):
        if name.startswith("_es_") or name == _OWNER:
            continue
        if is_nested(value, cls):
            is_event = issubclass(value, DomainEvent)
            shape.append([name, shapes_of(value) if is_event else shape_of(value)])
        elif not name.startswith("__") or isinstance(value, _HAVE_CODE):  # no __doc__, say
            shape.append([name, _told(value)])
    return shape


def _told(value: Any, path: Path = ()) -> Any:
    """Returns what is in a value, as far as that is known for its class. Of objects of any other
    class, the class alone.
    """
    cls = type(value)
    if isinstance(value, Enum):
        return [_name(cls), str(value._name_), _told(value._value_, path)]
    scalar: Any = next((base for base in cls.__mro__ if base in SCALARS), None)
    if scalar is not None:
        text = _ADDRESS.sub("", scalar.__repr__(value))  # of a time's zone
        return text if cls is scalar else [_name(cls), text]
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if id(value) in path:
        return f"it stands {len(path) - path.index(id(value))} around itself"
    try:
        return [_name(cls), *_parts(value, (*path, id(value)))]
    except Exception:  # of an application's: a load does not fail because of a snapshot
        return [_name(cls)]


def _parts(value: Any, path: Path) -> Iterable[Any]:
    match value:
        case FunctionType():
            return _function(value, path)
        case list() | tuple() | deque():
            return _each(value, path)
        case set() | frozenset():
            return sorted(_each([*value], path), key=repr)
        case dict() | MappingProxyType():
            return sorted((_each(item, path) for item in [*value.items()]), key=repr)
        case partial() | partialmethod():
            return _each((value.func, value.args, value.keywords), path)
        case property():
            return _each((value.fget, value.fset, value.fdel), path)
        case classmethod() | staticmethod():
            return _each((value.__func__,), path)
        case cached_property():
            return _each((value.func,), path)
        case singledispatchmethod():
            return _each((value.dispatcher,), path)
        case MethodType():
            return _each((value.__func__, value.__self__), path)
        case BuiltinFunctionType():
            return [value.__qualname__, _told(value.__self__, path)]
        case re.Pattern():
            return [repr(value.pattern), repr(value.flags)]
        case _ if isinstance(value, _SAY_ALL):
            return [_ADDRESS.sub("", repr(value))]
        case _ if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            return _each([(name, getattr(value, name, None)) for name in names], path)
        case _:
            wrapped = _kept_by(value, "__wrapped__")  # as by functools.lru_cache
            return [] if wrapped is None else _each((wrapped,), path)


def _each(values: Iterable[Any], path: Path) -> list[Any]:
    return [_told(value, path) for value in values]


def _kept_by(value: Any, name: str) -> Any:
    kept = getattr(value, "__dict__", None)
    return kept.get(name) if type(kept) is dict else None


def _function(function: FunctionType, path: Path) -> Iterator[Any]:
    yield _annotations(function)
    yield _each((function.__defaults__, function.__kwdefaults__), path)
    yield _code(function.__code__)
    wrapped, cases = (_kept_by(function, name) for name in ("__wrapped__", "registry"))
    if wrapped is not None:
        yield _told(wrapped, path)
    if isinstance(cases, MappingProxyType):  # of functools.singledispatch, which has caches too
        yield _told(cases, path)
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            content = cell.cell_contents
        except ValueError:
            continue  # nothing is in it yet
        if not name.startswith("__") and content is not wrapped:  # not __class__, say
            yield [name, _told(content, path)]


def _annotations(of: Any) -> list[tuple[str, str]]:
    try:
        found = inspect.get_annotations(of)
    except Exception:  # a name that is not there at run time
        return []
    return [(name, _ADDRESS.sub("", str(kind))) for name, kind in found.items()]


def _code(code: CodeType) -> list[Any]:
    constants = [_constant(each) for each in code.co_consts]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    names = [code.co_names, code.co_varnames, code.co_freevars]
    return [code.co_code.hex(), code.co_exceptiontable.hex(), counts, names, constants]


def _constant(value: object) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    return _told(value) if isinstance(value, tuple | frozenset) else repr(value)


def _name(cls: type) -> str:
    return f"{cls.__module__}#{cls.__qualname__}"
