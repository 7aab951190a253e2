"""What the event store makes of the answers of a record manager, whatever database it is of."""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from eventsourcing.domain.model.events import DomainEvent, restore
from eventsourcing.exceptions import (
    ConcurrencyError,
    DatabaseUnavailable,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds
from eventsourcing.infrastructure.sequenceditem import SequencedItem
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper


class Answering(MemoryRecordManager):
    """Raises what is in ``answers``, one for each record, and in ``refusals``, for each reader."""

    def __init__(self, *answers: PersistenceError, can_repeat: bool = True) -> None:
        super().__init__()
        self.answers = list(answers)
        self.refusals: list[PersistenceError] = []
        self.can_repeat = can_repeat
        self.confirmed = 0
        self.reads: list[Bounds] = []

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        if self.answers:
            raise self.answers.pop(0)
        super().record(items)

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        self.reads.append(bounds)
        if self.refusals:
            raise self.refusals.pop(0)
        return super().get_items(sequence_id, bounds)

    def confirm(self) -> None:
        self.confirmed += 1


def event(position: int, stream: str = "a", **attributes: Any) -> DomainEvent:
    return DomainEvent(originator_id=stream, originator_version=position, **attributes)


def store_of(manager: Answering, *streams: tuple[str, int]) -> EventStore:
    """Returns a store with streams of so many events, made before the answers begin."""
    answers, manager.answers = manager.answers, []
    store = EventStore(manager, SequencedItemMapper())
    for stream, length in streams:
        store.store([event(n, stream) for n in range(length)])
    manager.answers = answers
    return store


def refusal(store: EventStore, *events: DomainEvent) -> tuple[str, Any, Any, Any]:
    with pytest.raises(ConcurrencyError) as caught:
        store.store(events)
    error = caught.value
    return str(error), error.originator_id, error.expected_version, error.actual_version


def test_a_position_that_is_taken_is_refused_with_the_version() -> None:
    store = store_of(Answering(), ("a", 3))

    assert refusal(store, event(1)) == (
        "stream 'a' was expected at version 1, and is at 3",
        "a",
        1,
        3,
    )


def test_who_is_far_behind_is_told_so() -> None:
    store = store_of(Answering(), ("a", 200))

    assert refusal(store, event(0))[2:] == (0, 200)


@pytest.mark.parametrize(
    ("position", "reads"),
    [
        (49, [Bounds(gte=49, limit=21, is_ascending=False)]),
        (30, [Bounds(gte=30, limit=21, is_ascending=False)]),
        (29, [Bounds(gte=29, limit=21, is_ascending=False), Bounds(gte=29, lte=29)]),
    ],
    ids=["one behind", "20 behind", "21 behind"],
)
def test_who_is_refused_reads_a_few_of_the_newest_events(
    position: int, reads: list[Bounds]
) -> None:
    manager = Answering()
    store = store_of(manager, ("a", 50))

    assert refusal(store, event(position))[2:] == (position, 50)

    assert manager.reads == reads


def test_the_version_of_a_stream_is_read_from_its_last_event() -> None:
    manager = Answering(TransactionConflict("deadlock"))
    store = store_of(manager, ("a", 3))

    assert refusal(store, event(3))[2:] == (3, 3)

    few = Bounds(gte=3, limit=21, is_ascending=False)
    assert manager.reads == [few, Bounds(limit=1, is_ascending=False)]


def test_the_first_position_that_is_taken_is_named() -> None:
    store = store_of(Answering(), ("a", 1), ("b", 3))

    found = refusal(store, event(1, "a"), event(1, "b"))

    assert found[1:] == ("b", 1, 3)


def test_the_answer_of_a_transaction_that_was_given_up_names_the_version() -> None:
    store = store_of(Answering(TransactionConflict("deadlock")), ("a", 3), ("b", 7))

    assert refusal(store, event(3), event(7, "b")) == (
        "stream 'a' was expected at version 3, and is at 3; the transaction was given up: deadlock",
        "a",
        3,
        3,
    )


def test_the_version_of_a_stream_that_is_not_there_is_0() -> None:
    store = store_of(Answering(TransactionConflict("deadlock")))

    assert refusal(store, event(0))[2:] == (0, 0)


def test_in_a_callers_lost_transaction_nothing_is_looked_up() -> None:
    manager = Answering(TransactionConflict("deadlock"), can_repeat=False)
    store = store_of(manager, ("a", 3))
    manager.refusals = [DatabaseUnavailable("nothing may be read")]

    assert refusal(store, event(3)) == (
        "stream 'a' was expected at version 3; the transaction was given up: deadlock",
        "a",
        3,
        None,
    )


def test_a_row_that_cannot_be_seen_has_no_version() -> None:
    store = store_of(Answering(SequencedItemConflict("taken"), can_repeat=False), ("a", 3))

    assert refusal(store, event(3)) == (
        "stream 'a' was expected at version 3, and this transaction, begun before that, does not"
        " see by how much it is ahead",
        "a",
        3,
        None,
    )


@pytest.mark.parametrize(
    "answer", [SequencedItemConflict("taken"), TransactionConflict("deadlock")]
)
def test_what_was_stored_by_this_very_save_is_confirmed(answer: PersistenceError) -> None:
    manager = Answering()
    store = store_of(manager)
    saved = [event(n) for n in range(3)]
    store.store(saved)
    manager.answers = [answer]

    store.store(saved)

    assert (manager.confirmed, len(list(store.get_domain_events("a")))) == (1, 3)


def test_what_this_save_stored_in_part_is_completed() -> None:
    manager = Answering()
    store = store_of(manager)
    saved = [event(n) for n in range(3)]
    store.store(saved[:2])

    store.store(saved)

    assert (manager.confirmed, list(store.get_domain_events("a"))) == (0, saved)


def test_an_event_is_known_by_its_id_alone() -> None:
    manager = Answering()
    store = store_of(manager)
    saved = event(0, price=1)
    store.store(saved)

    store.store(restore(DomainEvent, saved.__dict__ | {"price": 1.0}, saved.context))

    assert manager.confirmed == 1


def test_without_ids_an_event_is_known_by_all_of_it() -> None:
    store = EventStore(MemoryRecordManager(SequencedItem), SequencedItemMapper(SequencedItem))
    store.store(event(0, price=1))

    store.store(event(0, price=1))

    assert refusal(store, event(0, price=2))[2:] == (0, 1)


def test_an_unknown_outcome_is_found_out_by_saving_again() -> None:
    manager = Answering(OutcomeUnknown("cut off"))
    store = store_of(manager)

    store.store(event(0))

    assert len(list(store.get_domain_events("a"))) == 1


@pytest.mark.parametrize(
    ("second", "can_repeat", "message"),
    [
        (
            DatabaseUnavailable("gone"),
            True,
            "cut off; to find out whether the events are stored failed too: gone",
        ),
        (DatabaseUnavailable("gone"), False, "cut off"),
    ],
    ids=["repeated", "not repeated"],
)
def test_an_outcome_that_cannot_be_found_out_is_unknown(
    second: PersistenceError, can_repeat: bool, message: str
) -> None:
    manager = Answering(OutcomeUnknown("cut off"), second, can_repeat=can_repeat)
    store = store_of(manager)

    with pytest.raises(OutcomeUnknown) as caught:
        store.store(event(0))

    assert str(caught.value) == message


def test_a_conflict_that_cannot_be_looked_into_is_an_unknown_outcome() -> None:
    manager = Answering()
    store = store_of(manager, ("a", 1))
    manager.refusals = [DatabaseUnavailable("gone")]

    with pytest.raises(OutcomeUnknown) as caught:
        store.store(event(0))

    assert str(caught.value) == (
        "a position is taken, perhaps by an earlier attempt of this save (position 0 of 'a' is"
        " taken); to find out failed: gone"
    )


def test_in_a_callers_transaction_it_is_the_error_of_looking() -> None:
    manager = Answering(can_repeat=False)
    store = store_of(manager, ("a", 1))
    manager.refusals = [DatabaseUnavailable("gone")]

    with pytest.raises(DatabaseUnavailable, match=r"^gone$"):
        store.store(event(0))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(0, "a"), (2, "a")], "position 2 of the stream 'a' after 0, where 1 has to follow"),
        ([(0, "a"), (0, "b"), (2, "a")], "position 2 of the stream 'a' after 0, where 1 has"),
        ([(1, "a"), (0, "a")], "position 0 of the stream 'a' after 1, where 2 has to follow"),
    ],
    ids=["gap", "gap with another stream between", "back"],
)
def test_a_batch_follows(events: list[tuple[int, str]], message: str) -> None:
    store = store_of(Answering())

    with pytest.raises(ProgrammingError, match=message):
        store.store([event(*each) for each in events])


