"""Type annotations, compiled once into something quick to ask.

:func:`compile_type` makes a :class:`TypeSpec` of an annotation. It answers two questions that
must not be confused. ``check``: is this value acceptable, as a type checker would say? ``exact``:
is it so much what the annotation says that its JSON need not name the type?
"""

from __future__ import annotations

import collections
import collections.abc as abc
import dataclasses
import datetime as dt
import enum
import inspect
import math
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.transcoding import (
    INT64_MAX,
    INT64_MIN,
    build_dataclass,
    is_namedtuple,
    know_class,
)

__all__ = ["TypeSpec", "compile_type"]

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


def compile_type(annotation: Any) -> TypeSpec:
    """Returns the meaning of a resolved annotation (of ``get_type_hints(include_extras=True)``).

    Raises:
        TypeError: it holds a dataclass whose own annotations cannot be resolved, so that the
            form of its values would depend on what else is imported.
    """
    return _compile(annotation, frozenset())


def _compile(annotation: Any, outer: frozenset[type]) -> TypeSpec:
    """``outer`` are the dataclasses around the annotation; one inside of itself ends there."""
    annotation = _unwrap(annotation)
    origin = typing.get_origin(annotation)
    if origin is not None:
        args = typing.get_args(annotation)
        if not args and not isinstance(annotation, types.GenericAlias):
            return _compile(origin, outer)  # typing.List, without arguments
        return _GENERICS.get(origin, _other_generic)(annotation, origin, args, outer)
    if annotation is Any:
        return _ANY
    if not isinstance(annotation, type) or getattr(annotation, "_is_protocol", False):
        return TypeSpec(_name(annotation), _anything)
    if typing.is_typeddict(annotation):
        return TypeSpec(_name(annotation), _instance(dict))
    return _LEAVES.get(annotation) or _compile_class(annotation, outer)


def _unwrap(annotation: Any) -> Any:
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


def _name(annotation: Any) -> str:
    if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
        return repr(annotation).replace("typing.", "").replace("collections.abc.", "")
    return "None" if annotation is type(None) else annotation.__qualname__


def _anything(value: Any) -> bool:
    return True


def _instance(*classes: type) -> Test:
    return lambda value: isinstance(value, classes)


def _is(cls: type) -> Test:
    return lambda value: type(value) is cls


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


def _convert(wire: Any, name: str) -> Read:
    def read(data: Any) -> Any:
        try:
            return msgspec.convert(data, wire)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError):
            raise _unlike(name, data) from None  # the cause would show the payload

    return read


def _unlike(name: str, data: Any) -> DecodeError:
    return DecodeError(f"expected {name}, found {_JSON_NAMES.get(type(data), 'something else')}")


_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
_JSON_NAMES |= {bool: "a boolean", int: "a number", float: "a number"}


def _read_str(data: Any) -> Any:
    if type(data) is not str:  # not msgspec's, which refuses lone surrogates
        raise _unlike("str", data)
    return data


def _read_decimal(data: Any) -> Any:
    if type(data) is not str:  # a number has lost its trailing zeros by now
        raise _unlike("Decimal", data)
    return _convert(Decimal, "Decimal")(data)


def _leaf(cls: type, *also: type, exact: Test | None = None, read: Read | None = None) -> TypeSpec:
    name = _name(cls)
    return TypeSpec(
        name, _instance(cls, *also), exact or _is(cls), cls, read or _convert(cls, name), True, True
    )


def _plain(cls: type, *also: type) -> TypeSpec:
    return TypeSpec(_name(cls), _instance(cls, *also), immutable=True)


