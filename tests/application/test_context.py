"""Correlation and causation: set for a unit of work, stored with events, read back."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.context import (
    EventContext,
    UnitOfWork,
    current_unit_of_work,
    unit_of_work,
)
from eventsourcing.domain.model.events import DomainEvent, subscribe, unsubscribe
from eventsourcing.exceptions import ProgrammingError
from tests.application.hostile import execute
from tests.application.stores import Counter, Lamp, memory_app
from tests.backends import Backend


@pytest.fixture
def app() -> Iterator[SimpleApplication]:
    with memory_app() as app:
        yield app


def ids(event: DomainEvent) -> tuple[str | None, str | None]:
    return event.context.correlation_id, event.context.causation_id


def test_outside_of_a_unit_of_work_an_event_has_an_id_and_nothing_else() -> None:
    context = DomainEvent().context

    assert (len(context.event_id), context[1:]) == (32, (None, None))
    assert int(context.event_id, 16)


def test_events_in_the_block_have_its_ids_and_those_after_it_have_not() -> None:
    with unit_of_work(correlation_id="request-1", causation_id="message-1"):
        inside = DomainEvent()
    outside = DomainEvent()

    assert ids(inside) == ("request-1", "message-1")
    assert ids(outside) == (None, None)


def test_an_event_has_the_ids_of_when_it_happened_and_not_of_when_it_is_saved(
    app: SimpleApplication,
) -> None:
    with unit_of_work("first"):
        counter = Counter.create()
    with unit_of_work("second"):
        counter.increase()
        counter.save()

    stored = app.event_store.get_domain_events(counter.id)
    assert [ids(event)[0] for event in stored] == ["first", "second"]


def test_a_uuid_is_an_id_too() -> None:
    with unit_of_work(UUID(int=1), UUID(int=2)) as unit:
        event = DomainEvent()

    assert ids(event) == unit == (str(UUID(int=1)), str(UUID(int=2)))


def test_a_unit_of_work_without_ids_has_a_new_correlation_id() -> None:
    with unit_of_work() as one:
        pass
    with unit_of_work() as other:
        pass

    assert (one.causation_id, other.causation_id) == (None, None)
    assert None is not one.correlation_id != other.correlation_id is not None


def test_a_nested_unit_of_work_has_the_ids_of_the_surrounding_one_unless_given() -> None:
    with unit_of_work("outer", "cause"):
        with unit_of_work(causation_id="inner cause") as nested:
            assert nested == UnitOfWork("outer", "inner cause")
        with unit_of_work() as same:
            assert same == UnitOfWork("outer", "cause")
        with unit_of_work("another") as another:
            assert another == UnitOfWork("another", "cause")
        assert current_unit_of_work() == UnitOfWork("outer", "cause")
    assert current_unit_of_work() is None


def test_the_surrounding_unit_of_work_is_back_when_the_block_raises() -> None:
    with unit_of_work("outer"):
        with pytest.raises(ZeroDivisionError), unit_of_work("inner"):
            raise ZeroDivisionError

        assert ids(DomainEvent()) == ("outer", None)


def test_events_of_a_reaction_name_the_event_that_caused_them() -> None:
    with unit_of_work("request-1"):
        cause = DomainEvent()

    with unit_of_work(caused_by=cause):
        effect = DomainEvent()

    assert ids(effect) == ("request-1", cause.context.event_id)


def test_a_cause_without_correlation_begins_one() -> None:
    cause = DomainEvent()

    with unit_of_work(caused_by=cause):
        effect = DomainEvent()

    assert ids(effect) == (cause.context.event_id, cause.context.event_id)


def test_the_cause_counts_more_than_the_surrounding_unit_of_work_and_less_than_given_ids() -> None:
    cause = DomainEvent()

    with unit_of_work("outer", "outer cause"):
        with unit_of_work(caused_by=cause) as by_cause:
            pass
        with unit_of_work("given", "given cause", caused_by=cause) as given:
            pass

    assert by_cause == UnitOfWork(cause.context.event_id, cause.context.event_id)
    assert given == UnitOfWork("given", "given cause")


def test_a_chain_of_reactions_can_be_followed_in_the_store(app: SimpleApplication) -> None:
    lamp = Lamp.create()

    def react(event: Counter.Event) -> None:
        with unit_of_work(caused_by=event):
            lamp.switch()
            app.save(lamp)

    subscribe(react, lambda event: isinstance(event, Counter.Event))
    with unit_of_work("request-1"):
        counter = Counter.create()
        counter.save()
    unsubscribe(react)

    (cause,) = app.event_store.get_domain_events(counter.id)
    effect = app.event_store.get_most_recent_event(lamp.id)
    assert effect is not None
    assert ids(effect) == ("request-1", cause.context.event_id)


@pytest.mark.parametrize("wrong", ["", "x" * 256, "two\nlines", "\0", b"x", 5, True], ids=repr)
def test_an_id_is_a_uuid_or_a_printable_string(wrong: Any) -> None:
    for arguments in ({"correlation_id": wrong}, {"causation_id": wrong}):
        with (
            pytest.raises(ProgrammingError, match="id is a UUID or a printable string of 1 to 255"),
            unit_of_work(**arguments),
        ):
            pass


def test_the_context_is_no_part_of_the_value() -> None:
    with unit_of_work("a"):
        one = DomainEvent(a=1)

    assert one == DomainEvent(a=1)
    assert repr(one) == "DomainEvent(a=1)"


# -- threads and tasks ----------------------------------------------------------------------


def test_another_thread_is_outside_of_the_unit_of_work() -> None:
    seen: list[DomainEvent] = []

    with unit_of_work("mine"):
        thread = threading.Thread(target=lambda: seen.append(DomainEvent()))
        thread.start()
        thread.join()

    assert ids(seen[0]) == (None, None)


def test_each_task_has_a_unit_of_work_of_its_own() -> None:
    async def work(name: str) -> DomainEvent:
        with unit_of_work(name):
            await asyncio.sleep(0)
            return DomainEvent()

    async def main() -> tuple[DomainEvent, DomainEvent]:
        return await asyncio.gather(work("one"), work("other"))

    assert [ids(event)[0] for event in asyncio.run(main())] == ["one", "other"]


def test_a_task_has_the_unit_of_work_in_which_it_was_started() -> None:
    async def work() -> DomainEvent:
        return DomainEvent()

    async def main() -> DomainEvent:
        with unit_of_work("mine"):
            task = asyncio.create_task(work())
        return await task

    assert ids(asyncio.run(main())) == ("mine", None)


# -- stored ---------------------------------------------------------------------------------


def test_the_context_is_stored_and_read_back(backend: Backend) -> None:
    app = SimpleApplication(uri=backend.uri) if backend.is_sql else memory_app()
    with app, unit_of_work("request-1", "message-1"):
        counter = Counter.create()
        counter.increase()
        before = [event.context for event in counter.pending_events]
        counter.save()

        stored = [event.context for event in app.event_store.get_domain_events(counter.id)]

    assert stored == before
    assert all(type(context) is EventContext for context in stored)


def test_the_context_is_seen_in_the_columns_of_the_table(sql_backend: Backend) -> None:
    with SimpleApplication(uri=sql_backend.uri), unit_of_work("request-1", "message-1"):
        counter = Counter.create()
        (created,) = counter.pending_events
        counter.save()

    rows = execute(sql_backend, "SELECT event_id, correlation_id, causation_id FROM stored_events")
    assert rows == [(created.context.event_id, "request-1", "message-1")]


def test_without_a_unit_of_work_the_columns_are_null(sql_backend: Backend) -> None:
    with SimpleApplication(uri=sql_backend.uri):
        Counter.create().save()

    rows = execute(sql_backend, "SELECT correlation_id, causation_id FROM stored_events")
    assert rows == [(None, None)]
