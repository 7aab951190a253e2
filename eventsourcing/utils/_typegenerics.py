"""The annotations that are made of others: containers, unions, literals."""

from __future__ import annotations

import collections
import collections.abc as abc
import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from eventsourcing.utils._typeleaves import (
    LEAVES,
    PERSONAL_TAG,
    TypeSpec,
    all_are_exact,
    anything,
    convert,
    decodable,
    instance,
    name_of,
    row_is_exact,
    step,
    unlike,
)

# Each takes (annotation, origin, arguments, what compiles them).

Compile = Callable[[Any], TypeSpec]


def _compile_elements(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    """``list[T]``, ``Sequence[T]``, ``set[T]`` and so on."""
    item = compiled(args[0])
    test = item.check

    def check(value: Any) -> bool:
        if not isinstance(value, origin):
            return False
        return not isinstance(value, abc.Collection) or all(map(test, value))

    frozen = origin is frozenset and item.immutable
    spec = TypeSpec(name_of(annotation), check, immutable=frozen)
    return _array(spec, list, item, list[item.wire]) if origin is list else spec  # type: ignore[name-defined]


def _array(spec: TypeSpec, cls: Any, item: TypeSpec, wire: Any) -> TypeSpec:
    rest, reader = all_are_exact(item), item.read
    if rest is None or reader is None:
        return spec

    def read(data: Any) -> Any:
        if type(data) is not list:
            raise unlike(spec.name, data)
        return cls(step(f"[{n}]", reader, item) for n, item in enumerate(data))

    return spec.natural(cls, rest, wire, read)


def _compile_tuple(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    if len(args) == 2 and args[1] is ...:
        item = compiled(args[0])
        test = item.check
        spec = TypeSpec(
            name_of(annotation),
            lambda value: isinstance(value, tuple) and all(map(test, value)),
            immutable=item.immutable,
        )
        wire = tuple[item.wire, ...]  # type: ignore[name-defined]
        return _array(spec, tuple, item, wire)
    return _compile_row(name_of(annotation), [compiled(arg) for arg in args])


def _compile_row(name: str, items: list[TypeSpec]) -> TypeSpec:
    size = len(items)

    def check(value: Any) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == size
            and all(item.check(part) for item, part in zip(items, value, strict=True))
        )

    spec = TypeSpec(name, check, immutable=all(item.immutable for item in items))
    rest = row_is_exact(items)
    if rest is None:
        return spec
    readers: list[Any] = [item.read for item in items]  # none is None, as each can be exact

    def read(data: Any) -> Any:
        if type(data) is not list or len(data) != size:
            raise unlike(name, data)
        parts = enumerate(zip(readers, data, strict=True))
        return tuple(step(f"[{n}]", reader, part) for n, (reader, part) in parts)

    wire = tuple[tuple(item.wire for item in items)]  # type: ignore[valid-type,misc]
    return spec.natural(tuple, rest, wire, read)


def _compile_mapping(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    key, item = (compiled(arg) for arg in (*args, Any)[:2])
    test_key, test = key.check, item.check

    def check(value: Any) -> bool:
        return (
            isinstance(value, origin)
            and all(map(test_key, value))
            and all(map(test, value.values()))
        )

    spec = TypeSpec(name_of(annotation), check)
    are_exact, reader = all_are_exact(item), item.read
    if origin is not dict or key is not LEAVES[str] or are_exact is None or reader is None:
        return spec
    are_strings = frozenset((str,)).issuperset

    def rest(value: Any) -> bool:
        return (
            are_strings(map(type, value))
            and PERSONAL_TAG not in value  # nobody's data is to look like what is encrypted
            and are_exact(value.values())
        )

    def read(data: Any) -> Any:
        if type(data) is not dict:
            raise unlike(spec.name, data)
        return {k: step(f"[key {n}]", reader, v) for n, (k, v) in enumerate(data.items())}

    wire = dict[str, item.wire]  # type: ignore[name-defined]
    return spec.natural(dict, rest, wire, read)


def _compile_union(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    items = [compiled(arg) for arg in args]
    checks = [item.check for item in items]
    spec = TypeSpec(
        name_of(annotation),
        lambda value: any(check(value) for check in checks),
        immutable=all(item.immutable for item in items),
    )
    others = [item for item in items if item is not LEAVES[type(None)]]
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


def _compile_literal(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    allowed = frozenset((type(arg), arg) for arg in args)
    kinds = frozenset(map(type, args))

    def check(value: Any) -> bool:
        # By the class first: what another value's hash or comparison runs may raise anything.
        return type(value) in kinds and (type(value), value) in allowed

    spec = TypeSpec(name_of(annotation), check, immutable=True)
    if {type(arg) for arg in args} not in ({str}, {int}) or not decodable(annotation):
        return spec
    kind = type(args[0])
    return spec.natural(kind, check, annotation, convert(annotation, spec.name), scalar=True)


def other_generic(annotation: Any, origin: Any, args: Any, compiled: Compile) -> TypeSpec:
    if isinstance(origin, type) and not getattr(origin, "_is_protocol", False):
        return TypeSpec(name_of(annotation), instance(origin))
    return TypeSpec(name_of(annotation), anything)


_ELEMENTS = (list, set, frozenset, collections.deque, abc.Iterable, abc.Collection, abc.Sequence)
_ELEMENTS += (abc.MutableSequence, abc.Set, abc.MutableSet)  # type: ignore[assignment]
_MAPPINGS = (
    dict,
    collections.OrderedDict,
    collections.defaultdict,
    abc.Mapping,
    abc.MutableMapping,
)

GENERICS: dict[Any, Callable[[Any, Any, Any, Compile], TypeSpec]] = {
    **dict.fromkeys(_ELEMENTS, _compile_elements),
    **dict.fromkeys(_MAPPINGS, _compile_mapping),
    tuple: _compile_tuple,
    typing.Union: _compile_union,
    types.UnionType: _compile_union,
    typing.Literal: _compile_literal,
    abc.Callable: lambda annotation, origin, args, compiled: LEAVES[abc.Callable],
}
