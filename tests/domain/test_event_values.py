"""Domain events as values: immutable, compared by type and attributes."""

import copy
import errno
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self
from unittest import mock

import pytest

from eventsourcing.domain.model import context
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import new_event_ids
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import EncodeError, EventFieldError


class Priced(DomainEvent):
    price: Decimal
    note: str = ""


class Tagged(DomainEvent):
    tags: list[str]


class Basket(AggregateRoot):
    def __init__(self, items: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = items

    class Emptied(AggregateRoot.Event):
        pass


DISCARDED = Basket.Discarded(originator_id=1, originator_version=1)
EVENTS = [
    DomainEvent(),
    DomainEvent(a=1, b=[1, {"c": 2}]),
    Priced(price=Decimal("1.10")),
    Tagged(tags=["a"]),
    DISCARDED,
]


def test_attributes_are_read_as_they_were_given() -> None:
    event: Any = DomainEvent(a=1, b="two")

    assert (event.a, event.b) == (1, "two")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__qualname__)
def test_an_attribute_cannot_be_set(event: Any) -> None:
    before = repr(event)

    with pytest.raises(AttributeError, match="immutable: cannot set 'price'"):
        event.price = 2

    assert repr(event) == before


@pytest.mark.parametrize("name", ["price", "unknown", "context", "_context"])
def test_no_name_at_all_can_be_set(name: str) -> None:
    event = Priced(price=Decimal(1))

    with pytest.raises(AttributeError, match=f"Priced is immutable: cannot set '{name}'"):
        setattr(event, name, 2)


def test_an_attribute_cannot_be_deleted() -> None:
    event = Priced(price=Decimal(1))

    with pytest.raises(AttributeError, match="Priced is immutable: cannot delete 'price'"):
        del event.price

    assert event.price == Decimal(1)


@pytest.mark.parametrize("make", [Tagged, DomainEvent])
def test_a_list_that_the_caller_goes_on_changing_does_not_change_the_event(
    make: type[DomainEvent],
) -> None:
    tags = ["a"]
    event: Any = make(tags=tags)

    tags.append("b")

    assert event.tags == ["a"]


def test_a_value_deep_inside_that_goes_on_changing_does_not_change_the_event() -> None:
    inner = {"set": {1}}
    event: Any = DomainEvent(value=(inner,))

    inner["set"].add(2)

    assert event.value == ({"set": {1}},)


def test_a_list_that_the_aggregate_goes_on_changing_does_not_change_the_pending_event() -> None:
    basket = Basket.create(items=["apple"])

    basket.items.append("pear")

    (created,) = basket.pending_events
    assert created.items == ["apple"]  # type: ignore[attr-defined]
    assert basket.items == ["apple", "pear"]


def test_a_value_that_cannot_be_copied_is_refused() -> None:
    generator = (n for n in range(3))

    with pytest.raises(EncodeError, match=r"DomainEvent: the value of 'numbers' \(generator\)"):
        DomainEvent(numbers=generator)


def test_events_of_one_type_with_equal_attributes_are_equal() -> None:
    assert Priced(price=Decimal("1.0")) == Priced(note="", price=Decimal("1.00"))


@pytest.mark.parametrize(
    "other",
    [
        Priced(price=Decimal(2)),
        Priced(price=Decimal(1), note="n"),
        DomainEvent(price=Decimal(1), note=""),
        {"price": Decimal(1), "note": ""},
        None,
    ],
    ids=str,
)
def test_events_of_another_type_or_with_other_attributes_are_not_equal(other: object) -> None:
    assert Priced(price=Decimal(1)) != other


def test_an_event_of_a_subclass_is_not_equal() -> None:
    class Reduced(Priced):
        pass

    assert Priced(price=Decimal(1)) != Reduced(price=Decimal(1))


def test_the_other_side_is_asked_whether_it_is_equal() -> None:
    assert Priced(price=Decimal(1)) == mock.ANY
    assert Priced(price=Decimal(1)) == mock.ANY


def test_equal_events_have_the_same_hash() -> None:
    events = {Priced(price=Decimal("1.0")), Priced(price=Decimal("1.00")), DomainEvent(a=1)}

    assert events == {DomainEvent(a=1), Priced(price=Decimal(1))}


def test_an_event_with_a_value_that_is_not_hashable_is_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(Tagged(tags=[]))


def test_the_repr_reads_like_the_constructor() -> None:
    assert repr(Priced(price=Decimal("1.10"))) == "Priced(price=Decimal('1.10'), note='')"
    assert repr(DomainEvent(b=1, a="x")) == "DomainEvent(b=1, a='x')"


def test_the_repr_of_a_nested_event_says_of_what_it_is() -> None:
    event = Basket.create(items=[])._es_pending[0]

    assert repr(event).startswith("Basket.Created(originator_id=UUID('")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__qualname__)
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_equal_and_has_the_same_context(event: DomainEvent, copied: Any) -> None:
    copy_of_event = copied(event)

    assert copy_of_event == event
    assert copy_of_event.context == event.context


def test_a_deep_copy_shares_no_mutable_value() -> None:
    event = Tagged(tags=["a"])

    copy.deepcopy(event).tags.append("b")

    assert event.tags == ["a"]


def test_each_event_has_an_id_of_its_own_that_stays() -> None:
    first, second = DomainEvent(a=1), DomainEvent(a=1)

    assert first.context.event_id == first.context.event_id
    assert first.context.event_id != second.context.event_id


@pytest.mark.parametrize("count", [1, 2, 16, 17, 1000])
def test_the_ids_of_several_events_differ_and_have_128_bits(count: int) -> None:
    ids = new_event_ids(count)

    assert len(set(ids)) == count
    assert all(len(each) == 32 and 0 <= int(each, 16) < 2**128 for each in ids)


class Neighbour:
    """A thread that counts on whenever it is given the interpreter."""

    def __init__(self) -> None:
        self.count = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over:
            self.count += 1
            time.sleep(0)  # gives it back

    def __enter__(self) -> Self:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(60)  # seconds: nobody has to give it away
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over = True
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def has_run(self, function: Callable[[], object], times: int) -> bool:
        """Tell whether it has counted while a function was called so often."""
        before = self.count
        for _ in range(times):
            function()
        return self.count != before


def test_an_id_is_drawn_without_giving_the_interpreter_to_another_thread() -> None:
    with Neighbour() as neighbour:
        assert not neighbour.has_run(lambda: new_event_ids(1), times=1000)


def test_control_the_usual_call_gives_it_away() -> None:
    with Neighbour() as neighbour:
        assert neighbour.has_run(lambda: os.urandom(16), times=1_000_000)


def test_where_there_is_no_such_call_the_usual_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(count: int, flags: int) -> bytes:
        raise OSError(errno.ENOSYS, "as in some sandboxes")

    assert context._source() is os.getrandom
    monkeypatch.setattr(os, "getrandom", refuse)
    assert context._source() is os.urandom
    monkeypatch.delattr(os, "getrandom")
    assert context._source() is os.urandom


def test_free_form_events_may_have_attributes_of_any_public_name() -> None:
    event = DomainEvent(self=1, cls=2, event=3, name=4, type=5, attributes=6)

    assert vars(event) == {"self": 1, "cls": 2, "event": 3, "name": 4, "type": 5, "attributes": 6}


@pytest.mark.parametrize("name", ["context", "mutate", "__dict__", "__class__", "two words", ""])
def test_names_that_every_event_has_anyway_are_refused(name: str) -> None:
    with pytest.raises(EventFieldError, match=f"DomainEvent: '{name}' cannot be an attribute"):
        DomainEvent(**{name: 1})
