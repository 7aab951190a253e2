"""What the event store promises, whatever record manager is below it."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.events import EventWithOriginatorID
from eventsourcing.exceptions import (
    ConcurrencyError,
    EncodeError,
    EventFieldError,
    ProgrammingError,
    SequencedItemConflict,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.contracts.model import Happened, Noted
from tests.contracts.places import Id, Place, TenantItem
from tests.contracts.streams import BOUNDS, Port, StreamContract


def event_store(
    place: Place, item_class: type[tuple[Any, ...]] = StoredEvent, **settings: Any
) -> EventStore:
    """Return a new event store for this place. The caller closes it."""
    return EventStore(place.open(item_class, **settings), SequencedItemMapper(item_class))


class StorePort:
    """An event store, as the suite of streams sees it."""

    conflict = ConcurrencyError
    disorder = ProgrammingError
    overflow = EncodeError

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.close = store.close

    def append(self, *places: tuple[Id, int]) -> None:
        self.store.store([happened(stream, position) for stream, position in places])

    def read(self, stream: Id, **bounds: Any) -> Iterator[tuple[Id, int]]:
        found: Iterator[Any] = self.store.get_domain_events(stream, **bounds)
        return ((event.originator_id, event.originator_version) for event in found)


class EventStoreContract(StreamContract):
    """An event store appends events to their streams, and gives them back."""

    @pytest.fixture
    def store(self, place: Place) -> Iterator[EventStore]:
        store = event_store(place)
        yield store
        store.close()

    @pytest.fixture
    def port(self, store: EventStore) -> Port:
        return StorePort(store)

    # -- events

    def test_an_event_comes_back_equal_and_in_its_class(self, store: EventStore) -> None:
        given = [happened("s", 0), Noted(originator_id="s", originator_version=1, a=1, b="x")]
        store.store(given)
        assert list(store.get_domain_events("s")) == given

    def test_one_event_may_be_stored_without_a_list(self, store: EventStore) -> None:
        store.store(happened("s", 0))
        assert list(store.get_domain_events("s")) == [happened("s", 0)]

    def test_an_event_comes_back_with_its_context(self, store: EventStore) -> None:
        with unit_of_work("a request", "a message"):
            given = [happened("s", 0)]
        given.append(happened("s", 1))
        store.store(given)
        found = [event.context for event in store.get_domain_events("s")]
        assert found == [event.context for event in given]
        assert found[0][1:] == ("a request", "a message")

    def test_the_most_recent_event_is_the_last_one(self, store: EventStore) -> None:
        store.store([happened("s", 0), happened("s", 1)])
        assert store.get_most_recent_event("s") == happened("s", 1)

    def test_an_empty_stream_has_no_most_recent_event(self, store: EventStore) -> None:
        assert store.get_most_recent_event("s") is None

    def test_an_event_without_a_position_is_refused(self, store: EventStore) -> None:
        class Nowhere(EventWithOriginatorID):
            pass

        with pytest.raises(EventFieldError):
            store.store(Nowhere(originator_id="s"))

    @pytest.mark.parametrize("bound", [*BOUNDS, "limit"])
    def test_a_bound_that_is_no_int_is_refused(self, store: EventStore, bound: str) -> None:
        with pytest.raises(ProgrammingError, match=bound):
            store.get_domain_events("s", **{bound: "1"})  # type: ignore[arg-type]

    def test_a_negative_limit_is_refused(self, store: EventStore) -> None:
        with pytest.raises(ProgrammingError, match="limit"):
            store.get_domain_events("s", limit=-1)

    def test_a_direction_that_is_no_bool_is_refused(self, store: EventStore) -> None:
        with pytest.raises(ProgrammingError, match="is_ascending must be a bool, not str"):
            store.get_domain_events("s", is_ascending="no")  # type: ignore[arg-type]

    # -- batches

    @pytest.mark.parametrize("batch", [(0, 2), (1, 0), (0, 0), (0, 1, 3), (5, 4, 3)], ids=str)
    def test_a_batch_that_leaves_a_gap_or_goes_back_is_refused(
        self, store: EventStore, batch: tuple[int, ...]
    ) -> None:
        store.store(happened("s", 6))
        events = [happened("s", position) for position in batch]
        last, wrong = next((m, n) for m, n in pairwise(batch) if n != m + 1)
        with pytest.raises(ProgrammingError, match=rf"{wrong} of the stream 's' after {last}"):
            store.store([happened("a", 0), *events, happened("b", 0)])
        assert contents(store, "s", "a", "b") == [happened("s", 6)]

    def test_each_of_the_streams_in_a_batch_goes_on_by_itself(self, store: EventStore) -> None:
        batch = [happened("a", 0), happened("b", 7), happened("a", 1), happened("b", 8)]
        store.store(batch)
        assert contents(store, "a", "b") == [batch[0], batch[2], batch[1], batch[3]]

    # -- the same event again

    def test_storing_the_same_events_again_does_nothing(self, store: EventStore) -> None:
        given = [happened("s", 0), happened("t", 0), happened("s", 1)]
        store.store(given)
        store.store(given)
        assert contents(store, "s", "t") == [given[0], given[2], given[1]]

    def test_storing_some_of_the_same_events_again_does_nothing(self, store: EventStore) -> None:
        given = [happened("s", 0), happened("s", 1), happened("s", 2)]
        store.store(given)
        store.store(given[1:2])
        assert contents(store, "s") == given

    def test_storing_what_was_read_does_nothing(self, store: EventStore) -> None:
        store.store([happened("s", 0), happened("s", 1)])
        read = contents(store, "s")
        store.store(read)
        assert contents(store, "s") == read

    def test_what_follows_the_same_events_is_stored(self, store: EventStore) -> None:
        given = [happened("s", 0), happened("s", 1), happened("t", 0)]
        store.store(given[:1])
        store.store(given)
        assert contents(store, "s", "t") == given

    def test_what_follows_the_same_events_is_stored_whole_or_not(self, store: EventStore) -> None:
        given = [happened("s", 0), happened("s", 1), happened("t", 0)]
        rival = happened("t", 0, "rival")
        store.store([given[0], rival])
        with pytest.raises(ConcurrencyError):
            store.store(given)
        assert contents(store, "s", "t") == [given[0], rival]

    def test_an_identical_event_of_a_rival_is_a_conflict(self, store: EventStore) -> None:
        mine, rivals = happened("s", 0), happened("s", 0)
        store.store(mine)
        with pytest.raises(ConcurrencyError):
            store.store(rivals)
        assert mine == rivals
        assert [event.context for event in contents(store, "s")] == [mine.context]

    def test_without_event_ids_equal_contents_are_the_same_event(self, place: Place) -> None:
        store = event_store(place, SequencedItem)
        store.store(happened("s", 0))
        store.store(happened("s", 0))
        with pytest.raises(ConcurrencyError):
            store.store(happened("s", 0, "another"))
        found = contents(store, "s")
        store.close()
        assert found == [happened("s", 0)]

    # -- conflicts

    @pytest.mark.parametrize("stream", ["s", 5, UUID(int=7)], ids=repr)
    def test_a_conflict_says_who_expected_what(self, store: EventStore, stream: Id) -> None:
        store.store([happened(stream, n) for n in range(3)])
        assert conflict(store, happened(stream, 1)) == (stream, 1, 3)

    def test_who_is_far_behind_hears_where_the_stream_is(self, store: EventStore) -> None:
        first = [happened("s", 0), happened("s", 1)]
        store.store(first)
        store.store([happened("s", position) for position in range(2, 100)])
        assert conflict(store, happened("s", 1)) == ("s", 1, 100)
        store.store(first)  # which it finds again

    def test_a_conflict_names_the_first_position_that_was_taken(self, store: EventStore) -> None:
        store.store([happened("s", n) for n in range(4)])
        assert conflict(store, happened("s", 3), happened("s", 4)) == ("s", 3, 4)
        assert conflict(store, happened("s", 2), happened("s", 3)) == ("s", 2, 4)

    def test_a_conflict_names_the_stream_of_a_batch(self, store: EventStore) -> None:
        store.store([happened("b", 0), happened("b", 1)])
        assert conflict(store, happened("a", 0), happened("b", 1), happened("c", 0)) == ("b", 1, 2)

    def test_a_conflict_names_the_first_of_several_streams(self, store: EventStore) -> None:
        store.store([happened("a", 0), happened("b", 0)])
        assert conflict(store, happened("c", 0), happened("b", 0), happened("a", 0)) == ("b", 0, 1)

    def test_a_conflict_passes_over_what_the_saver_stored(self, store: EventStore) -> None:
        mine = [happened("s", 0), happened("s", 1)]
        store.store([*mine, happened("s", 2)])
        assert conflict(store, *mine, happened("s", 2)) == ("s", 2, 3)

    def test_a_conflict_keeps_its_cause(self, store: EventStore) -> None:
        store.store(happened("s", 0))
        with pytest.raises(ConcurrencyError) as caught:
            store.store(happened("s", 0))
        assert type(caught.value.__cause__) is SequencedItemConflict

    # -- further columns

    def test_further_columns_are_filled_from_the_event(self, place: Place) -> None:
        store = event_store(place, TenantItem)
        given = Noted(originator_id="s", originator_version=0, tenant="Acme", priority=3)
        store.store([given, Noted(originator_id="s", originator_version=1)])
        items: list[Any] = list(store.record_manager.get_items("s"))
        store.close()
        assert [(item.tenant, item.priority) for item in items] == [("Acme", 3), (None, None)]
        assert items[0].event_id == given.context.event_id

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=ascii)
    def test_a_text_that_no_column_takes_is_refused(self, place: Place, text: str) -> None:
        store = event_store(place, TenantItem)
        good = Noted(originator_id="s", originator_version=0)
        with pytest.raises(EncodeError, match=r"Noted: tenant") as caught:
            store.store([good, Noted(originator_id="s", originator_version=1, tenant=text)])
        found = contents(store, "s")
        store.close()
        assert (found, caught.value.field) == ([], "tenant")


def happened(stream: Id, position: int, note: str = "") -> Happened:
    """Return a new event."""
    return Happened(originator_id=stream, originator_version=position, note=note)


def contents(store: EventStore, *streams: Id) -> list[Any]:
    """Return all events of the streams, one stream after the other."""
    return [event for stream in streams for event in store.get_domain_events(stream)]


def conflict(store: EventStore, *events: Happened) -> tuple[object, int | None, int | None]:
    """Return what the conflict says that storing the events runs into."""
    with pytest.raises(ConcurrencyError) as caught:
        store.store(events)
    error = caught.value
    return error.originator_id, error.expected_version, error.actual_version
