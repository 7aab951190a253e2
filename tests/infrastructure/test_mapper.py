"""One event to an item and back, by the mapper alone."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import pytest

from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithOriginatorID,
    EventWithOriginatorVersion,
    event_classes,
)
from eventsourcing.domain.model.personal import personal
from eventsourcing.exceptions import (
    DataIntegrityError,
    EncodeError,
    EventFieldError,
    InvalidOriginatorID,
    ProgrammingError,
)
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper


class Priced(DomainEvent):
    price: int


class Named(EventWithOriginatorID, EventWithOriginatorVersion):
    name: Annotated[str, personal("")]


class OfTenant(NamedTuple):
    originator_id: str
    originator_version: int
    topic: str
    state: str
    tenant: Any


def an_event(**attributes: Any) -> DomainEvent:
    return DomainEvent(originator_id="stream", originator_version=3, **attributes)


def test_an_event_is_read_from_its_item() -> None:
    mapper = SequencedItemMapper()
    event = an_event(price=1)

    found = mapper.event_from_item(mapper.item_from_event(event))

    assert (found, found.context) == (event, event.context)


def test_an_event_is_read_from_an_item_without_context() -> None:
    mapper = SequencedItemMapper(SequencedItem)
    event = an_event(price=1)

    found = mapper.event_from_item(mapper.item_from_event(event))

    assert (found, found.context.event_id) == (event, "")


def test_a_class_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mapper = SequencedItemMapper()
    items = [mapper.item_from_event(an_event(price=n)) for n in range(3)]
    resolve, looked_up = event_classes.resolve, []

    def counting(topic: str, *arguments: Any) -> Any:
        looked_up.append(topic)
        return resolve(topic, *arguments)

    monkeypatch.setattr(event_classes, "resolve", counting)

    assert len(list(SequencedItemMapper().events_from_items(items))) == 3
    assert looked_up == [items[0][2]]


@pytest.mark.parametrize(
    "topic", [None, b"topic", ["not", "hashable"]], ids=["none", "bytes", "list"]
)
def test_a_topic_of_another_type_is_named_with_its_row(topic: Any) -> None:
    item = StoredEvent("stream", 3, topic, "{}", "event-id")

    with pytest.raises(DataIntegrityError) as caught:
        SequencedItemMapper().event_from_item(item)

    kind = type(topic).__name__
    assert str(caught.value) == (
        f"event 3 of 'stream' (topic {topic!r}) cannot be read: its topic is of type {kind}"
    )
    assert (caught.value.originator_id, caught.value.originator_version) == ("stream", 3)


def test_a_state_that_is_damaged_is_named_with_its_row_and_what_is_wrong() -> None:
    topic = f"{__name__}#Priced"
    item = StoredEvent("stream", 3, topic, '{"price":"x"}', "event-id")

    with pytest.raises(DataIntegrityError) as caught:
        SequencedItemMapper().event_from_item(item)

    assert str(caught.value) == (
        f"event 3 of 'stream' (topic {topic!r}) cannot be read: price: expected int, found a string"
    )


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
def test_a_text_that_no_column_takes_is_named(text: str) -> None:
    mapper = SequencedItemMapper(OfTenant)

    with pytest.raises(EncodeError) as caught:
        mapper.item_from_event(an_event(tenant=text))

    assert str(caught.value) == ("DomainEvent: tenant: a column takes no NUL and no lone surrogate")
    assert (caught.value.field, caught.value.event) == ("tenant", "DomainEvent")


def test_each_field_has_a_value() -> None:
    class TwoValues(SequencedItemMapper):
        def extra_values(self, event: DomainEvent) -> tuple[Any, ...]:
            return ("one", "too many")

    with pytest.raises(ValueError, match="longer"):
        TwoValues(OfTenant).item_from_event(an_event())


def test_a_mapper_may_have_values_of_its_own_for_the_fields_of_the_context() -> None:
    class Renamed(SequencedItemMapper):
        def extra_values(self, event: DomainEvent) -> tuple[Any, ...]:
            return ("mine", None, "why")

    event = an_event()
    assert event.context.event_id != "mine"

    assert Renamed().item_from_event(event)[4:] == ("mine", None, "why")


def test_the_context_of_an_item_is_that_of_its_event() -> None:
    event = an_event()
    found = [
        mapper.context_of(mapper.item_from_event(event))
        for mapper in (SequencedItemMapper(), SequencedItemMapper(SequencedItem))
    ]

    assert found == [event.context, ("", None, None)]


@pytest.mark.parametrize("position", [-1, 2**63, True, 1.0, None], ids=str)
def test_what_is_no_position_is_named(position: Any) -> None:
    event = DomainEvent(originator_id="stream", originator_version=position)

    with pytest.raises(EncodeError) as caught:
        SequencedItemMapper().item_from_event(event)

    assert str(caught.value) == "DomainEvent: a position is an int from 0 to 2**63 - 1"
    assert (caught.value.field, caught.value.event) == ("originator_version", "DomainEvent")


def test_an_event_without_a_place_says_what_it_lacks() -> None:
    with pytest.raises(EventFieldError) as caught:
        SequencedItemMapper().item_from_event(DomainEvent(originator_id="stream"))

    assert str(caught.value) == (
        "DomainEvent has no 'originator_version', and so no place in a stream"
    )


def test_a_value_that_cannot_be_stored_is_named_with_its_event() -> None:
    with pytest.raises(EncodeError) as caught:
        SequencedItemMapper().item_from_event(an_event(a=[object()]))

    assert str(caught.value).startswith("DomainEvent: a[0]: values of type object")
    assert (caught.value.field, caught.value.event) == ("a[0]", "DomainEvent")


IDS = {"empty": "", "space": " a", "nul": "a\0", "large": 2**63, "float": 1.5, "none": None}


@pytest.mark.parametrize("stream", IDS.values(), ids=IDS)
def test_what_is_no_id_has_no_item(stream: Any) -> None:
    event = DomainEvent(originator_id=stream, originator_version=0)

    with pytest.raises(InvalidOriginatorID):
        SequencedItemMapper().item_from_event(event)


class WithParts(NamedTuple):
    originator_id: str
    originator_version: int
    topic: str
    state: str
    event_id: str
    tenant: Any


def test_an_item_with_a_part_of_the_context_keeps_that_part() -> None:
    mapper = SequencedItemMapper(WithParts)
    event = an_event(tenant="t")

    item = mapper.item_from_event(event)

    assert item[4:] == (event.context.event_id, "t")
    assert mapper.event_from_item(item).context == (event.context.event_id, None, None)


def test_a_mapper_may_read_events_in_its_own_way_also_at_once() -> None:
    class Backwards(SequencedItemMapper):
        def events_from_items(self, items: Iterable[tuple[Any, ...]]) -> Iterator[DomainEvent]:
            return super().events_from_items([*items][::-1])

    mapper = Backwards()
    events = [an_event(price=n) for n in range(3)]

    items = map(mapper.item_from_event, events)

    assert list(mapper.events_at_once(items, {})) == events[::-1]


def test_a_state_that_is_sealed_in_an_unknown_way_is_not_taken_for_a_plain_one() -> None:
    plain = StoredEvent("stream", 2, "topic", "{}", "event-id")
    sealed = StoredEvent("stream", 3, "topic", "~x9", "event-id")
    unsealed = SequencedItemMapper().unsealed([plain, sealed])
    assert next(unsealed) == plain

    with pytest.raises(DataIntegrityError) as caught:
        next(unsealed)

    assert str(caught.value) == (
        "event 3 of 'stream' (topic 'topic') cannot be read: it is sealed in a way that is not"
        " known"
    )


def test_personal_data_without_a_place_for_keys_are_refused() -> None:
    event = Named(originator_id="stream", originator_version=0, name="Ann")

    with pytest.raises(ProgrammingError) as caught:
        SequencedItemMapper().item_from_event(event)

    assert str(caught.value) == (
        "Named has personal data, for which the application needs a cipher_key, and a record"
        " manager that keeps the keys of subjects"
    )
