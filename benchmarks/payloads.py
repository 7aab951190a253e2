"""The values that events carry: a small payload, and a large one of nested dataclasses.

They come from short cycles of values made beforehand, so that a workload does not measure how long
it takes to make them.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

CYCLE = 64

Values = dict[str, Any]


class Status(Enum):
    OPEN = "open"
    PAID = "paid"
    SHIPPED = "shipped"


@dataclass(frozen=True)
class Address:
    street: str
    city: str
    postcode: str
    country: str


@dataclass(frozen=True)
class Customer:
    id: UUID
    name: str
    email: str
    born_on: date
    billing: Address
    shipping: Address


@dataclass(frozen=True)
class Line:
    sku: str
    description: str
    quantity: int
    price: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Order:
    """Twenty fields of most types that a domain uses, which take 4 KB of JSON."""

    number: str
    status: Status
    customer: Customer
    lines: tuple[Line, ...]
    placed_at: datetime
    due_on: date
    currency: str
    total: Decimal
    discount: Decimal | None
    is_paid: bool
    weight: float
    tags: tuple[str, ...]
    notes: str
    attributes: dict[str, str]
    reference: UUID
    channel: str
    warehouse: str
    priority: int
    tax: Decimal
    terms: str


def small(i: int) -> Values:
    """Return the five values of the i-th small event."""
    j = i % CYCLE
    return {
        "name": f"item-{i:06}",
        "qty": i,
        "ref": _REFS[j],
        "price": _PRICES[j],
        "at": _TIMES[j],
    }


def large(i: int) -> Values:
    """Return the number and the order of the i-th large event."""
    return {"qty": i, "order": _ORDERS[i % CYCLE]}


def _order(j: int) -> Order:
    address = Address(f"{j} Long Acre, Covent Garden", "London", f"WC2E 9{j:02}", "United Kingdom")
    return Order(
        number=f"ORD-2026-{j:08}",
        status=list(Status)[j % 3],
        customer=Customer(
            id=_REFS[j],
            name=f"Ann Example the {j}th",
            email=f"ann.example.{j}@example.com",
            born_on=date(1980, 1, 1) + timedelta(days=j),
            billing=address,
            shipping=address,
        ),
        lines=tuple(_line(j, k) for k in range(18)),
        placed_at=_TIMES[j],
        due_on=date(2026, 2, 1) + timedelta(days=j),
        currency="GBP",
        total=_PRICES[j] * 18,
        discount=_PRICES[j] if j % 2 else None,
        is_paid=j % 3 == 1,
        weight=j * 0.75,
        tags=("gift", "express", "fragile", f"batch-{j}"),
        notes="Leave with the neighbour, and please ring twice before you do. " * 8,
        attributes={f"attribute-{k}": f"value {j} of {k}" for k in range(12)},
        reference=_REFS[-j],
        channel="web",
        warehouse="LHR-2",
        priority=j,
        tax=_PRICES[j] / 5,
        terms="Payable within 30 days of the invoice's date.",
    )


def _line(j: int, k: int) -> Line:
    return Line(
        sku=f"SKU-{j:04}-{k:04}",
        description=f"Widget number {k}, in the colour of the season",
        quantity=k + 1,
        price=_PRICES[(j + k) % CYCLE],
        tax=_PRICES[k] / 5,
    )


_REFS = [
    UUID(int=(0x5EED_0000_0000_4000 << 64) + (0x8000 << 48) + j * 104729) for j in range(CYCLE)
]
_PRICES = [Decimal(10_000 + 101 * j) / 100 for j in range(CYCLE)]
_TIMES = [
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC) + timedelta(seconds=61 * j)
    for j in range(CYCLE)
]
_ORDERS = [_order(j) for j in range(CYCLE)]
