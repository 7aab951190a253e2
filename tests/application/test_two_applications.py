"""Two applications in one process never both store one event, and never the wrong one does."""

import contextvars
from collections.abc import Iterator

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.events import EventWithOriginatorVersion, publish
from eventsourcing.exceptions import (
    AmbiguousApplicationError,
    ApplicationClosedError,
    NoApplicationError,
    WrongApplicationError,
)
from tests.application.stores import Counter, Lamp, memory_app, stored


class Rung(EventWithOriginatorVersion):
    originator_id: str


@pytest.fixture
def first() -> Iterator[SimpleApplication]:
    app = memory_app("first")
    yield app
    app.close()


@pytest.fixture
def second() -> Iterator[SimpleApplication]:
    app = memory_app("second")
    yield app
    app.close()


# -- where an aggregate belongs -------------------------------------------------------------


def test_an_aggregate_belongs_to_the_application_in_whose_block_it_is_created() -> None:
    with memory_app() as outer:
        of_outer = Counter.create()
        with memory_app() as inner:
            of_inner = Counter.create()
            of_inner.save()
            of_outer.save()

            assert stored(outer, of_outer, of_inner) == ["Created"]
            assert stored(inner, of_inner, of_outer) == ["Created"]


def test_after_the_inner_block_the_outer_application_is_the_active_one() -> None:
    with memory_app() as outer:
        with memory_app():
            pass
        counter = Counter.create()
        counter.save()

        assert stored(outer, counter) == ["Created"]


def test_an_aggregate_of_the_outer_application_can_be_saved_after_the_inner_one_closed() -> None:
    with memory_app() as outer:
        counter = Counter.create()
        with memory_app() as inner:
            pass
        counter.save()

        assert stored(outer, counter) == ["Created"]
        with pytest.raises(ApplicationClosedError):
            stored(inner, counter)


def test_a_loaded_aggregate_is_saved_where_it_came_from_whatever_is_active(
    first: SimpleApplication,
) -> None:
    counter = Counter.create()
    first.save(counter)

    with memory_app() as other:
        loaded = first.repository.get(counter.id, Counter)
        loaded.increase()
        loaded.save()

        assert stored(first, counter) == ["Created", "Increased"]
        assert stored(other, counter) == []


def test_an_aggregate_belongs_to_the_application_that_saved_it(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    counter = Counter.create()
    first.save(counter)
    counter.increase()

    with second:
        counter.save()

    assert stored(first, counter) == ["Created", "Increased"]


def test_a_save_that_failed_leaves_the_aggregate_free(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    first.save(Counter.create(id="taken"))
    rival = Counter.create(id="taken")

    with pytest.raises(Exception, match="was expected at version 0, and is at 1"):
        first.save(rival)
    second.save(rival)

    assert stored(second, rival) == ["Created"]


# -- outside of any block -------------------------------------------------------------------


def test_outside_of_any_block_the_only_open_application_is_meant(
    first: SimpleApplication,
) -> None:
    counter = Counter.create()

    counter.save()

    assert stored(first, counter) == ["Created"]


def test_an_aggregate_that_is_older_than_the_application_is_saved_by_it() -> None:
    counter = Counter.create()

    with memory_app() as app:
        counter.save()

        assert stored(app, counter) == ["Created"]


def test_two_open_applications_leave_a_choice_that_is_an_error_naming_both(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    counter = Counter.create()

    with pytest.raises(AmbiguousApplicationError, match="could store this: first, second"):
        counter.save()

    assert (stored(first, counter), stored(second, counter)) == ([], [])
    assert len(counter.pending_events) == 1


def test_the_choice_can_be_made_with_save_or_with_a_block(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    by_save, by_block = Counter.create(), Counter.create()

    first.save(by_save)
    with second:
        by_block.save()

        assert stored(first, by_save, by_block) == ["Created"]
        assert stored(second, by_save, by_block) == ["Created"]


def test_there_is_no_choice_where_only_one_stores_such_events() -> None:
    with (
        memory_app(persist_event_type=Counter.Event) as counters,
        memory_app(persist_event_type=Lamp.Event) as lamps,
    ):
        counter, lamp = Counter.create(), Lamp.create()
        counter.save()
        lamp.save()

        assert stored(counters, counter, lamp) == ["Created"]
        assert stored(lamps, counter, lamp) == ["Created"]


def test_a_closed_application_is_no_choice(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    counter = Counter.create()
    first.close()

    counter.save()

    assert stored(second, counter) == ["Created"]


# -- closed ---------------------------------------------------------------------------------


def test_an_aggregate_of_a_closed_application_is_saved_nowhere_else() -> None:
    with memory_app("first"):
        counter = Counter.create()

    with memory_app("second") as second:
        with pytest.raises(ApplicationClosedError, match="first, to which the aggregate belongs"):
            counter.save()
        with pytest.raises(WrongApplicationError, match="belongs to first, not to second"):
            second.save(counter)

        assert (stored(second, counter), len(counter.pending_events)) == ([], 1)


def test_blocks_need_not_end_in_the_order_in_which_they_began(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    counter = Counter.create()
    counter.save()
    assert stored(second, counter) == ["Created"]

    second.__exit__(None, None, None)
    with pytest.raises(NoApplicationError):
        Counter.create().save()


def test_a_block_that_ends_in_another_context_closes_its_application_all_the_same(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    contextvars.copy_context().run(first.__enter__)
    first.__exit__(None, None, None)

    counter = Counter.create()
    counter.save()

    assert stored(second, counter) == ["Created"]


# -- events that are published --------------------------------------------------------------


def test_a_published_event_is_stored_by_the_innermost_application() -> None:
    with memory_app() as outer, memory_app() as inner:
        publish(Rung(originator_id="bell", originator_version=0))

        assert outer.event_store.get_most_recent_event("bell") is None
        assert inner.event_store.get_most_recent_event("bell") is not None


def test_a_published_event_that_leaves_a_choice_is_refused(
    first: SimpleApplication, second: SimpleApplication
) -> None:
    with pytest.raises(AmbiguousApplicationError, match="first, second"):
        publish(Rung(originator_id="bell", originator_version=0))


def test_events_that_no_single_application_stores_are_refused_together() -> None:
    with (
        memory_app(persist_event_type=Counter.Event) as counters,
        memory_app(persist_event_type=Lamp.Event) as lamps,
    ):
        counter, lamp = Counter.create(), Lamp.create()

        with pytest.raises(NoApplicationError, match="no single open application stores all"):
            publish([*counter.pending_events, *lamp.pending_events])

        assert (stored(counters, counter), stored(lamps, lamp)) == ([], [])
