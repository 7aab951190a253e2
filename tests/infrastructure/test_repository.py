"""What a repository is told when it is made, and what it says."""

from datetime import UTC, datetime
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import (
    DataIntegrityError,
    ProgrammingError,
    RepositoryKeyError,
    TopicResolutionError,
    VersionNotFound,
)
from eventsourcing.infrastructure.eventsourcedrepository import EventSourcedRepository
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.snapshotting import Snapshotter
from tests.contracts.model import Account, Happened
from tests.contracts.timetravel import names


@pytest.fixture
def store() -> EventStore:
    """A store with an account of the id "a" and three events."""
    store = EventStore(MemoryRecordManager(), SequencedItemMapper())
    account = Account.create(id="a", owner="Ann")
    account.deposit(1)
    account.deposit(2)
    store.store(account.pending_events)
    return store


def test_a_function_of_ones_own_goes_before_snapshots_and_the_cache(store: EventStore) -> None:
    records = store.record_manager.snapshots()
    snapshotter = Snapshotter(store, records, lambda cls, count: True)
    EventSourcedRepository(store, snapshotter=snapshotter)["a"]

    repository = EventSourcedRepository(
        store, mutator_func=names, snapshotter=snapshotter, cache_size=5
    )

    for _ in range(2):
        assert repository["a"] == ["Created", "Deposited", "Deposited"]


@pytest.mark.parametrize("function", [None, names])
def test_the_size_of_the_cache_is_checked(store: EventStore, function: Any) -> None:
    with pytest.raises(ProgrammingError, match="cache_size="):
        EventSourcedRepository(store, function, cache_size=0)


def test_a_cache_keeps_as_many_as_it_was_told(store: EventStore) -> None:
    for name in "bc":
        store.store(Account.create(id=name, owner=name).pending_events)
    repository = EventSourcedRepository(store, cache_size=2)

    for name in "abc":
        assert repository[name].id == name

    assert repository._cache is not None
    assert len(repository._cache._entries) == 2


def test_a_state_of_nothing_is_no_aggregate(store: EventStore) -> None:
    def nothing(state: Any, happened: DomainEvent) -> None:
        return None

    with pytest.raises(RepositoryKeyError) as caught:
        EventSourcedRepository(store, nothing)["a"]
    assert caught.value.originator_id == "a"


