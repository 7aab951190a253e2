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
    "wrap", [Frozen, Slotted, lambda line: Pair(line, (line,)), lambda x: {1: [x]}]
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


def test_members_of_enums_stay_themselves() -> None:
    assert independent_copy([Colour.RED])[0] is Colour.RED


def test_a_class_that_says_how_it_is_copied_is_copied_so() -> None:
    assert independent_copy(Lazy(["a"])).seen == ["copied"]


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        independent_copy(endless)