def test_streams_may_take_turns_in_a_batch() -> None:
    store = store_of(Answering())

    store.store([event(0, "a"), event(5, "b"), event(1, "a"), event(6, "b")])

    assert [e.__dict__["originator_version"] for e in store.get_domain_events("b")] == [5, 6]


def test_store_and_mapper_have_one_item_class() -> None:
    with pytest.raises(ProgrammingError, match="StoredEvent, the mapper makes Sequenced"):
        EventStore(MemoryRecordManager(), SequencedItemMapper(SequencedItem))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"gt": "1"}, "^gt must be an int, not str$"),
        ({"gte": "1"}, "^gte must be an int, not str$"),
        ({"lt": "1"}, "^lt must be an int, not str$"),
        ({"lte": "1"}, "^lte must be an int, not str$"),
        ({"limit": 1.5}, "^limit must be an int, not float$"),
        ({"limit": -1}, "^limit cannot be negative$"),
        ({"is_ascending": 1}, "^is_ascending must be a bool, not int$"),
    ],
    ids=str,
)
def test_bounds_are_refused_by_name(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgrammingError, match=message):
        store_of(Answering()).get_domain_events("a", **bounds)


def test_both_callbacks_reach_the_record_manager() -> None:
    given: list[tuple[Any, Any]] = []

    class Noting(MemoryRecordManager):
        def when_committed(
            self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
        ) -> None:
            given.append((callback, or_else))

    store = EventStore(Noting(), SequencedItemMapper())

    store.when_committed(print, repr)  # type: ignore[arg-type]

    assert given == [(print, repr)]


