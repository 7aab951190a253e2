"""Entities: objects whose state is the sum of their events.

Every entity class has its own nested ``Event``, ``Created``, ``AttributeChanged`` and
``Discarded``; a subclass that does not write them gets them made::

    class Person(TimestampedVersionedEntity):
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name = name

    Person.Created      # a typed event class, with the field ``name``

The entities of this module publish each event at once. An
:class:`~eventsourcing.domain.model.aggregate.AggregateRoot` keeps them until it is saved.
"""

from __future__ import annotations

from datetime import datetime

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import EventWithOriginatorVersion, EventWithTimestamp

__all__ = [
    "DomainEntity",
    "TimestampedEntity",
    "TimestampedVersionedEntity",
    "VersionedEntity",
]


class VersionedEntity(DomainEntity):
    """An entity whose events are numbered: 0 for the first one."""

    _es_versioned = True

    class Event(EventWithOriginatorVersion, DomainEntity.Event):
        """Something that happened to the entity, with its position."""

        _free_form = True

    class Created(Event, DomainEntity.Created): ...

    class AttributeChanged(Event, DomainEntity.AttributeChanged): ...

    class Discarded(Event, DomainEntity.Discarded): ...

    @property
    def version(self) -> int:
        """How many events were applied, which is the position that the next one takes."""
        return self._es_version


class TimestampedEntity(DomainEntity):
    """An entity that knows when its first and its last event happened."""

    _es_timestamped = True

    class Event(EventWithTimestamp, DomainEntity.Event):
        """Something that happened to the entity, with its time."""

        _free_form = True

    class Created(Event, DomainEntity.Created): ...

    class AttributeChanged(Event, DomainEntity.AttributeChanged): ...

    class Discarded(Event, DomainEntity.Discarded): ...

    @property
    def created_on(self) -> datetime:
        """When the entity was created (aware, UTC)."""
        return self._es_created_on

    @property
    def last_modified(self) -> datetime:
        """When the entity's last event happened (aware, UTC)."""
        return self._es_last_modified


class TimestampedVersionedEntity(TimestampedEntity, VersionedEntity):
    """An entity whose events have both a position and a time."""

    class Event(TimestampedEntity.Event, VersionedEntity.Event):
        """Something that happened to the entity, with its position and time."""

        _free_form = True

    class Created(Event, TimestampedEntity.Created, VersionedEntity.Created): ...

    class AttributeChanged(
        Event, TimestampedEntity.AttributeChanged, VersionedEntity.AttributeChanged
    ):
        """An attribute of the entity was given a new value."""

    class Discarded(Event, TimestampedEntity.Discarded, VersionedEntity.Discarded): ...
