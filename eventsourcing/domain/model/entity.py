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
from typing import Any
from uuid import UUID

from eventsourcing.domain.model.domainentity import DomainEntity
from eventsourcing.domain.model.events import EventWithOriginatorVersion, EventWithTimestamp
from eventsourcing.exceptions import OriginatorVersionError
from eventsourcing.utils.times import utc_now

__all__ = [
    "DomainEntity",
    "TimestampedEntity",
    "TimestampedVersionedEntity",
    "VersionedEntity",
]


class VersionedEntity(DomainEntity):
    """An entity whose events are numbered: 0 for the first one."""

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

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {"originator_id": originator_id, "originator_version": version}

    def _check_follows(self, event: Any) -> None:
        if (
            event.originator_version == self._es_version
            and event.originator_id is self._es_id
            and event._of_class is type(self)
            and not self._es_discarded
        ):
            return  # nearly always
        super()._check_follows(event)
        if event.originator_version != self._es_version:
            raise OriginatorVersionError(
                f"{type(event).__qualname__} has position {event.originator_version}, but"
                f" {type(self).__qualname__} {self._es_id!r} takes {self._es_version} next"
            )

    def _count(self, event: Any) -> None:
        self._es_version += 1


class TimestampedEntity(DomainEntity):
    """An entity that knows when its first and its last event happened."""

    _es_created_on: datetime
    _es_last_modified: datetime

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

    def _begin(self, event: Any) -> None:
        super()._begin(event)
        self._es_created_on = self._es_last_modified = event.timestamp

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {"originator_id": originator_id, "timestamp": utc_now()}

    def _count(self, event: Any) -> None:
        self._es_last_modified = event.timestamp


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

    @staticmethod
    def _place(originator_id: UUID | str | int, version: int) -> dict[str, Any]:
        return {
            "originator_id": originator_id,
            "originator_version": version,
            "timestamp": utc_now(),
        }

    def _count(self, event: Any) -> None:
        self._es_version += 1
        self._es_last_modified = event.timestamp
