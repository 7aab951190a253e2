"""Publish and subscribe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eventsourcing.domain.model.decorators import subscribe_to
from eventsourcing.domain.model.events import (
    DomainEvent,
    assert_event_handlers_empty,
    publish,
    subscribe,
    unsubscribe,
)
from eventsourcing.exceptions import EventHandlersNotEmptyError, ProgrammingError, SubscriberError


class Happened(DomainEvent):
    number: int = 0


class HappenedAgain(Happened):
    pass


class Other(DomainEvent):
    number: int = 0


def is_odd(event: Any) -> bool:
    return bool(event.number % 2)


@contextmanager
def subscribed(*handlers: Any, predicate: Any = None) -> Iterator[None]:
    for handler in handlers:
        subscribe(handler, predicate)
    try:
        yield
    finally:
        for handler in handlers:
            unsubscribe(handler, predicate)


def test_a_subscriber_sees_each_published_event_in_order() -> None:
    seen: list[DomainEvent] = []

    with subscribed(seen.append):
        publish(Happened(number=1))
        publish([Other(number=2), Happened(number=3)])
        publish(Happened(number=n) for n in (4, 5))

    assert [vars(event)["number"] for event in seen] == [1, 2, 3, 4, 5]


def test_subscribers_are_called_in_the_order_of_subscription_event_by_event() -> None:
    calls: list[tuple[str, int]] = []

    def first(event: Happened) -> None:
        calls.append(("first", event.number))

    def second(event: Happened) -> None:
        calls.append(("second", event.number))

    with subscribed(first, second):
        publish([Happened(number=1), Happened(number=2)])

    assert calls == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_a_predicate_chooses_the_events() -> None:
    seen: list[DomainEvent] = []

    with subscribed(seen.append, predicate=is_odd):
        publish([Happened(number=n) for n in range(4)])

    assert seen == [Happened(number=1), Happened(number=3)]


def test_nobody_need_listen() -> None:
    publish(Happened())
    publish([])


def test_after_unsubscribe_nothing_is_seen() -> None:
    seen: list[DomainEvent] = []
    subscribe(seen.append)

    unsubscribe(seen.append)
    publish(Happened())

    assert seen == []


def test_unsubscribe_with_a_predicate_takes_back_only_what_was_subscribed_with_it() -> None:
    seen: list[DomainEvent] = []

    with subscribed(seen.append, predicate=is_odd):
        unsubscribe(seen.append, bool)
        publish(Happened(number=1))

    assert seen == [Happened(number=1)]


def test_unsubscribe_without_a_predicate_takes_back_all_of_the_handler() -> None:
    seen: list[DomainEvent] = []
    subscribe(seen.append)
    subscribe(seen.append, is_odd)

    unsubscribe(seen.append)
    publish(Happened(number=1))

    assert seen == []


def test_unsubscribing_a_stranger_does_nothing() -> None:
    unsubscribe(print)


def test_a_failing_subscriber_keeps_no_other_from_any_event() -> None:
    seen: list[DomainEvent] = []

    def fail(event: Happened) -> None:
        raise ValueError(f"cannot take {event.number}")

    with (
        subscribed(fail, seen.append),
        pytest.raises(SubscriberError, match=r"2 subscriber call\(s\) failed.*cannot take 1"),
    ):
        publish([Happened(number=1), Happened(number=2)])

    assert seen == [Happened(number=1), Happened(number=2)]


def test_a_subscriber_error_has_all_errors_and_the_first_as_its_cause() -> None:
    def fail(event: Happened) -> None:
        raise ValueError(event.number)

    with subscribed(fail), pytest.raises(SubscriberError) as caught:
        publish([Happened(number=1), Happened(number=2)])

    assert [str(error) for error in caught.value.errors] == ["1", "2"]
    assert caught.value.__cause__ is caught.value.errors[0]
    assert "raised by the subscriber <function" in caught.value.errors[0].__notes__[0]


def test_a_failing_predicate_is_a_failing_subscriber() -> None:
    seen: list[DomainEvent] = []
    subscribe(print, lambda event: event.unknown)

    with subscribed(seen.append), pytest.raises(SubscriberError, match="unknown"):
        publish(Happened())

    unsubscribe(print)
    assert seen == [Happened()]


def test_what_a_subscriber_publishes_in_turn_comes_afterwards_for_all() -> None:
    seen: list[DomainEvent] = []

    def react(event: DomainEvent) -> None:
        if isinstance(event, Happened):
            publish(Other(number=event.number))

    with subscribed(react, seen.append):
        publish(Happened(number=1))

    assert seen == [Happened(number=1), Other(number=1)]


def test_a_subscription_made_while_publishing_begins_with_the_next_publish() -> None:
    seen: list[DomainEvent] = []

    def join(event: DomainEvent) -> None:
        unsubscribe(join)
        subscribe(seen.append)

    subscribe(join)
    publish(Happened(number=1))
    publish(Happened(number=2))
    unsubscribe(seen.append)

    assert seen == [Happened(number=2)]


def test_subscribe_to_takes_the_classes_of_events() -> None:
    seen: list[DomainEvent] = []

    @subscribe_to(Happened, Other)
    def handler(event: DomainEvent) -> None:
        seen.append(event)

    publish([Happened(), HappenedAgain(), DomainEvent(), Other()])
    unsubscribe(handler)

    assert seen == [Happened(), HappenedAgain(), Other()]


def test_subscribe_to_without_classes_takes_all_events() -> None:
    seen: list[DomainEvent] = []

    @subscribe_to()
    def handler(event: DomainEvent) -> None:
        seen.append(event)

    publish([Happened(), DomainEvent()])
    unsubscribe(handler)

    assert seen == [Happened(), DomainEvent()]


def test_a_function_of_subscribe_to_can_be_called_as_before() -> None:
    @subscribe_to(Happened)
    def double(event: Happened) -> int:
        return 2 * event.number

    unsubscribe(double)

    assert double(Happened(number=4)) == 8


@pytest.mark.parametrize("argument", [lambda event: None, [Happened], int, "Happened"])
def test_subscribe_to_takes_nothing_but_event_classes(argument: Any) -> None:
    with pytest.raises(ProgrammingError, match="@subscribe_to takes event classes, as in"):
        subscribe_to(argument)


def test_assert_event_handlers_empty_names_who_is_left() -> None:
    assert_event_handlers_empty()
    with (
        subscribed(is_odd),
        pytest.raises(EventHandlersNotEmptyError, match=r"still subscribed or open: .*is_odd"),
    ):
        assert_event_handlers_empty()
