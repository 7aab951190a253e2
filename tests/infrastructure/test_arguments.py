"""Arguments that cannot be meant are refused, and said to be."""

from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.exceptions import AggregateTypeError, ProgrammingError
from eventsourcing.infrastructure.eventsourcedrepository import EventSourcedRepository
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from tests.contracts.model import Account


@pytest.fixture
def repository() -> Iterator[EventSourcedRepository]:
    """A repository with an account of the id "a"."""
    store = EventStore(MemoryRecordManager(), SequencedItemMapper())
    store.store(Account.create(id="a", owner="Ann").pending_events)
    yield EventSourcedRepository(store)
    store.close()


@pytest.mark.parametrize("given", ["bank", 5, None, b"bank", [b"bank"], ["bank", None]], ids=repr)
def test_topic_prefixes_are_several_strings(given: Any) -> None:
    with pytest.raises(ProgrammingError, match="topic_prefixes= takes the names of packages"):
        SequencedItemMapper(topic_prefixes=given)


@pytest.mark.parametrize("given", [["bank"], ("bank",), {"bank": 1}, iter(["bank"])])
def test_topic_prefixes_may_come_in_any_iterable(given: Any) -> None:
    assert SequencedItemMapper(topic_prefixes=given).topic_prefixes == ("bank",)


@pytest.mark.parametrize("given", ["sqlite://", {"uri": "sqlite://"}, SQLAlchemySettings])
def test_settings_are_settings(given: Any) -> None:
    with pytest.raises(ProgrammingError, match="settings= takes SQLAlchemySettings, not"):
        SQLAlchemyDatastore(given)


@pytest.mark.parametrize("of_class", ["Account", None, (Account, int)], ids=repr)
@pytest.mark.parametrize("originator_id", ["a", "unknown"])
def test_an_aggregate_is_asked_for_by_its_class(
    repository: EventSourcedRepository, originator_id: str, of_class: Any
) -> None:
    with pytest.raises(ProgrammingError, match="class is expected"):
        repository.get(originator_id, of_class)


def test_another_class_is_no_error_of_the_call(repository: EventSourcedRepository) -> None:
    with pytest.raises(AggregateTypeError, match="is a Account, not a int"):
        repository.get("a", int)
    assert repository.get("a", Account).owner == "Ann"


def test_a_repository_says_that_it_is_not_iterable(repository: Any) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(repository)
    assert "a" in repository
