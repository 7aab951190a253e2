"""Aggregate roots: entities that keep their events until they are saved, all or none."""

from __future__ import annotations

from eventsourcing.domain.model import stores
from eventsourcing.domain.model.entity import TimestampedVersionedEntity
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.domain.model.saving import Saved, publish_pending
from eventsourcing.exceptions import NoApplicationError

__all__ = ["AggregateRoot"]


class AggregateRoot(TimestampedVersionedEntity):
    """The root of a cluster of objects that change together.

    Commands make pending events; :meth:`save` stores them in one transaction::

        class Account(AggregateRoot):
            def __init__(self, owner: str, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.owner = owner
                self.balance = Decimal(0)

            @event("Deposited")
            def deposit(self, amount: Decimal) -> None:
                self.balance += amount

        account = Account.create(owner="Ann")
        account.deposit(Decimal("10"))
        account.save()
    """

    class Event(TimestampedVersionedEntity.Event):
        """Something that happened to the aggregate."""

        _free_form = True

    class Created(Event, TimestampedVersionedEntity.Created): ...

    class AttributeChanged(Event, TimestampedVersionedEntity.AttributeChanged): ...

    class Discarded(Event, TimestampedVersionedEntity.Discarded): ...

    @property
    def pending_events(self) -> tuple[DomainEvent, ...]:
        """What has happened since the last save, in order."""
        return tuple(self._es_pending)

    def save(self) -> Saved:
        """Stores all pending events in one transaction, then tells the subscribers.

        The application is the one that loaded or created the aggregate, else the innermost
        active one, else the only open one.

        Returns:
            What was saved: its ``position`` in the feed is what to wait for, to read it in a view.

        Raises:
            ConcurrencyError: somebody else has changed the aggregate. Load it again.
            NoApplicationError: no application stores such events.
            AmbiguousApplicationError: several open applications could.
            ApplicationClosedError: the aggregate's application has been closed.
            EncodeError: a value cannot be stored.
            PersistenceError: the database refused, or could not be reached.
            SubscriberError: the events ARE stored, but subscribers failed afterwards.

        After any error but the last one nothing is stored (with ``OutcomeUnknown``: perhaps),
        and the events are still pending.
        """
        if not self._es_pending:
            return Saved()
        store = stores.choose(self._es_pending, self._es_home)
        if store is None:
            raise NoApplicationError(
                f"nobody would store the events of {type(self).__qualname__} {self.id!r}:"
                " no application that stores such events is open"
            )
        return publish_pending([self], store)

    def _emit(self, event: DomainEvent) -> None:
        self._es_pending.append(event)
