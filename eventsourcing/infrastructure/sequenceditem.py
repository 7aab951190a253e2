"""What a record manager stores: named tuples, one column a field.

The first four fields of an item class are, whatever they are called, the id of the sequence,
the position in it (0-based), the topic and the state. Further fields are filled from the
event: ``event_id``, ``correlation_id`` and ``causation_id`` from its context, any other from
its attribute of the same name (None if it has none).
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

__all__ = ["ChainedEvent", "SequencedItem", "StoredEvent"]


class SequencedItem(NamedTuple):
    """The smallest item. It keeps no context, and so no event id: then a save that is repeated
    because its answer was lost is recognised by an equal item alone.
    """

    sequence_id: UUID | str | int
    position: int
    topic: str
    state: str


class StoredEvent(NamedTuple):
    """The item that is used unless another one is asked for.

    Attributes:
        originator_id: the aggregate.
        originator_version: the event's position in its stream, 0-based.
        topic: names the event class.
        state: the event's other attributes, as JSON text (docs: reference/stored-format).
        event_id: 32 hexadecimal digits, unique to the event.
        correlation_id, causation_id: see :mod:`eventsourcing.domain.model.context`.
    """

    originator_id: UUID | str | int
    originator_version: int
    topic: str
    state: str
    event_id: str
    correlation_id: str | None = None
    causation_id: str | None = None


class ChainedEvent(NamedTuple):
    """A :class:`StoredEvent` with one field more (docs: how-to/integrity).

    Attributes:
        chain: the hash of the event and of the ``chain`` before it in the stream, as 64
            hexadecimal digits, which the event store fills; None for an event that was stored
            before there were chains.
    """

    originator_id: UUID | str | int
    originator_version: int
    topic: str
    state: str
    event_id: str
    correlation_id: str | None = None
    causation_id: str | None = None
    chain: str | None = None
