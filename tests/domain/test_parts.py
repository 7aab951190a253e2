"""What aggregates are made of: entities inside of them, value objects and dataclasses."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.exceptions import EventFieldError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


class Size(NamedTuple):
    width: int
    height: int


UNIT = Size(1, 1)


@dataclass
class Address:
    street: str
    tags: list[str] = field(default_factory=list)


class Line:
    """An entity inside the aggregate: it has an id and changes, by events of the root."""

    def __init__(self, id: UUID, price: Money) -> None:
        self.id = id
        self.price = price
        self.quantity = 0

    def total(self) -> Money:
        return replace(self.price, amount=self.price.amount * self.quantity)


class Order(AggregateRoot):
    def __init__(self, address: Address, size: Size = UNIT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.address = address
        self.size = size
        self.colour = Colour.RED
        self.lines: dict[UUID, Line] = {}

    def add(self, price: Money) -> UUID:
        line_id = uuid4()  # chance and clocks belong into the command, not into the event's body
        self._add(line_id, price)
        return line_id

    @event("LineAdded")
    def _add(self, line_id: UUID, price: Money) -> None:
        self.lines[line_id] = Line(line_id, price)

    @event("QuantityChanged")
    def change_quantity(self, line_id: UUID, quantity: int) -> None:
        self.lines[line_id].quantity = quantity

    @event("Moved")
    def move(self, address: Address) -> None:
        self.address = address

    @event("Painted")
    def paint(self, colour: Colour) -> None:
        self.colour = colour


def replayed(order: Order) -> Order:
    copy: Any = None
    for happened in order.pending_events:
        copy = happened.mutate(copy)
    assert isinstance(copy, Order)
    return copy


def test_an_entity_inside_changes_by_events_of_the_root() -> None:
    order = Order.create(address=Address("Main St"))
    line_id = order.add(Money(Decimal("1.50")))
    order.change_quantity(line_id, 3)

    line = replayed(order).lines[line_id]

    assert (line.id, line.total()) == (line_id, Money(Decimal("4.50")))


def test_a_command_for_an_entity_that_is_not_there_leaves_no_event() -> None:
    order = Order.create(address=Address("Main St"))

    with pytest.raises(KeyError):
        order.change_quantity(UUID(int=1), 3)

    assert order.version == 1


def test_value_objects_are_fields() -> None:
    order = Order.create(address=Address("Main St"), size=Size(3, 4))
    order.paint(Colour.BLUE)

    copy = replayed(order)

    assert (copy.size, copy.colour) == (Size(3, 4), Colour.BLUE)


def test_a_mutable_dataclass_that_the_caller_goes_on_changing_does_not_change_the_event() -> None:
    address = Address("Main St")
    order = Order.create(address=Address("Elsewhere"))

    order.move(address)
    address.tags.append("changed")
    order.address.tags.append("changed too")

    assert vars(order.pending_events[-1])["address"] == Address("Main St", [])


def test_replaying_twice_gives_two_aggregates_that_share_nothing_mutable() -> None:
    order = Order.create(address=Address("Main St"))

    copy = replayed(order)
    copy.address.tags.append("copy")

    assert order.address.tags == []


@pytest.mark.parametrize("price", [Decimal(1), {"amount": Decimal(1)}, None])
def test_what_is_not_the_value_object_is_refused(price: Any) -> None:
    order = Order.create(address=Address("Main St"))

    with pytest.raises(EventFieldError, match=r"Order.LineAdded: field 'price' takes Money, not"):
        order.add(price)
