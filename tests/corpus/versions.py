"""Classes that have changed, and the rows of all of their versions, which are read for ever.

Each line of versions.jsonl is a row of the past, written by hand when its class changed, and what
it is read as. What is in the file stays as it is: it stands for rows in people's databases. The
classes here go on changing: for a new version, add an upcaster and lines.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from tests.corpus.v1 import Money

PATH = Path(__file__).with_suffix(".jsonl")

State = dict[str, Any]


def several_owners(state: State) -> State:
    state["owners"] = [state.pop("owner")]
    return state


def with_currency(state: State) -> State:
    state["price"] = {"amount": state.pop("amount"), "currency": "USD"}
    return state


def renamed(state: State) -> State:
    state["money"] = state.pop("price")
    return state


def without_note(state: State) -> State:
    state.pop("note", None)
    return state


def nothing(state: State) -> State:
    return {"timestamp": state["timestamp"]}


class Shop(
    AggregateRoot, topic="corpus.shop", aliases=("old.shop#Store",), upcasters={1: several_owners}
):
    """Was the class Store of the module old.shop."""

    def __init__(self, owners: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owners = owners

    @event(
        "Sold",
        aliases=("old.shop#Store.Purchased",),
        upcasters={1: with_currency, 2: renamed, 3: without_note},
    )
    def sell(self, money: Money, rate: float = 1.0) -> None: ...

    class Noted(AggregateRoot.Event, upcasters={1: without_note}):
        """Is free-form."""

    class Paid(AggregateRoot.Event):
        amount: Decimal

    class Moved(AggregateRoot.Event):
        to: str

    class PaidAndMoved(Paid, Moved):
        """Was split."""

    class Dropped(AggregateRoot.Event, aliases=("corpus.shop.Audited",), upcasters={1: nothing}):
        """Means nothing any more."""
