"""Annotations of event fields as strings: forward references, and what cannot be resolved."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, TypeVar

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import EventFieldError, ProgrammingError

if TYPE_CHECKING:
    from fractions import Fraction

T = TypeVar("T")


class Ordered(DomainEvent):
    count: int
    limit: ClassVar[int] = 3
    bare: ClassVar = 4
    item: Item
    parts: list[Item]
    price: Annotated[Decimal, "in EUR"]
    final: Final[int] = 1


class Item:
    """Defined below the event that names it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item)

    __hash__ = object.__hash__


class Replaced(DomainEvent, Generic[T]):
    old: T
    new: T


class ReplacedInt(Replaced[int]):
    pass


class Halved(DomainEvent):
    value: Fraction


class Tree(AggregateRoot):
    def __init__(self, seed: Decimal, parent: Tree | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    @event("Grown")
    def grow(self, by: Decimal, leaves: list[Leaf]) -> None:
        self.seed += by

    @event("Cut")
    def cut(self, by: Fraction) -> None:
        pass


class Leaf:
    pass


def ordered(**values: Any) -> Ordered:
    given: dict[str, Any] = {"count": 1, "item": Item(), "parts": [], "price": Decimal(1)}
    return Ordered(**given | values)


def test_strings_are_resolved_when_the_first_event_is_made() -> None:
    made = ordered(parts=[Item()])

    assert (made.count, made.parts, made.final, made.limit) == (1, [Item()], 1, 3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", "1", "takes int, not str"),
        ("item", 1, "takes Item, not int"),
        ("parts", [1], r"takes list\[.*Item\], not list"),
        ("price", 1, "takes Decimal, not int"),
        ("final", "1", "takes .*int.*, not str"),
    ],
)
def test_resolved_annotations_are_checked(name: str, value: Any, message: str) -> None:
    with pytest.raises(EventFieldError, match=f"^Ordered: field '{name}' {message}$"):
        ordered(**{name: value})


@pytest.mark.parametrize("name", ["limit", "bare"])
def test_a_class_variable_is_no_field(name: str) -> None:
    with pytest.raises(EventFieldError, match=f"Ordered: unknown field '{name}'"):
        ordered(**{name: 1})


def test_an_annotation_that_only_the_type_checker_knows_is_an_error_that_says_so() -> None:
    with pytest.raises(
        ProgrammingError,
        match=r"Halved: the annotation of 'value' cannot be resolved \(name 'Fraction' is not def",
    ):
        Halved(value=1)  # type: ignore[arg-type]


def test_an_annotation_of_a_command_that_cannot_be_resolved_is_an_error_too() -> None:
    tree = Tree.create(seed=Decimal(1))

    with pytest.raises(ProgrammingError, match=r"Tree.cut: the annotation of 'by' cannot be re"):
        tree.cut(1)  # type: ignore[arg-type]


def test_the_annotations_of_constructors_and_commands_are_resolved() -> None:
    tree = Tree.create(seed=Decimal(1), parent=None)

    tree.grow(Decimal(2), [Leaf()])

    assert tree.seed == Decimal(3)
    with pytest.raises(EventFieldError, match=r"Tree.Grown: field 'by' takes Decimal, not int"):
        tree.grow(2, [])  # type: ignore[arg-type]


def test_a_local_class_that_an_annotation_names_cannot_be_resolved() -> None:
    class Local:
        pass

    class Uses(DomainEvent):
        local: Local

    with pytest.raises(ProgrammingError, match="Uses: the annotation of 'local' cannot be"):
        Uses(local=Local())


def test_a_nested_class_is_found_in_the_event_class() -> None:
    class Drawn(DomainEvent):
        class Pen:
            pass

        pen: Pen

    with pytest.raises(EventFieldError, match=r"Drawn: field 'pen' takes .*Pen, not str"):
        Drawn(pen="x")  # type: ignore[arg-type]


def test_a_generic_event_takes_values_of_any_type() -> None:
    assert Replaced[int](old=1, new=2) == Replaced(old=1, new=2)
    assert vars(Replaced(old="a", new="b")) == {"old": "a", "new": "b"}


def test_a_subclass_of_a_generic_event_has_its_fields() -> None:
    assert ReplacedInt(old=1, new=2).new == 2
    with pytest.raises(EventFieldError, match="ReplacedInt: missing field 'new'"):
        ReplacedInt(old=1)  # type: ignore[call-arg]
