"""Caller, event and aggregate share no value that can change, however frozen it looks."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import schema_of


@dataclass(frozen=True)
class Frozen:
    items: tuple[int, ...]


class Unfrozen(Frozen):
    """Its objects can be given further attributes."""


@dataclass(frozen=True)
class Caching:
    n: int

    @cached_property
    def seen(self) -> list[str]:
        return []


class Pair(NamedTuple):
    left: int
    right: tuple[int, ...] = ()


class Noted(AggregateRoot.Event):
    n: int
    pair: Pair = Pair(1, [1])  # type: ignore[arg-type]


class Holder(AggregateRoot):
    @event("Held")
    def hold(self, value: Frozen | Caching | Pair | None) -> None:
        self.value = value

    @event("HeldSeveral")
    def hold_several(self, values: tuple[Frozen, ...]) -> None:
        self.value = values[0]

    @event("HeldFrozen")
    def hold_frozen(self, value: Frozen) -> None:
        self.value = value

    @event("HeldPair")
    def hold_pair(self, value: Pair) -> None:
        self.value = value


def change_items(value: Any) -> None:
    value.items.append(2)


def give_note(value: Any) -> None:
    value.note = "changed"


def see(value: Any) -> None:
    value.seen.append("changed")


def change_right(value: Any) -> None:
    value.right.append(2)


@pytest.mark.parametrize(
    ("command", "make", "change"),
    [
        ("hold", lambda: Frozen([1]), change_items),  # type: ignore[arg-type]
        ("hold_frozen", lambda: Frozen([1]), change_items),  # type: ignore[arg-type]
        ("hold", lambda: Unfrozen((1,)), give_note),
        ("hold_frozen", lambda: Unfrozen((1,)), give_note),
        ("hold", lambda: Caching(1), see),
        ("hold", lambda: Pair(1, [1]), change_right),  # type: ignore[arg-type]
        ("hold_pair", lambda: Pair(1, [1]), change_right),  # type: ignore[arg-type]
    ],
)
def test_what_only_looks_frozen_is_not_shared(command: str, make: Any, change: Any) -> None:
    holder, given = Holder.create(), make()
    getattr(holder, command)(given)
    happened: Any = holder.pending_events[-1]
    untouched = vars_of(happened.value)

    change(given)
    change(holder.value)

    assert vars_of(happened.value) == untouched == vars_of(make())


def test_nor_is_it_inside_of_a_tuple() -> None:
    holder, given = Holder.create(), Frozen([1])  # type: ignore[arg-type]
    holder.hold_several((given,))
    happened: Any = holder.pending_events[-1]

    change_items(given)
    change_items(holder.value)

    assert happened.values == (Frozen([1]),)  # type: ignore[arg-type]


def test_what_is_frozen_indeed_is_not_copied() -> None:
    holder, given = Holder.create(), Frozen((1,))

    holder.hold_frozen(given)

    assert holder.value is given


def test_a_default_is_not_shared_by_those_who_read_states_without_it() -> None:
    decode = schema_of(Noted).codec.decode
    text = '{"timestamp":"2026-01-02T03:04:05Z","n":1}'

    change_right(decode(text)["pair"])

    assert decode(text)["pair"] == Pair(1, [1])  # type: ignore[arg-type]


def vars_of(value: Any) -> Any:
    return deepcopy(tuple(value) if isinstance(value, tuple) else vars(value))
