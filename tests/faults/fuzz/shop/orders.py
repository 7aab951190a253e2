"""An aggregate that is found by its topic alone, and what stands beside it."""

import os
from decimal import Decimal

from eventsourcing.domain.model.aggregate import AggregateRoot

DEFAULT = Decimal(1)


class Order(AggregateRoot):
    class Shipped(AggregateRoot.Event):
        address: str

    def ship(self, address: str) -> None:
        self._trigger(Order.Shipped, address=address)


class Named(AggregateRoot, topic="fuzzed-order"):
    pass


def where() -> str:
    return os.getcwd()
