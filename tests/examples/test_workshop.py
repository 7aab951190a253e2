from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from eventsourcing.infrastructure.memory import MemoryRecordManager
from examples.workshop import FullyBooked, Workshop, Workshops


@pytest.fixture
def workshops() -> Iterator[Workshops]:
    with Workshops(record_manager=MemoryRecordManager()) as app:
        yield app


def history(app: Workshops, workshop_id: UUID) -> list[tuple[str, str]]:
    """Return what happened since the announcement: the events' names, and whom they concern."""
    events: Iterator[Any] = app.event_store.get_domain_events(workshop_id, gt=0)
    return [(type(event).__name__, event.name) for event in events]


# The aggregate alone: no application, no storage.


def test_booking_a_seat_makes_an_event() -> None:
    # given
    bread = Workshop.create(title="Baking bread", seats=2)

    # when
    bread.book("Ann")

    # then
    *_, last = bread.pending_events
    assert type(last).__name__ == "Booked"
    assert bread.participants == ["Ann"]


def test_booking_twice_makes_no_second_event() -> None:
    # given
    bread = Workshop.create(title="Baking bread", seats=2)
    bread.book("Ann")
    before = bread.pending_events

    # when
    bread.book("Ann")

    # then
    assert bread.pending_events == before


# The application, in memory.


def test_a_full_workshop_refuses_and_stores_nothing(workshops: Workshops) -> None:
    # given
    bread = workshops.announce("Baking bread", seats=1)
    workshops.book(bread, "Ann")

    # when
    with pytest.raises(FullyBooked, match="no seat left for Bob"):
        workshops.book(bread, "Bob")

    # then
    assert history(workshops, bread) == [("Booked", "Ann")]


def test_a_cancelled_seat_is_free_again(workshops: Workshops) -> None:
    # given
    bread = workshops.announce("Baking bread", seats=1)
    workshops.book(bread, "Ann")

    # when
    workshops.cancel(bread, "Ann")
    workshops.book(bread, "Bob")

    # then
    assert workshops.participants(bread) == ["Bob"]


def test_one_seat_goes_to_one_of_many(workshops: Workshops) -> None:
    # given
    bread = workshops.announce("Baking bread", seats=1)

    # when
    def book(name: str) -> bool:
        try:
            workshops.book(bread, name)
        except FullyBooked:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        got_it = list(pool.map(book, ["Ann", "Bob", "Cleo", "Dan"]))

    # then
    assert got_it.count(True) == len(workshops.participants(bread)) == 1
