"""What would end in a stream that nobody can load is refused before it is stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import current_unit_of_work, unit_of_work
from eventsourcing.domain.model.decorators import event, retry
from eventsourcing.domain.model.events import DomainEvent, subscribe, unsubscribe
from eventsourcing.exceptions import ConcurrencyError, ProgrammingError, SubscriberError
from eventsourcing.infrastructure.memory import MemoryRecordManager


class Stock(AggregateRoot):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = 0

    @event("Added")
    def add(self, n: int) -> None:
        self.count += n


@pytest.fixture
def app() -> Iterator[SimpleApplication]:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        yield app


def test_an_event_that_an_interrupt_lost_is_missed_at_the_save(app: SimpleApplication) -> None:
    stock = Stock.create()
    stock.save()
    interrupted = stock._emit
    stock._emit = lambda event: None  # type: ignore[method-assign]
    stock.add(1)
    stock._emit = interrupted  # type: ignore[method-assign]
    stock.add(2)

    with pytest.raises(ProgrammingError, match="lost an event"):
        stock.save()
    assert app.repository.get(stock.id, Stock).count == 0


def test_control_with_all_its_events_it_is_saved(app: SimpleApplication) -> None:
    stock = Stock.create()
    stock.save()
    stock.add(1)
    stock.add(2)
    stock.save()

    assert app.repository.get(stock.id, Stock).count == 3


def test_an_event_that_comes_while_the_others_are_stored_stays_pending(
    app: SimpleApplication,
) -> None:
    stock = Stock.create()
    store = app.persistence_policy.store

    def store_and_add(events: Any) -> None:
        store(events)
        stock.add(1)

    app.persistence_policy.store = store_and_add  # type: ignore[method-assign]
    app.save(stock)
    app.persistence_policy.store = store  # type: ignore[method-assign]

    assert [type(pending) for pending in stock.pending_events] == [Stock.__dict__["Added"]]


def test_attributes_of_the_users_own_do_not_meet_the_librarys(app: SimpleApplication) -> None:
    class Order(AggregateRoot):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._pending: list[str] = []
            self._version, self._id, self._home = "2.1", 7, "Bath"

        @event("Noted")
        def note(self, text: str) -> None:
            self._pending = [*self._pending, text]

    order = Order.create()
    order.note("a")
    order.save()
    order.note("b")
    order.save()

    loaded = app.repository.get(order.id, Order)
    assert (loaded._pending, loaded.version, loaded._version) == (["a", "b"], 3, "2.1")


@contextmanager
def failing_subscriber() -> Iterator[None]:
    def fail(event: DomainEvent) -> None:
        raise RuntimeError("mail")

    subscribe(fail)
    try:
        yield
    finally:
        unsubscribe(fail)


@pytest.mark.parametrize("decorate", [retry(), retry(Exception), retry((ValueError, Exception))])
def test_what_is_stored_is_not_repeated(
    app: SimpleApplication, decorate: Callable[[Any], Any]
) -> None:
    stock = Stock.create()
    stock.save()

    @decorate
    def add() -> None:
        loaded = app.repository.get(stock.id, Stock)
        loaded.add(10)
        loaded.save()

    with failing_subscriber(), pytest.raises(SubscriberError):
        add()
    assert app.repository.get(stock.id, Stock).count == 10


def test_control_a_conflict_is_repeated() -> None:
    calls = []

    @retry(wait=0)
    def lose_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ConcurrencyError("too late")

    lose_once()
    assert len(calls) == 2


def test_every_subscriber_sees_the_events_in_the_same_order(app: SimpleApplication) -> None:
    seen: list[int] = []

    def react(event: Any) -> None:
        if event.originator_version == 0:
            loaded = app.repository.get(event.originator_id, Stock)
            loaded.add(1)
            loaded.save()

    def look(event: Any) -> None:
        seen.append(event.originator_version)

    subscribe(react)
    subscribe(look)
    try:
        Stock.create().save()
    finally:
        unsubscribe(react)
        unsubscribe(look)

    assert seen == [0, 1]


def test_a_unit_of_work_may_end_in_another_context() -> None:
    block = unit_of_work("one")
    copy_context().run(block.__enter__)

    block.__exit__(None, None, None)

    assert current_unit_of_work() is None


def test_a_body_that_does_not_run_is_refused() -> None:
    def generator(self: Any) -> Any:
        yield 1

    with pytest.raises(ProgrammingError, match="plain method"):
        event("Odd")(generator)


@pytest.mark.parametrize("wrap", [property, classmethod, staticmethod])
def test_an_event_on_another_kind_of_attribute_is_refused(wrap: Callable[[Any], Any]) -> None:
    def change(self: Any) -> None: ...

    with pytest.raises(ProgrammingError, match="plain method, not onto a"):
        type("Odd", (AggregateRoot,), {"change": wrap(event("Odd")(change))})


def test_a_default_of_the_wrong_type_is_refused() -> None:
    class Odd(DomainEvent):
        n: int = None  # type: ignore[assignment]

    with pytest.raises(ProgrammingError, match="the default of 'n' is a NoneType, not int"):
        Odd()
