"""Events and an aggregate for the suites to store."""

from typing import TYPE_CHECKING, Any

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion

__all__ = ["Account", "Anything", "Happened", "Noted"]


class Happened(EventWithOriginatorID, EventWithOriginatorVersion):
    """An event with one typed field."""

    note: str = ""


class Anything(EventWithOriginatorID, EventWithOriginatorVersion):
    """An event with a field for any value."""

    value: Any


class Noted(EventWithOriginatorID, EventWithOriginatorVersion):
    """A free-form event."""

    if TYPE_CHECKING:

        def __init__(self, **attributes: Any) -> None: ...


class Account(AggregateRoot):
    """An aggregate with a balance."""

    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        self.balance += amount
