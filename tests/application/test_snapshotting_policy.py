"""What a snapshotting policy takes, and when a snapshot is due by it."""

from typing import Any

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from tests.contracts.model import Account
from tests.contracts.timetravel import Basket


@pytest.mark.parametrize(
    ("policy", "cls", "replayed", "is_due"),
    [
        (SnapshottingPolicy(), Account, 99, False),
        (SnapshottingPolicy(), Account, 100, True),
        (SnapshottingPolicy(None), Account, 10**6, False),
        (SnapshottingPolicy(None, {Account: 5}), Account, 5, True),
        (SnapshottingPolicy(None, {Account: 5}), Basket, 5, False),
        (SnapshottingPolicy(1, {AggregateRoot: None}), Account, 5, False),
        (SnapshottingPolicy(1, {AggregateRoot: None, Account: 5}), Account, 5, True),
    ],
)
def test_the_nearest_class_says_when_one_is_due(
    policy: SnapshottingPolicy, cls: type, replayed: int, is_due: bool
) -> None:
    assert policy.is_due(cls, replayed) is is_due


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "10"])
def test_what_is_no_number_of_events_is_refused(number: Any) -> None:
    with pytest.raises(ProgrammingError, match="a number of events"):
        SnapshottingPolicy(number)
    with pytest.raises(ProgrammingError, match="a number of events"):
        SnapshottingPolicy(by_class={Account: number})


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "10"])
def test_what_is_no_number_of_snapshots_is_refused(number: Any) -> None:
    with pytest.raises(ProgrammingError, match="keep= takes an int from 1 on"):
        SnapshottingPolicy(keep=number)


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="classes of aggregates"):
        SnapshottingPolicy(by_class={"Account": 1})  # type: ignore[dict-item]


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="takes a SnapshottingPolicy, not int"):
        SimpleApplication(record_manager=MemoryRecordManager(), snapshotting_policy=100)  # type: ignore[arg-type]
