"""What a record manager has that implements nothing but what it must."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.feed import Feed
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds, RecordManager


class Least(RecordManager):
    """Remembers how it was read."""

    def __init__(self) -> None:
        self.reads: list[tuple[object, Bounds]] = []

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        raise NotImplementedError

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        self.reads.append((sequence_id, bounds))
        return iter([("s", 0, "topic", "state", "more")])

    def feed_position(self, sequence_id: object, position: int) -> int | None:
        raise NotImplementedError

    def feed(self) -> Feed:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def test_states_are_read_as_items_are() -> None:
    manager = Least()

    assert list(manager.get_states("s", Bounds(gt=3))) == [("s", 0, "topic", "state", "more")]
    assert manager.reads == [("s", Bounds(gt=3))]


def test_it_keeps_no_snapshots_and_says_so() -> None:
    with pytest.raises(ProgrammingError, match=r"^Least keeps no snapshots$"):
        Least().snapshots()


def test_it_keeps_no_keys_and_has_nothing_to_confirm() -> None:
    manager = Least()
    manager.confirm()

    assert manager.subject_keys() is None


def test_what_it_records_counts_as_committed() -> None:
    called: list[str] = []

    Least().when_committed(lambda: called.append("now"), lambda: called.append("rolled back"))

    assert called == ["now"]
