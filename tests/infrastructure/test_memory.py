"""What the memory adapter says, and what its feed finds out of order."""

from collections.abc import Callable
from typing import Any

import pytest

from eventsourcing.exceptions import ApplicationClosedError, SequencedItemConflict, ValueTooLarge
from eventsourcing.infrastructure.feed import FeedBounds
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditem import StoredEvent


def item(stream: str, position: int, state: str = "{}") -> StoredEvent:
    return StoredEvent(stream, position, "topic", state, "0" * 32)


def test_a_position_that_is_taken_is_named() -> None:
    with pytest.raises(SequencedItemConflict, match=r"^position 1 of 's' is taken$"):
        MemoryRecordManager().record([item("s", 1), item("s", 1)])


def test_a_position_of_too_many_bits_is_named() -> None:
    with pytest.raises(ValueTooLarge, match=f"^position {2**63} of 's' has over 63 bits$"):
        MemoryRecordManager().record([item("s", 2**63)])


@pytest.mark.parametrize(
    "use",
    [
        lambda manager: manager.record([item("s", 0)]),
        lambda manager: list(manager.get_items("s")),
        lambda manager: manager.feed_position("s", 0),
        lambda manager: manager.feed().high_water_mark(),
    ],
    ids=["record", "read", "locate", "feed"],
)
def test_a_closed_one_says_that_it_is(use: Callable[[MemoryRecordManager], object]) -> None:
    manager = MemoryRecordManager()
    manager.close()

    with pytest.raises(ApplicationClosedError, match=r"^the record manager has been closed$"):
        use(manager)


def test_an_item_before_its_predecessor_is_out_of_order() -> None:
    manager = MemoryRecordManager()
    manager.record([item("s", 0), item("t", 1), item("s", 2), item("t", 0), item("s", 1)])
    manager.record([item("u", 5)])

    assert list(manager.feed().disordered_items()) == [("t", 1), ("s", 2)]
    assert list(manager.feed().incomplete_sequences()) == ["u"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"is_ascending": False}, [3, 2, 1]),
        ({"limit": 2}, [1, 2]),
        ({"is_ascending": False, "limit": 1}, [3]),
        ({"sequence_id": "s"}, [1, 3]),
        ({"sequence_id": "nobody"}, []),
    ],
    ids=str,
)
def test_a_feed_gives_what_is_within_the_bounds(
    bounds: dict[str, Any], expected: list[int]
) -> None:
    manager = MemoryRecordManager()
    manager.record([item("s", 0), item("t", 0), item("s", 1)])

    (page,) = manager.feed().get_pages(FeedBounds(**bounds))

    assert page.positions == expected
    assert page.items == [manager._all[at - 1] for at in expected]
