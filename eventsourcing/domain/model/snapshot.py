"""Snapshots: what an aggregate was after so many of its events. Part of the domain layer.

A snapshot may take the place of the events before it only if replaying them would give the same.
Whether it would is told by a fingerprint of the aggregate's class.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import DomainEvent, event_classes, schema_of
from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.copying import SCALARS
from eventsourcing.utils.topic import upcasters_of

__all__ = ["Snapshot", "fingerprint_of", "has_whole_state", "holds_personal_data"]

_FORM = 1  # of what is kept of an aggregate
_KEPT = ("_es_created_on", "_es_last_modified")
_fingerprints: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_personal: WeakKeyDictionary[type, tuple[int, bool]] = WeakKeyDictionary()
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of an aggregate after so many events.

    Attributes:
        originator_id: the aggregate.
        originator_version: how many events are in it.
        entity_class: the aggregate's.
        state: its instance's ``__dict__``, without what an application keeps there for itself.
    """

    originator_id: UUID | str | int
    originator_version: int
    entity_class: type[DomainEntity]
    state: dict[str, Any]

    @classmethod
    def of(cls, entity: DomainEntity) -> Snapshot:
        """Returns a snapshot, whose values are the entity's own: not copies."""
        state = {
            name: value
            for name, value in entity.__dict__.items()
            if not name.startswith("_es_") or name in _KEPT
        }
        return cls(entity._es_id, entity._es_version, type(entity), state)

    def entity(self) -> Any:
        """Returns an aggregate that is as the one was. The values of the state become its own.

        Raises:
            DecodeError: the state is not that of such a snapshot.
        """
        internal = {name for name in self.state if name.startswith("_es_")}
        if internal != set(_KEPT if self.entity_class._es_timestamped else ()):
            raise DecodeError("it is not what is kept of an aggregate")
        made = self.entity_class.__new__(self.entity_class)
        made.__dict__.update(
            _es_id=self.originator_id,
            _es_version=self.originator_version,
            _es_pending=[],
            _es_stored=None,
            _es_home=None,
            _es_applying=None,
            _es_discarded=False,
            **self.state,
        )
        return made


def has_whole_state(entity_class: type) -> bool:
    """Whether all that its objects are is in their ``__dict__``, and not in slots."""
    return not any(vars(base).get("__slots__") for base in entity_class.__mro__)


def holds_personal_data(entity_class: type[DomainEntity]) -> bool:
    """Whether its events have fields that are marked as personal data: then what was made of them
    is not to be kept, since it could not be erased.
    """
    now = event_classes.changes
    then, holds = _personal.get(entity_class, (-1, False))
    if then != now:
        holds = any(schema_of(each).personal for each in _event_classes_of(entity_class))
        _personal[entity_class] = (now, holds)
    return holds


def _event_classes_of(entity_class: type[DomainEntity]) -> set[type[DomainEvent]]:
    nested = [getattr(entity_class, name, None) for name in dir(entity_class)]
    classes = {each for each in nested if isinstance(each, type) and issubclass(each, DomainEvent)}
    topics = event_classes.topics_of((entity_class.Event,))
    return classes.union(map(event_classes.resolve, topics))


def fingerprint_of(entity_class: type[DomainEntity]) -> str:
    """Returns 32 hexadecimal digits that change when the class may make another state of the same
    events: with its ``schema_version``, annotations, constants, methods, event classes and their
    upcasters, and those of its bases. (Not with its name; nor with functions elsewhere that it
    calls.)

    It also changes with what Python compiles methods to, and so with Python's minor version.
    """
    known = _fingerprints.get(entity_class)
    if known is None:
        shape = [_shape_of(base) for base in entity_class.__mro__ if not _is_ours(base)]
        version = entity_class.schema_version
        known = sha256(repr((_FORM, version, shape)).encode()).hexdigest()[:32]
        _fingerprints[entity_class] = known
    return known


def _is_ours(cls: type) -> bool:
    return cls is object or cls.__module__.partition(".")[0] == "eventsourcing"


def _shape_of(cls: type) -> list[Any]:
    steps = upcasters_of(cls)
    shape: list[Any] = [_annotations(cls), len(steps)]
    shape.extend((_signature(f), _code(f.__code__)) for step in steps for f in _functions(step))
    for name, value in sorted(vars(cls).items()):
        if name.startswith("_es_"):
            continue
        if isinstance(value, type):
            if value.__qualname__.startswith(f"{cls.__qualname__}."):
                shape.append((name, _shape_of(value)))
        elif type(value) in SCALARS:
            if not name.startswith("__"):  # such as __doc__, or __firstlineno__
                shape.append((name, repr(value)))
        else:
            shape.extend((name, _signature(f), _code(f.__code__)) for f in _functions(value))
    return shape


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yields the functions that a member of a class is made of, down to what was wrapped."""
    if isinstance(value, property):
        parts = [value.fget, value.fset]
    elif isinstance(value, FunctionType):
        yield value
        parts = [getattr(value, "__wrapped__", None)]
    else:  # a classmethod, staticmethod, cached_property
        parts = [getattr(value, name, None) for name in ("__func__", "func")]
    for part in parts:
        if part is not None:
            yield from _functions(part)


def _signature(function: FunctionType) -> list[Any]:
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    constants = [repr(value) for value in defaults if type(value) in SCALARS]
    return [_annotations(function), constants]


def _annotations(of: Any) -> list[tuple[str, str]]:
    try:
        found = inspect.get_annotations(of)
    except Exception:  # a name that is not there at run time
        return []
    return [(name, _ADDRESS.sub("", str(kind))) for name, kind in found.items()]


def _code(code: CodeType) -> list[Any]:
    constants = [_constant(each) for each in code.co_consts]
    return [code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants]


def _constant(value: object) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):  # whose order differs between processes
        return sorted(map(repr, value))
    return repr(value)
