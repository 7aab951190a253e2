"""The aggregates that the workloads save and load with the library."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from benchmarks.payloads import Order
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event


class Item(AggregateRoot):
    """Both its events carry all of the small payload."""

    def __init__(
        self, name: str, qty: int, ref: UUID, price: Decimal, at: datetime, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.qty, self.ref, self.price, self.at = name, qty, ref, price, at

    @event("Changed")
    def change(self, name: str, qty: int, ref: UUID, price: Decimal, at: datetime) -> None:
        self.name, self.qty, self.ref, self.price, self.at = name, qty, ref, price, at


class LargeItem(AggregateRoot):
    """Both its events carry all of the large payload."""

    def __init__(self, qty: int, order: Order, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.qty, self.order = qty, order

    @event("Changed")
    def change(self, qty: int, order: Order) -> None:
        self.qty, self.order = qty, order
