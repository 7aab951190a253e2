"""What a record manager promises: eventsourcing.infrastructure.recordmanager."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventsourcing.exceptions import InvalidOriginatorID, SequencedItemConflict, ValueTooLarge
from eventsourcing.infrastructure.recordmanager import Bounds, RecordManager
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from tests.contracts.places import Id, Place, TenantItem
from tests.contracts.streams import Port, StreamContract


class ManagerPort:
    """A record manager, as the suite of streams sees it."""

    conflict = disorder = SequencedItemConflict
    overflow = ValueTooLarge

    def __init__(self, manager: RecordManager) -> None:
        self.manager = manager
        self.close = manager.close

    def append(self, *places: tuple[Id, int]) -> None:
        self.manager.record([item(stream, position) for stream, position in places])

    def read(self, stream: Id, **bounds: Any) -> Iterator[tuple[Id, int]]:
        return ((item[0], item[1]) for item in self.manager.get_items(stream, Bounds(**bounds)))


class RecordManagerContract(StreamContract):
    """A record manager keeps items, each position of a sequence once."""

    @pytest.fixture
    def port(self, manager: RecordManager) -> Port:
        return ManagerPort(manager)

    def test_an_item_comes_back_as_it_was(self, manager: RecordManager) -> None:
        given = [
            StoredEvent(5, 0, "topic", '{"a":1}', "0" * 32, "correlation", "causation"),
            StoredEvent(5, 1, "\U0001f600", "'\"\\%s:x?\t\U0001f600", "f" * 32, None, None),
        ]
        manager.record(given)
        assert list(manager.get_items(5)) == given

    def test_an_item_comes_back_in_its_class(self, manager: RecordManager) -> None:
        manager.record([item(5, 0)])
        assert [type(found) for found in manager.get_items(5)] == [StoredEvent]

    def test_a_conflict_leaves_the_first_item(self, manager: RecordManager) -> None:
        first, rival = item("s", 0, state="first"), item("s", 0, state="rival")
        manager.record([first])
        with pytest.raises(SequencedItemConflict):
            manager.record([rival])
        assert list(manager.get_items("s")) == [first]

    def test_an_identical_item_is_a_conflict_too(self, manager: RecordManager) -> None:
        only = item("s", 0)
        manager.record([only])
        with pytest.raises(SequencedItemConflict):
            manager.record([only])

    def test_an_item_is_where_the_feed_has_it(self, manager: RecordManager) -> None:
        manager.record([item("s", 0), item("t", 0), item("s", 1)])
        manager.record([item("t", 1)])
        feed = [(found[:2], at) for at, found in manager.feed().get_items()]
        assert [(place, manager.feed_position(*place)) for place, _ in feed] == feed
        assert [place for place, _ in feed] == [("s", 0), ("t", 0), ("s", 1), ("t", 1)]

    @pytest.mark.parametrize("nowhere", [("s", 1), ("s", -1), ("S", 0), (5, 0), ("5", 1)], ids=repr)
    def test_what_is_not_stored_is_nowhere_in_the_feed(
        self, manager: RecordManager, nowhere: tuple[Id, int]
    ) -> None:
        manager.record([item("s", 0), item("5", 0)])
        assert manager.feed_position(*nowhere) is None

    @pytest.mark.parametrize("stream", [None, 1.5, b"a", ("a",)], ids=repr)
    def test_an_id_of_another_type_is_refused(self, manager: RecordManager, stream: Any) -> None:
        with pytest.raises(InvalidOriginatorID):
            manager.record([item(stream, 0)])
        with pytest.raises(InvalidOriginatorID):
            list(manager.get_items(stream))
        with pytest.raises(InvalidOriginatorID):
            manager.feed_position(stream, 0)

    def test_a_read_finds_what_was_there_when_it_began(self, manager: RecordManager) -> None:
        read = manager.get_items("s")
        manager.record([item("s", 0)])
        assert list(read) == [item("s", 0)]

    def test_two_reads_do_not_disturb_each_other(self, manager: RecordManager) -> None:
        manager.record([item("s", 0), item("s", 1)])
        one, other = manager.get_items("s"), manager.get_items("s")
        assert [next(one)[1], next(other)[1], next(one)[1], next(other)[1]] == [0, 0, 1, 1]

    def test_what_is_recorded_counts_as_committed(self, manager: RecordManager) -> None:
        called = []
        manager.record([item("s", 0)])
        manager.when_committed(lambda: called.append("now"))
        assert called == ["now"]
        assert manager.commits

    @pytest.mark.parametrize(
        "given",
        [
            SequencedItem("s", 0, "topic", "state"),
            TenantItem("s", 0, "kind", "body", "Acme \U0001f600", -7, "0" * 32),
            TenantItem("s", 0, "kind", "body", None, None, "0" * 32),
        ],
        ids=lambda item: type(item).__name__,
    )
    def test_items_of_another_class_come_back_as_they_were(
        self, place: Place, given: tuple[Any, ...]
    ) -> None:
        manager = place.open(type(given))
        manager.record([given])
        found = list(manager.get_items("s"))
        manager.close()
        assert (found, type(found[0])) == ([given], type(given))

    def test_a_batch_of_another_class_is_stored_whole_or_not(self, place: Place) -> None:
        manager = place.open(TenantItem)
        items = [TenantItem("s", n, "kind", "body", None, n, "0" * 32) for n in range(3)]
        manager.record(items[1:2])
        with pytest.raises(SequencedItemConflict):
            manager.record(items)
        found = list(manager.get_items("s"))
        manager.close()
        assert found == items[1:2]


def item(stream: Id, position: int, state: str = "{}") -> StoredEvent:
    """Return an item, which differs from others by stream, position and state."""
    return StoredEvent(stream, position, "topic", state, f"{position % 2**63:032x}")


OpenPort = Callable[[], Port]
