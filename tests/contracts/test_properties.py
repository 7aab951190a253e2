"""Any event made of supported values comes back from any backend."""

from collections.abc import Iterator
from operator import itemgetter
from types import new_class
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithOriginatorID,
    EventWithOriginatorVersion,
)
from eventsourcing.infrastructure.eventstore import EventStore
from tests.contracts.eventstore import contents, event_store
from tests.contracts.model import Anything, Noted
from tests.contracts.places import Place
from tests.utils.strategies import identical, supported_values, typed

FIELDS = {f"field_{n}": annotation for n, annotation in enumerate(typed)}

Typed: Any = new_class(
    "Typed",
    (EventWithOriginatorID, EventWithOriginatorVersion),
    exec_body=lambda body: body.update(__module__=__name__, __annotations__=FIELDS),
)
"""An event class with a field for each annotation that the strategies know."""

few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
names = st.from_regex("[a-z][a-z0-9_]{0,5}", fullmatch=True).map("x{}".format)


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    store = event_store(place)
    yield store
    store.close()


@given(values=st.lists(supported_values(), min_size=1, max_size=3))
@few
def test_any_value_comes_back(store: EventStore, values: list[Any]) -> None:
    stream = uuid4()  # Hypothesis would give the same one again
    events = [
        Anything(originator_id=stream, originator_version=n, value=value)
        for n, value in enumerate(values)
    ]
    assert_comes_back(store, events)


@given(values=st.dictionaries(names, supported_values(4), max_size=4))
@few
def test_any_free_form_event_comes_back(store: EventStore, values: dict[str, Any]) -> None:
    event = Noted(originator_id=uuid4(), originator_version=0, **values)
    assert_comes_back(store, [event])


@given(
    values=st.tuples(*typed.values()).map(lambda values: dict(zip(FIELDS, values, strict=True))),
)
@few
def test_any_typed_event_comes_back(store: EventStore, values: dict[str, Any]) -> None:
    event = Typed(originator_id=uuid4(), originator_version=0, **values)
    assert_comes_back(store, [event])


def assert_comes_back(store: EventStore, events: list[Any]) -> None:
    store.store(events)
    found: list[DomainEvent] = contents(store, events[0].originator_id)
    assert [type(event) for event in found] == [type(event) for event in events]
    pairs = zip(map(by_name, found), map(by_name, events), strict=True)
    assert [stored for stored, given in pairs if not identical(stored, given)] == []


def by_name(event: DomainEvent) -> list[tuple[str, Any]]:
    return sorted(vars(event).items(), key=itemgetter(0))
