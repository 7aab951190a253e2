"""Snapshots: hostile rows of a table that anybody may have written to.

An input is a row's texts with ``SEPARATOR`` between: what it lacks in the number of its events, the
topic, the state, the event's id, the fingerprint. The last two are the right ones where they are
empty, and the digest always is.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.snapshot import Snapshot, fingerprint_of
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord
from eventsourcing.infrastructure.snapshotting import Snapshotter
from eventsourcing.utils.statecodec import dump_json
from eventsourcing.utils.transcoding import encode_value
from tests.corpus.v1 import PATH
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["SEPARATOR", "read", "seeds"]

SEPARATOR = b"\xff"  # stands nowhere in UTF-8
TOPIC = "fuzz-cart"


class Cart(AggregateRoot, topic=TOPIC):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.things: list[str] = []
        self.note: Any = None

    @event("Filled")
    def fill(self, thing: str) -> None:
        self.things.append(thing)


class Lines(logging.Handler):
    """Counts the lines of the log instead of showing them."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        self.count += 1


_LOG = logging.getLogger("eventsourcing.infrastructure.snapshotting")
_MANAGER = MemoryRecordManager()
_STORE = EventStore(_MANAGER, SequencedItemMapper())
_CART = Cart.create(id="cart")
for _thing in ("apple", "pear", "plum"):
    _CART.fill(_thing)
_STORE.store(_CART.pending_events)
_MARKS = [_STORE.mark_of(item) for item in _MANAGER.get_items("cart")]


def state_of(cart: Any) -> str:
    return dump_json(encode_value(Snapshot.of(cart).state))


_STATE = state_of(_CART)


def read(data: bytes) -> None:
    """Loads the aggregate by way of the row. That it cannot be used fails no load."""
    record = record_of(data)
    _MANAGER.snapshots().delete()
    _MANAGER.snapshots().put(record)
    lines, found = _loaded()
    state = state_of(found)
    if type(found) is not Cart or found.version != len(_MARKS):
        raise Wrong(f"{record!r} gave version {found.version} of a {type(found)}")
    if lines.count and state != _STATE:
        raise Wrong(f"{record!r} was passed over, and gave {state!r}")
    is_last = record.originator_version == len(_MARKS)
    if not lines.count and is_last and json.loads(state) != json.loads(record.state):
        raise Wrong(f"{record!r} was used, and gave {state!r}")


def _loaded() -> tuple[Lines, Any]:
    lines, before = Lines(), (_LOG.level, _LOG.propagate)
    _LOG.addHandler(lines)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    try:
        snapshotter = Snapshotter(_STORE, _MANAGER.snapshots(), lambda *_: False)
        return lines, snapshotter.replayed("cart").state
    finally:
        _LOG.removeHandler(lines)
        _LOG.setLevel(before[0])
        _LOG.propagate = before[1]


def record_of(data: bytes) -> SnapshotRecord:
    head, *rest = data.split(SEPARATOR)
    topic, state, event_id, fingerprint = [*map(text_of, rest), "", "", "", ""][:4]
    version = len(_MARKS) - (head[0] if head else 0) % len(_MARKS)
    row = SnapshotRecord(
        "cart",
        version,
        topic or TOPIC,
        state or _STATE,
        event_id or _MARKS[version - 1],
        fingerprint or fingerprint_of(Cart),
    )
    return row.sealed(None)


def seeds() -> Iterator[bytes]:
    for version in (b"\0", b"\1"):
        yield version
        yield SEPARATOR.join((version, b"", _STATE.encode()))
        yield SEPARATOR.join((version, b"tests.nowhere#Cart", b"{}", b"0" * 32, b"0" * 32))
    for text in ("null", "[]", "{", '{"things":7}', '{"_es_version":0}', '{"$dict":[[1,2]]}'):
        yield SEPARATOR.join((b"\1", b"", text.encode()))
    for line in map(json.loads, PATH.read_text().splitlines()):
        state = _STATE.replace('"note":null', f'"note":{line["text"]}')
        yield SEPARATOR.join((b"\0", b"", state.encode("utf-8", "surrogatepass")))