def test_a_function_begins_with_no_state(store: EventStore) -> None:
    states: list[Any] = []

    def counting(state: Any, happened: DomainEvent) -> int:
        states.append(state)
        return len(states)

    assert EventSourcedRepository(store, counting)["a"] == 3
    assert states == [None, 1, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"of_class": "Account"}, "^an aggregate's class is expected, not 'Account'$"),
        ({"version": 0}, "^a version is an int from 1 on, not 0$"),
        ({"version": 1, "at": "2026-01-01T00:00Z"}, "^give one of: version, at$"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_with_the_reason(
    store: EventStore, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProgrammingError, match=message):
        EventSourcedRepository(store).get("a", **given)


def test_history_is_refused_at_once_with_the_reason(store: EventStore) -> None:
    with pytest.raises(ProgrammingError, match=r"^a version is an int from 0 on, not -1$"):
        EventSourcedRepository(store).history("a", after=-1)


@pytest.mark.parametrize("function", [None, names])
def test_what_is_not_there_is_named(store: EventStore, function: Any) -> None:
    repository = EventSourcedRepository(store, function)

    for find in (
        lambda: repository["b"],
        lambda: repository.get("b", version=1),
        lambda: repository.get("b", at="2026-01-01T00:00Z"),
        lambda: next(repository.history("b")),
    ):
        with pytest.raises(RepositoryKeyError) as caught:
            find()
        assert (type(caught.value), caught.value.originator_id) == (RepositoryKeyError, "b")


@pytest.fixture
def short(store: EventStore) -> EventStore:
    """A store with an account of the id "s" and a single event."""
    store.store(Account.create(id="s", owner="Sue").pending_events)
    return store


@pytest.mark.parametrize("function", [None, names])
def test_a_stream_of_one_event_is_enough(short: EventStore, function: Any) -> None:
    repository = EventSourcedRepository(short, function)

    assert repository["s"]
    assert repository.get("s", version=1)
    assert len(list(repository.history("s"))) == 1
    with pytest.raises(VersionNotFound) as caught:
        repository.get("s", version=2)
    assert str(caught.value) == "no aggregate with id 's' at version 2: it is at version 1"


def test_a_time_before_the_only_event_is_an_error_that_names_the_version(short: EventStore) -> None:
    with pytest.raises(VersionNotFound) as caught:
        EventSourcedRepository(short).get("s", at=datetime(2001, 1, 1, tzinfo=UTC))

    assert (caught.value.originator_id, caught.value.actual_version) == ("s", 1)


def test_a_time_without_a_zone_is_no_time(store: EventStore) -> None:
    naive = datetime(2026, 1, 1)
    store.store(DomainEvent(originator_id="n", originator_version=0, timestamp=naive))

    with pytest.raises(ProgrammingError, match=r"^event 0 of 'n' \(DomainEvent\) has no time$"):
        EventSourcedRepository(store).get("n", at="2026-01-01T00:00Z")


def test_an_old_version_is_found_where_there_are_snapshots(store: EventStore) -> None:
    records = store.record_manager.snapshots()
    snapshotter = Snapshotter(store, records, lambda cls, count: True)
    repository = EventSourcedRepository(store, snapshotter=snapshotter)
    assert repository["a"].balance == 3

    assert repository.get("a", version=2).balance == 1


def test_what_is_loaded_is_saved_where_it_was_loaded() -> None:
    created = Account.create(id="a", owner="Ann").pending_events
    with SimpleApplication() as one, SimpleApplication():
        one.event_store.store(created)
        account = one.repository["a"]
        account.deposit(4)

        account.save()

        assert one.repository["a"].balance == 4


@pytest.mark.parametrize(("stream", "position"), [("a", 3), ("b", 0)], ids=["later", "first"])
def test_an_event_that_makes_nothing_of_the_state_is_named(
    store: EventStore, stream: str, position: int
) -> None:
    store.store(Happened(originator_id=stream, originator_version=position))

    with pytest.raises(DataIntegrityError) as caught:
        EventSourcedRepository(store)[stream]

    assert str(caught.value) == (
        f"the stream of {stream!r} cannot be replayed: event {position} (Happened): it is not an"
        " event of the entity"
    )
    assert (caught.value.originator_id, caught.value.originator_version) == (stream, position)


def test_an_event_at_which_the_function_raises_is_named_without_what_it_says(
    store: EventStore,
) -> None:
    def raising(state: Any, happened: DomainEvent) -> Any:
        raise reason

    reason = ValueError("never shown")
    with pytest.raises(DataIntegrityError) as caught:
        EventSourcedRepository(store, raising)["a"]

    assert str(caught.value) == (
        "the stream of 'a' cannot be replayed: event 0 (Account.Created): it raised ValueError"
    )
    assert (caught.value.originator_id, caught.value.originator_version) == ("a", 0)
    assert caught.value.__cause__ is reason


def test_what_the_library_says_of_an_event_is_shown(store: EventStore) -> None:
    def raising(state: Any, happened: DomainEvent) -> Any:
        raise ProgrammingError("what is wrong")

    with pytest.raises(DataIntegrityError, match=r"event 0 .*: what is wrong$"):
        EventSourcedRepository(store, raising)["a"]


def test_a_class_that_may_not_be_used_is_named_with_the_event(store: EventStore) -> None:
    (created,) = Account.create(id="c", owner="Cid").pending_events
    created.__dict__["originator_topic"] = "nowhere#Nothing"
    store.store(created)

    with pytest.raises(TopicResolutionError, match=r"^event 0 of 'c': .*nowhere#N") as caught:
        EventSourcedRepository(store)["c"]

    error = caught.value
    found = error.topic, error.originator_id, error.originator_version
    assert found == ("nowhere#Nothing", "c", 0)
