"""Copies share nothing mutable, and are what deepcopy makes."""

from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from eventsourcing.utils.copying import independent_copy
from tests.utils.strategies import identical, supported_values


class Colour(Enum):
    RED = ("mutable", ["value"])


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Line:
    names: list[str]


@dataclass(frozen=True)
class Frozen:
    line: Line


@dataclass(slots=True)
class Slotted:
    line: Line


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    line: Any


class Noted(Frozen):
    """A subclass of a frozen class that is not frozen: ``Noted(...).note = []``."""


@dataclass
class Lazy:
    names: list[str]
    seen: list[str] = field(init=False, repr=False, default_factory=list)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Lazy":
        copy = Lazy(deepcopy(self.names, memo))
        copy.seen.append("copied")
        return copy


@given(supported_values())
def test_a_copy_is_what_deepcopy_makes(value: Any) -> None:
    assert identical(independent_copy(value), deepcopy(value))


@pytest.mark.parametrize(
    "wrap",
    [
        Frozen,
        Slotted,
        FrozenSlotted,
        lambda line: Pair(line, (line,)),
        lambda line: {1: [line]},
        lambda line: FrozenSlotted((1, Pair(1, [line]))),
    ],
)
def test_a_copy_shares_nothing_mutable_at_any_depth(wrap: Any) -> None:
    line = Line(["a"])
    copy = independent_copy(wrap(line))
    line.names.append("b")
    assert "'b'" not in repr(copy)


def test_control_without_a_copy_the_change_shows() -> None:
    line = Line(["a"])
    shared = Frozen(line)
    line.names.append("b")
    assert "'b'" in repr(shared)


@pytest.mark.parametrize("cls", [list, set, dict])
def test_a_copy_of_a_container_of_scalars_is_another_one(cls: Any) -> None:
    value = cls([(1, 2)])
    copy = independent_copy(value)
    value.clear()
    assert copy == cls([(1, 2)])


@pytest.mark.parametrize(
    "value",
    [
        ("a", (1, None)),
        frozenset({1, (2,)}),
        Pair("a", Pair(1, 2)),
        FrozenSlotted((1, Colour.RED)),
        Frozen(("not", "a line")),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_change_is_its_own_copy(value: Any) -> None:
    assert independent_copy(value) is value


def test_a_subclass_that_is_not_frozen_is_copied_with_what_it_was_given() -> None:
    noted: Any = Noted(Line(["a"]))
    noted.note = "first"
    copy = independent_copy(noted)
    noted.note = "second"
    assert (type(copy), copy.note) == (Noted, "first")


def test_members_of_enums_stay_themselves() -> None:
    assert independent_copy([Colour.RED])[0] is Colour.RED


def test_a_class_that_says_how_it_is_copied_is_copied_so() -> None:
    assert independent_copy(Lazy(["a"])).seen == ["copied"]


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        independent_copy(endless)
