"""Typed events: annotated fields, and a constructor that checks them."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, NamedTuple
from uuid import UUID

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.events import (
    Created,
    DomainEvent,
    EventWithOriginatorID,
    EventWithOriginatorVersion,
    EventWithTimestamp,
    Logged,
)
from eventsourcing.exceptions import EventFieldError, ProgrammingError


class Deposited(DomainEvent):
    unit: ClassVar[str] = "EUR"
    limit: ClassVar = 100

    amount: Decimal
    note: str = ""
    tags: list[str] = field(default_factory=list)


class Transferred(Deposited):
    to: UUID | None = None


class Noted(DomainEvent):
    note: str = field(default="none")
    text: str = field()


def test_fields_that_are_not_given_have_their_defaults() -> None:
    event = Deposited(amount=Decimal(1))

    assert vars(event) == {"amount": Decimal(1), "note": "", "tags": []}


def test_each_event_has_a_default_of_its_own_from_the_factory() -> None:
    first, second = Deposited(amount=Decimal(1)), Deposited(amount=Decimal(1))

    first.tags.append("a")

    assert second.tags == []


def test_dataclass_field_gives_a_default_or_none() -> None:
    assert vars(Noted(text="t")) == {"note": "none", "text": "t"}
    with pytest.raises(EventFieldError, match="Noted: missing field 'text'"):
        Noted()  # type: ignore[call-arg]


def test_a_mutable_default_is_refused() -> None:
    class Bad(DomainEvent):
        tags: list[str] = []  # noqa: RUF012

    with pytest.raises(ProgrammingError, match=r"Bad: the default of 'tags' is mutable; use dat"):
        Bad()


def test_fields_are_inherited_in_order() -> None:
    event = Transferred(to=UUID(int=1), amount=Decimal(2))

    assert list(vars(event)) == ["amount", "note", "tags", "to"]


def test_a_subclass_may_narrow_a_field_and_give_it_a_default() -> None:
    class Gift(Deposited):
        amount: Decimal = Decimal(5)
        note: Literal["gift"] = "gift"

    assert vars(Gift()) == {"amount": Decimal(5), "note": "gift", "tags": []}
    with pytest.raises(EventFieldError, match=r"Gift: field 'note' takes Literal\['gift'\]"):
        Gift(note="theft")  # type: ignore[arg-type]


def test_a_class_variable_is_no_field() -> None:
    assert (Deposited.unit, Deposited(amount=Decimal(1)).limit) == ("EUR", 100)
    with pytest.raises(EventFieldError, match="Deposited: unknown field 'unit'"):
        Deposited(amount=Decimal(1), unit="USD")  # type: ignore[call-arg]


def test_a_missing_field_is_named() -> None:
    with pytest.raises(EventFieldError, match=r"^Deposited: missing field 'amount'$"):
        Deposited(note="x")  # type: ignore[call-arg]


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    with pytest.raises(
        EventFieldError, match=r"^Deposited: unknown field 'amont'; it has: amount, note, tags$"
    ):
        Deposited(amount=Decimal(1), amont=Decimal(1))  # type: ignore[call-arg]


def test_a_wrongly_typed_field_is_named_with_both_types_and_without_the_value() -> None:
    with pytest.raises(
        EventFieldError, match=r"^Deposited: field 'amount' takes Decimal, not str$"
    ):
        Deposited(amount="1")  # type: ignore[arg-type]


def test_a_type_error_of_a_constructor_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Deposited(amount=1.5)  # type: ignore[arg-type]


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="positional"):
        Deposited(Decimal(1))  # type: ignore[call-arg]


class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (float, 1),
        (Decimal | None, None),
        (tuple[int, ...], (1, 2)),
        (dict[str, list[Money]], {"a": [Money(Decimal(1))]}),
        (Point, Point(1, 2)),
        (Any, object),
        (Literal[1, 2], 2),
        (EventWithTimestamp | int, 3),
    ],
    ids=str,
)
def test_a_value_that_a_type_checker_would_accept_is_accepted(annotation: Any, value: Any) -> None:
    typed: Any = type("Typed", (DomainEvent,), {"__annotations__": {"value": annotation}})

    assert typed(value=value).value == value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "1"),
        (int, 1.0),
        (bool, 1),
        (str, None),
        (Decimal, 1),
        (list[int], (1, 2)),
        (list[int], [1, "2"]),
        (tuple[int, str], (1, "2", 3)),
        (dict[str, int], {1: 1}),
        (Point, (1, 2)),
        (Literal["a"], "b"),
        (Money | None, Decimal(1)),
        (datetime, date(2024, 1, 1)),
    ],
    ids=str,
)
def test_a_value_that_a_type_checker_would_refuse_is_refused(annotation: Any, value: Any) -> None:
    typed: Any = type("Typed", (DomainEvent,), {"__annotations__": {"value": annotation}})

    with pytest.raises(EventFieldError, match="Typed: field 'value' takes "):
        typed(value=value)


@pytest.mark.parametrize("name", ["context", "mutate"])
def test_a_field_cannot_have_the_name_of_what_every_event_has(name: str) -> None:
    bad: Any = type("Bad", (DomainEvent,), {"__annotations__": {name: int}})

    with pytest.raises(ProgrammingError, match=f"Bad: a field cannot be called '{name}'"):
        bad(**{name: 1})


def test_events_may_be_mixed_of_several() -> None:
    class Opened(Created, EventWithOriginatorID, EventWithOriginatorVersion, EventWithTimestamp):
        owner: str

    event = Opened(originator_id=1, originator_version=0, owner="Ann")

    assert isinstance(event, Created)
    assert vars(event).keys() == {"originator_id", "originator_version", "timestamp", "owner"}


def test_an_event_with_a_timestamp_has_the_current_utc_time() -> None:
    before = datetime.now(UTC)
    event = Logged()

    assert before <= event.timestamp <= datetime.now(UTC)
    assert event.timestamp.tzinfo is UTC


def test_a_plain_mixin_brings_fields() -> None:
    class Reasoned:
        reason: str

    class Closed(Reasoned, AggregateRoot.Event):
        pass

    with pytest.raises(EventFieldError, match="Closed: missing field 'reason'"):
        Closed(originator_id=1, originator_version=1)


def test_a_class_without_fields_of_its_own_stays_free_form() -> None:
    class Happened(EventWithTimestamp):
        pass

    attributes: Any = {"what": "something"}
    assert vars(Happened(**attributes)).items() >= attributes.items()