def test_listeners_are_told_of_each_save_until_they_are_removed() -> None:
    store, told = store_of(Answering()), []
    one, other = (lambda: told.append("one")), (lambda: told.append("other"))
    store.add_listener(one)
    store.add_listener(other)
    first = event(0)
    store.store(first)
    store.store(first)  # which is stored already
    with pytest.raises(ConcurrencyError):
        store.store(event(0))
    store.remove_listener(one)
    store.store(event(1))

    assert told == ["one", "other", "one", "other", "other"]


def test_an_event_without_an_id_is_marked_by_all_of_it() -> None:
    store = EventStore(MemoryRecordManager(SequencedItem), SequencedItemMapper(SequencedItem))
    items = [SequencedItem("a", 0, "topic", state) for state in ("1", "2", "1")]

    marks = [store.mark_of(item) for item in items]

    assert (marks[0] == marks[2], marks[0] == marks[1]) == (True, False)
    assert all(marks)


def test_who_announces_saves_is_told_of_each() -> None:
    class Announcing(MemoryRecordManager):
        def __init__(self) -> None:
            super().__init__()
            self.told: list[str] = []
            self.announcements: Any = SimpleNamespace(announce=lambda: self.told.append("saved"))

    manager = Announcing()
    store = EventStore(manager, SequencedItemMapper())

    store.store(event(0))
    store.store([event(1), event(2)])

    assert manager.told == ["saved", "saved"]
