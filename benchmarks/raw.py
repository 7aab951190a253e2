"""The bare driver: ``python -m benchmarks.raw W1 --db URI``.

Events are msgspec Structs, and aggregates do nothing but take over their values: what no library
can be quicker than, and no application would want.
"""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

import msgspec

from benchmarks import payloads
from benchmarks.adapter import Adapter, Options, Progress
from benchmarks.command import main
from benchmarks.databases import RAW_TABLE
from benchmarks.payloads import Order
from benchmarks.storage import Conflict, Event, storage_for

PAGE = 500
CREATED = "benchmarks.raw#Item.Created"
CHANGED = "benchmarks.raw#Item.Changed"


class Small(msgspec.Struct):
    """The state of an event with the small payload."""

    name: str
    qty: int
    ref: UUID
    price: Decimal
    at: datetime


class Large(msgspec.Struct):
    """The state of an event with the large payload."""

    qty: int
    order: Order


class Item:
    """An aggregate with the small payload."""

    __slots__ = ("at", "id", "name", "pending", "price", "qty", "ref", "version")

    def __init__(self, originator_id: UUID) -> None:
        self.id = originator_id
        self.version = -1  # the position of the last event
        self.pending: list[Event] = []

    def apply(self, event: Any) -> None:
        self.version += 1
        self.name, self.qty, self.ref = event.name, event.qty, event.ref
        self.price, self.at = event.price, event.at


class LargeItem:
    """An aggregate with the large payload."""

    __slots__ = ("id", "order", "pending", "qty", "version")

    def __init__(self, originator_id: UUID) -> None:
        self.id = originator_id
        self.version = -1
        self.pending: list[Event] = []

    def apply(self, event: Any) -> None:
        self.version += 1
        self.qty, self.order = event.qty, event.order


class RawAdapter(Adapter):
    """Saves and loads by the statements of a storage."""

    peer = "E"
    table = RAW_TABLE
    id_form = "native"
    conflict = Conflict
    imports: ClassVar = {"import": "import sqlite3, msgspec"}

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        is_small = options.payload == "small"
        self._class: type[Item | LargeItem] = Item if is_small else LargeItem
        self._event: type[Any] = Small if is_small else Large
        self._values = payloads.small if is_small else payloads.large
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(self._event).decode
        self._decoders = {CREATED: decode, CHANGED: decode}
        self._storage = storage_for(options.db, options.mode)

    def open(self) -> None:
        self._storage.open()

    def close(self) -> None:
        self._storage.close()

    def create(self, i: int) -> Item | LargeItem:
        item = self._class(uuid4())
        event = self._event(**self._values(i))
        item.apply(event)
        item.pending.append((item.version, CREATED, event))
        return item

    def change(self, aggregate: Item | LargeItem, i: int) -> None:
        event = self._event(**self._values(i))
        aggregate.apply(event)
        aggregate.pending.append((aggregate.version, CHANGED, event))

    def take_pending(self, aggregate: Item | LargeItem) -> int:
        pending, aggregate.pending = aggregate.pending, []
        return len(pending)

    def save(self, aggregate: Item | LargeItem) -> None:
        pending, aggregate.pending = aggregate.pending, []
        self._storage.insert(aggregate.id, pending)

    def load(self, originator_id: UUID) -> Item | LargeItem:
        item = self._class(originator_id)
        apply, decoders = item.apply, self._decoders  # not by `iterate`: this is the limit
        for topic, state in self._storage.select(originator_id):
            apply(decoders[topic](state))
        return item

    def iterate(self, originator_id: UUID) -> Iterator[Any]:
        for topic, state in self._storage.select(originator_id):
            yield self._decoders[topic](state)

    def read_feed(self) -> Iterator[Any]:
        for rows in self._storage.pages(PAGE):
            for _, key, topic, state in rows:
                _ = key if isinstance(key, UUID) else UUID(bytes=key)  # PostgreSQL's driver does so
                yield self._decoders[topic](state)

    def follower(self) -> Callable[[], Progress]:
        self._storage.create_view()
        return self._to_table if self.options.view == "table" else self._to_dict

    def _to_dict(self) -> Progress:
        view: dict[UUID, int] = {}
        position = 0
        for rows in self._storage.pages(PAGE):
            for position, _, topic, state in rows:
                event = self._decoders[topic](state)
                view[event.ref] = view.get(event.ref, 0) + 1
                self._storage.track(position)
        return Progress(sum(view.values()), position)

    def _to_table(self) -> Progress:
        count = position = 0
        for rows in self._storage.pages(PAGE):
            for position, _, topic, state in rows:
                event = self._decoders[topic](state)
                self._storage.show(position, str(event.ref), event.qty)
                count += 1
        return Progress(count, position)


if __name__ == "__main__":
    sys.exit(main(RawAdapter))
