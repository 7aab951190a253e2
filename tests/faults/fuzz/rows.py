"""Rows: hostile topic, state and context, of events that are typed, free-form and nested.

An input is a row's texts with ``SEPARATOR`` between: topic, state, event id, correlation id. A
topic of one byte is an index of CLASSES, so that a mutation of it is another class.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.events import AttributeChanged, DomainEvent, event_classes
from eventsourcing.exceptions import (
    DataIntegrityError,
    EncodeError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.topic import get_topic
from tests.corpus import versions
from tests.corpus.v1 import ANNOTATIONS, PATH, Line, Money
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["CLASSES", "SEPARATOR", "mapper", "read", "seeds"]

SEPARATOR = b"\xff"  # stands nowhere in UTF-8
FREE = '{"timestamp":"2024-01-01T00:00:00Z","a":{"$tuple":[1,{"b":2}]},"c":[]}'
PRICE = Money(Decimal("1.10"))


class Basket(AggregateRoot):
    class Event(AggregateRoot.Event):
        pass

    class Filled(Event):
        lines: list[Line]
        prices: dict[str, Money]
        note: str = ""
        extra: Any = None

    class Emptied(Event):
        pass


def event_class_of(name: str, annotation: Any) -> type[DomainEvent]:
    """Returns a typed event class whose one field has the annotation."""
    number = list(ANNOTATIONS).index(name)
    body = {"__annotations__": {"value": annotation}, "__module__": __name__}
    return type(f"Value{number}", (DomainEvent,), body)


_BY_ANNOTATION = {name: event_class_of(name, a) for name, a in ANNOTATIONS.items()}
CLASSES: tuple[type[DomainEvent], ...] = (
    *_BY_ANNOTATION.values(),
    *(DomainEvent, AttributeChanged, Basket.Event, Basket.Filled, Basket.Emptied, Basket.Created),
)

mapper = SequencedItemMapper()


def read(data: bytes) -> None:
    item = row_of(data)
    try:
        event = mapper.event_from_item(item)
    except (TopicResolutionError, DataIntegrityError) as error:
        if (error.originator_id, error.originator_version) != item[:2]:
            raise Wrong(f"{error!r} does not name the row") from error
        return
    if item.topic not in event_classes.topics_of((type(event),)):
        raise Wrong(f"{item.topic!r} gave {type(event)}")
    repr(event)
    _check_that_it_is_kept(event)


def row_of(data: bytes) -> StoredEvent:
    head, *rest = data.split(SEPARATOR)
    state, event_id, correlation = [*map(text_of, rest), "{}", "", ""][:3]
    topic = get_topic(CLASSES[head[0] % len(CLASSES)]) if len(head) == 1 else text_of(head)
    return StoredEvent("stream", 1, topic, state, event_id, correlation or None)


def _check_that_it_is_kept(event: DomainEvent) -> None:
    """What was read can be written, unless it is too deep, and is then read as it was."""
    try:
        item = mapper.item_from_event(event)
    except EncodeError:
        return
    again = mapper.item_from_event(mapper.event_from_item(item))
    if again != item:
        raise Wrong(f"{item!r} became {again!r}")


def seeds() -> Iterator[bytes]:
    names = list(_BY_ANNOTATION)
    for line in map(json.loads, PATH.read_text().splitlines()):
        yield _seed(names.index(line["annotation"]), line["text"])
    for line in map(json.loads, versions.PATH.read_text().splitlines()):
        yield SEPARATOR.join(
            text.encode("utf-8", "surrogatepass") for text in (line["topic"], line["state"])
        )
    for cls in (DomainEvent, Basket.Event):
        yield _seed(CLASSES.index(cls), FREE)
    yield _seed(CLASSES.index(AttributeChanged), '{"name":"a","value":{"$dict":[[1,2]]}}')
    basket = Basket.create()
    basket._trigger(Basket.Filled, lines=[Line("x", PRICE, ["note"])], prices={"a": PRICE})
    basket._trigger(Basket.Emptied)
    for event in basket.pending_events:
        item = mapper.item_from_event(event)
        yield _seed(CLASSES.index(type(event)), item[3])
        yield SEPARATOR.join(text.encode() for text in (item[2], item[3], item[4], "order-1"))


def _seed(index: int, state: str) -> bytes:
    return bytes([index]) + SEPARATOR + state.encode("utf-8", "surrogatepass")