_ANY = TypeSpec("Any", _anything)
_LEAVES: dict[Any, TypeSpec] = {
    object: TypeSpec("object", _anything),
    abc.Callable: TypeSpec("Callable", _anything),
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


# -- classes -----------------------------------------------------------------------------


def _compile_class(cls: Any, outer: frozenset[type]) -> TypeSpec:
    if isinstance(cls, enum.EnumMeta):
        know_class(cls)
        return _compile_enum(cls)
    if is_namedtuple(cls):
        know_class(cls)
        hints = _hints(cls) or {}
        fields = [_compile(hints.get(name, Any), outer) for name in cls._fields]
        return TypeSpec(_name(cls), _instance(cls), immutable=all(f.immutable for f in fields))
    if "__dataclass_fields__" in vars(cls) and cls not in outer:
        know_class(cls)
        return _compile_dataclass(cls, outer | {cls})
    return TypeSpec(_name(cls), _instance(cls))


def _hints(cls: Any) -> dict[str, Any] | None:
    """Returns the annotations of a class, or None if they do not resolve."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return None


def _compile_enum(cls: Any) -> TypeSpec:
    spec = TypeSpec(_name(cls), _instance(cls), immutable=True)
    if issubclass(cls, enum.Flag) or cls._missing_.__func__ is not enum.Enum._missing_.__func__:  # type: ignore[attr-defined]
        return spec  # values that are not members, or not the member's own
    try:
        back = [msgspec.json.decode(msgspec.json.encode(m), type=cls) is m for m in cls]
    except (msgspec.MsgspecError, ValueError, TypeError, NotImplementedError):
        return spec
    if not all(back) or not back:
        return spec
    return dataclasses.replace(
        spec, exact=_is(cls), wire=cls, read=_convert(cls, spec.name), scalar=True
    )


def _compile_dataclass(cls: Any, outer: frozenset[type]) -> TypeSpec:
    names = [field.name for field in dataclasses.fields(cls)]
    plain = _is_plain(cls, names)
    hints = _hints(cls)
    if hints is None:
        if plain:
            raise TypeError(f"the annotations of dataclass {cls.__qualname__} cannot be resolved")
        return TypeSpec(_name(cls), _instance(cls))
    fields = {name: _compile(hints.get(name, Any), outer) for name in names}
    frozen = cls.__dataclass_params__.frozen and all(f.immutable for f in fields.values())
    spec = TypeSpec(_name(cls), _instance(cls), immutable=frozen)
    tests = [(name, field.exact) for name, field in fields.items() if field.exact]
    readers = [(name, field.read) for name, field in fields.items() if field.read]
    if not plain or any(field.wire is None for field in fields.values()) or not _decodable(cls):
        return spec

    def exact(value: Any) -> bool:
        if type(value) is not cls:
            return False
        try:
            for name, test in tests:
                if not test(getattr(value, name)):
                    return False
        except AttributeError:  # a field was deleted
            return False
        return True

    def read(data: Any) -> Any:
        if type(data) is not dict:
            raise _unlike(spec.name, data)
        if odd := sorted(data.keys() ^ fields.keys()):
            raise DecodeError(f"fields are missing or unknown: {', '.join(odd)[:200]}")
        values = [(n, _step(f".{n}", r, data[n])) for n, r in readers]
        return build_dataclass(cls, values)

    return dataclasses.replace(spec, exact=exact, wire=cls, read=read)


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


def _decodable(wire: Any) -> bool:
    try:
        msgspec.json.Decoder(wire)
    except (TypeError, NotImplementedError, ValueError, NameError, AttributeError):
        return False
    return True


def _step(step: str, read: Read, data: Any) -> Any:
    try:
        return read(data)
    except DecodeError as error:
        error.field = step + error.field
        raise


# -- generics: (annotation, origin, arguments, outer) -> TypeSpec ----------------------------

Outer = frozenset[type]


def _compile_elements(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    """``list[T]``, ``Sequence[T]``, ``set[T]`` and so on."""
    item = _compile(args[0], outer)
    test = item.check

    def check(value: Any) -> bool:
        if not isinstance(value, origin):
            return False
        return not isinstance(value, abc.Collection) or all(map(test, value))

    frozen = origin is frozenset and item.immutable
    spec = TypeSpec(_name(annotation), check, immutable=frozen)
    return _array(spec, list, item, list[item.wire]) if origin is list else spec  # type: ignore[name-defined]


def _array(spec: TypeSpec, cls: Any, item: TypeSpec, wire: Any) -> TypeSpec:
    test, reader = item.exact, item.read
    if test is None or reader is None:
        return spec

    def exact(value: Any) -> bool:
        return type(value) is cls and all(map(test, value))

    def read(data: Any) -> Any:
        if type(data) is not list:
            raise _unlike(spec.name, data)
        return cls(_step(f"[{n}]", reader, item) for n, item in enumerate(data))

    return dataclasses.replace(spec, exact=exact, wire=wire, read=read)


def _compile_tuple(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    if len(args) == 2 and args[1] is ...:
        item = _compile(args[0], outer)
        test = item.check
        spec = TypeSpec(
            _name(annotation),
            lambda value: isinstance(value, tuple) and all(map(test, value)),
            immutable=item.immutable,
        )
        wire = tuple[item.wire, ...]  # type: ignore[name-defined]
        return _array(spec, tuple, item, wire)
    return _compile_row(_name(annotation), [_compile(arg, outer) for arg in args])


def _compile_row(name: str, items: list[TypeSpec]) -> TypeSpec:
    size = len(items)

    def check(value: Any) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == size
            and all(item.check(part) for item, part in zip(items, value, strict=True))
        )

    spec = TypeSpec(name, check, immutable=all(item.immutable for item in items))
    tests = [item.exact for item in items if item.exact]
    readers = [item.read for item in items if item.read]
    if len(tests) < size:
        return spec

    def exact(value: Any) -> bool:
        return (
            type(value) is tuple
            and len(value) == size
            and all(test(part) for test, part in zip(tests, value, strict=True))
        )

    def read(data: Any) -> Any:
        if type(data) is not list or len(data) != size:
            raise _unlike(name, data)
        parts = enumerate(zip(readers, data, strict=True))
        return tuple(_step(f"[{n}]", reader, part) for n, (reader, part) in parts)

    wire = tuple[tuple(item.wire for item in items)]  # type: ignore[valid-type,misc]
    return dataclasses.replace(spec, exact=exact, wire=wire, read=read)


def _compile_mapping(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    key, item = (_compile(arg, outer) for arg in (*args, Any)[:2])
    test_key, test = key.check, item.check

    def check(value: Any) -> bool:
        return (
            isinstance(value, origin)
            and all(map(test_key, value))
            and all(map(test, value.values()))
        )

    spec = TypeSpec(_name(annotation), check)
    exact_item, reader = item.exact, item.read
    if origin is not dict or key is not _LEAVES[str] or exact_item is None or reader is None:
        return spec
    is_str = _is(str)

    def exact(value: Any) -> bool:
        return (
            type(value) is dict and all(map(is_str, value)) and all(map(exact_item, value.values()))
        )

    def read(data: Any) -> Any:
        if type(data) is not dict:
            raise _unlike(spec.name, data)
        return {k: _step(f"[key {n}]", reader, v) for n, (k, v) in enumerate(data.items())}

    wire = dict[str, item.wire]  # type: ignore[name-defined]
    return dataclasses.replace(spec, exact=exact, wire=wire, read=read)


def _compile_union(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    items = [_compile(arg, outer) for arg in args]
    checks = [item.check for item in items]
    spec = TypeSpec(
        _name(annotation),
        lambda value: any(check(value) for check in checks),
        immutable=all(item.immutable for item in items),
    )
    others = [item for item in items if item is not _LEAVES[type(None)]]
    test, reader = others[0].exact, others[0].read
    if len(items) != 2 or len(others) != 1 or test is None or reader is None:
        return spec
    return dataclasses.replace(
        spec,
        exact=lambda value: value is None or test(value),
        wire=typing.Optional[others[0].wire],  # noqa: UP045
        read=lambda data: None if data is None else reader(data),
        scalar=others[0].scalar,
    )


def _compile_literal(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    allowed = frozenset((type(arg), arg) for arg in args)

    def check(value: Any) -> bool:
        try:
            return (type(value), value) in allowed
        except TypeError:  # not hashable
            return False

    spec = TypeSpec(_name(annotation), check, immutable=True)
    if {type(arg) for arg in args} not in ({str}, {int}) or not _decodable(annotation):
        return spec
    return dataclasses.replace(
        spec, exact=check, wire=annotation, read=_convert(annotation, spec.name), scalar=True
    )


def _other_generic(annotation: Any, origin: Any, args: Any, outer: Outer) -> TypeSpec:
    if isinstance(origin, type) and not getattr(origin, "_is_protocol", False):
        return TypeSpec(_name(annotation), _instance(origin))
    return TypeSpec(_name(annotation), _anything)


_ELEMENTS = (list, set, frozenset, collections.deque, abc.Iterable, abc.Collection, abc.Sequence)
_ELEMENTS += (abc.MutableSequence, abc.Set, abc.MutableSet)  # type: ignore[assignment]
_MAPPINGS = (
    dict,
    collections.OrderedDict,
    collections.defaultdict,
    abc.Mapping,
    abc.MutableMapping,
)

_GENERICS: dict[Any, Callable[[Any, Any, Any, Outer], TypeSpec]] = {
    **dict.fromkeys(_ELEMENTS, _compile_elements),
    **dict.fromkeys(_MAPPINGS, _compile_mapping),
    tuple: _compile_tuple,
    typing.Union: _compile_union,
    types.UnionType: _compile_union,
    typing.Literal: _compile_literal,
    abc.Callable: lambda annotation, origin, args, outer: _LEAVES[abc.Callable],
}
