"""A cache of aggregates, each of which is brought up to date whenever it is asked for."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.domain.model.entity import VersionedEntity
from eventsourcing.domain.model.snapshot import holds_personal_data
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.recordmanager import Bounds
from eventsourcing.infrastructure.replaying import Item, Replay
from eventsourcing.utils.ids import id_to_text

__all__ = ["AggregateCache", "check_cache_size"]

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """An aggregate that nobody else has, and so nobody changes.

    Attributes:
        mark: of the last event that is in it, see :meth:`EventStore.mark_of`.
    """

    state: VersionedEntity
    mark: str


class AggregateCache:
    """Keeps the aggregates that were asked for last.

    May be used from several threads at once, and in a child of a fork: there is no lock, since each
    step with the entries is one operation that cannot be interrupted, and an entry never changes.

    Args:
        event_store: where the events are.
        load: replays the stream of an id.
        size: how many aggregates to keep.
    """

    def __init__(self, event_store: EventStore, load: Callable[[Any], Any], size: int) -> None:
        self._event_store = event_store
        self._load = load
        self._size = size
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._told: set[type] = set()  # classes of which some aggregates are not kept

    def load(self, originator_id: UUID | str | int) -> Any:
        """Returns the aggregate as it is stored now: an object of the caller's own.

        Raises:
            EventSourcingError: as :meth:`Replay.run`.
        """
        key = id_to_text(originator_id)
        entry = self._entries.get(key)
        found = None if entry is None else self._update(key, entry)
        if found is not None:
            return found.state
        replay = self._load(originator_id)
        self._keep(key, replay)
        return replay.state

    def _update(self, key: str, entry: Entry) -> Replay | None:
        """Returns a replay of the newer events on a copy; None if the entry is of no use."""
        store = self._event_store
        mine = deepcopy(entry.state)
        position = mine.version - 1
        items = store.reader.get_items(mine.id, Bounds(gte=position))
        first = next(items, None)
        if first is None or first[1] != position or store.mark_of(first) != entry.mark:
            return None  # as after a rollback, or where a backup was restored

        newest = [first]

        def newer() -> Iterator[Item]:
            for item in items:
                newest[0] = item
                yield item

        replay = Replay(store.reader, store.mapper)
        replay.resume(mine, first, newer())
        if newest[0] is first:
            self._put(key, entry)
        else:
            self._keep(key, replay, newest[0])
        return replay

    def _keep(self, key: str, replay: Replay, newest: Item | None = None) -> None:
        """Keeps a copy of a state, or nothing if that cannot be."""
        copy = self._copy_to_keep(replay)
        if copy is None:
            self._entries.pop(key, None)
            return
        if newest is None:
            last = Bounds(gte=copy.version - 1, lte=copy.version - 1)
            newest = next(self._event_store.reader.get_items(copy.id, last), None)
        if newest is not None:
            self._put(key, Entry(copy, self._event_store.mark_of(newest)))

    def _copy_to_keep(self, replay: Replay) -> VersionedEntity | None:
        """Returns a copy; or logs why there is none, once for the class."""
        state = replay.state
        if not isinstance(state, VersionedEntity):  # discarded, for one
            return None
        cls = type(state)
        if holds_personal_data(cls) or replay.has_personal_data:
            why = "it has personal data, which could not be erased"
        else:
            try:
                return deepcopy(state)
            except Exception as error:
                why = f"to copy one raised {type(error).__name__}"
        if cls not in self._told:
            self._told.add(cls)
            _log.warning("%s is not cached: %s", cls.__qualname__, why)
        return None

    def _put(self, key: str, entry: Entry) -> None:
        self._entries.pop(key, None)
        self._entries[key] = entry
        while len(self._entries) > self._size:
            try:
                self._entries.popitem(last=False)
            except KeyError:  # another thread was quicker
                break


def check_cache_size(given: object) -> None:
    """Raises ProgrammingError unless it is 1 or more, or None."""
    if given is not None and (type(given) is not int or given < 1):
        raise ProgrammingError(f"cache_size= takes an int from 1 on, not {given!r}")
