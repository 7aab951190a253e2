"""Snapshots: what an aggregate was after so many of its events. Part of the domain layer.

A snapshot may take the place of the events before it only if replaying them would give the same.
Whether it would is told by a fingerprint of the aggregate's class.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import event_classes, schema_of
from eventsourcing.domain.model.recipes import event_classes_of, takes
from eventsourcing.domain.model.shapes import is_nested, is_ours, shapes_of
from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.topic import get_topic

__all__ = ["Snapshot", "fingerprint_of", "has_whole_state", "holds_personal_data"]

_FORM = 1  # of what is kept of an aggregate
_KEPT = ("_es_created_on", "_es_last_modified")
_fingerprints: WeakKeyDictionary[type, tuple[int, str]] = WeakKeyDictionary()
_personal: WeakKeyDictionary[type, tuple[int, bool]] = WeakKeyDictionary()


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
        holds = any(schema_of(each).personal for each in event_classes_of(entity_class))
        _personal[entity_class] = (now, holds)
    return holds


def fingerprint_of(entity_class: type[DomainEntity]) -> str:
    """Returns 32 hexadecimal digits that change when the class may make another state of the same
    events: with its ``schema_version``, annotations, constants, methods and what these enclose, and
    those of its bases; and with its event classes and their upcasters, also those that are defined
    elsewhere, as far as they are known by now. (Not with its name; nor with functions elsewhere
    that it calls.)

    It also changes with what Python compiles methods to, and so with Python's minor version.
    """
    now = event_classes.changes
    then, known = _fingerprints.get(entity_class, (-1, ""))
    if then != now:
        outside = sorted(_outside_of(entity_class), key=get_topic)
        shape = [
            [_FORM, entity_class.schema_version],
            shapes_of(entity_class),
            [[get_topic(each), shapes_of(each)] for each in outside],
        ]
        known = sha256(repr(shape).encode()).hexdigest()[:32]
        _fingerprints[entity_class] = (now, known)
    return known


def _outside_of(entity_class: type[DomainEntity]) -> set[Any]:
    """Returns the event classes of an application that are not nested in the aggregate's class, and
    that its objects take.

    One that is not known yet changed no state: its module is imported before an event of it is
    applied. And a state that it did change has a fingerprint in which it is.
    """
    bases = entity_class.__mro__
    inside = {each for base in bases for each in vars(base).values() if is_nested(each, base)}
    known = map(event_classes.resolve, event_classes.topics_of((DomainEntity.Event,)))
    found: set[Any] = {each for each in known if not is_ours(each)} - inside
    return {each for each in found if takes(entity_class, each)}
