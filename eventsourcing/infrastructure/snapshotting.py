"""Takes snapshots of aggregates, and has replays begin with them.

Snapshots only save time. One that does not fit, or cannot be read, is passed over with a line in
the log, and the stream is replayed; and none is ever taken by who saves, but by who loads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, NamedTuple

from eventsourcing.domain.model.domainentity import DomainEntity, entity_classes
from eventsourcing.domain.model.entity import VersionedEntity
from eventsourcing.domain.model.snapshot import (
    Snapshot,
    fingerprint_of,
    has_whole_state,
    holds_personal_data,
)
from eventsourcing.exceptions import (
    DataIntegrityError,
    EncodeError,
    EventSourcingError,
    PersistenceError,
    ProgrammingError,
    RepositoryKeyError,
    SequencedItemConflict,
    TopicResolutionError,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.recordmanager import Bounds
from eventsourcing.infrastructure.replaying import Replay
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord, SnapshotRecords
from eventsourcing.utils.copying import SCALARS, independent_copy
from eventsourcing.utils.statecodec import dump_json, load_json
from eventsourcing.utils.topic import get_topic
from eventsourcing.utils.transcoding import decode_value, encode_value

__all__ = ["Snapshotter"]

_log = logging.getLogger(__name__)

IsDue = Callable[[type[Any], int], bool]


class Loaded(NamedTuple):
    """What came of a load.

    Attributes:
        replay: gives the aggregate, or None once it is discarded, as its state.
        replayed: how many events were read for it.
        unfit: the version of a snapshot that was passed over, and should be replaced.
    """

    replay: Replay
    replayed: int
    unfit: int | None = None


class Snapshotter:
    """Loads aggregates by way of their snapshots. May be used from several threads at once.

    Args:
        event_store: where the events are.
        records: where the snapshots are.
        is_due: takes an aggregate's class, and how many events a load had to replay, and tells
            whether to take a snapshot then.
        keep: how many snapshots of an aggregate are kept; None for all.
    """

    def __init__(
        self,
        event_store: EventStore,
        records: SnapshotRecords,
        is_due: IsDue,
        keep: int | None = None,
    ) -> None:
        self._event_store = event_store
        self._reader = event_store.reader
        self._can_repeat = event_store.record_manager.can_repeat
        self._mapper = event_store.mapper
        self._records = records
        self._is_due = is_due
        self._keep = keep
        self._told: set[type] = set()  # classes of which some aggregates get no snapshot

    def replayed(self, originator_id: Any, version: int | None = None) -> Replay:
        """Returns a replay of so many events, or of all. Takes a snapshot of all if it is due.

        Raises:
            EventSourcingError: as :meth:`Replay.run`; none because of a snapshot.
        """
        loaded = self._load(originator_id, version)
        state = loaded.replay.state
        if version is None and self._records.takes_when_loading and state is not None:
            due = self._is_due(type(state), loaded.replayed)
            if due or loaded.unfit is not None:
                self._try_to_take(loaded)
        return loaded.replay

    def take(self, originator_id: Any) -> int:
        """Takes a snapshot now, and returns how many events are in it.

        Raises:
            EncodeError: the aggregate's state cannot be stored.
            RepositoryKeyError: there is no such aggregate, or it is discarded.
            EventSourcingError: it cannot be loaded, or the snapshot cannot be written.
        """
        loaded = self._load(originator_id, None)
        if loaded.replay.state is None:
            raise RepositoryKeyError(originator_id)
        if loaded.replayed or loaded.unfit is not None:
            self._take(loaded)
        return loaded.replay.version

    def delete(self, originator_id: Any = None) -> None:
        """Removes the snapshots of an aggregate, or all there are.

        Raises:
            PersistenceError: the database refused, or could not be reached.
        """
        self._records.delete(originator_id)

    # -- loading

    def _load(self, originator_id: Any, version: int | None) -> Loaded:
        record = self._newest(originator_id, version)
        found = None if record is None else self._load_from(record, version)
        if found is not None:
            return found
        replay = Replay(self._reader, self._mapper)
        replay.run(originator_id, version)
        return Loaded(replay, replay.version, None if record is None else record.originator_version)

    def _newest(self, originator_id: Any, version: int | None) -> SnapshotRecord | None:
        try:
            return self._records.newest(originator_id, version)
        except PersistenceError as error:
            if not self._can_repeat:
                raise  # the caller's transaction may be lost
            _log.warning("snapshots of %r cannot be read: %s", originator_id, error)
            return None

    def _load_from(self, record: SnapshotRecord, version: int | None) -> Loaded | None:
        """Replays the events after a snapshot; or logs why it is of no use, and returns None."""
        position = record.originator_version - 1
        bounds = Bounds(gte=position, lt=version)
        try:
            entity = self._restored(record)
            items = self._reader.get_items(record.originator_id, bounds)
            last = next(items, None)
            if (
                last is None
                or last[1] != position
                or self._event_store.mark_of(last) != record.event_id
            ):
                raise _Unfit("its last event is not in the stream")
            replay = Replay(self._reader, self._mapper)
            replay.resume(entity, last, items)
        except _Stale as error:
            _log.info(_PASSED_OVER, record.originator_version, record.originator_id, error)
            return None
        except (_Unfit, DataIntegrityError, TopicResolutionError) as error:
            _log.warning(_PASSED_OVER, record.originator_version, record.originator_id, error)
            return None
        if version is not None and replay.version != version:
            return None  # a replay of the whole stream says how long that is
        return Loaded(replay, replay.version - record.originator_version)

    def _restored(self, record: SnapshotRecord) -> DomainEntity:
        text = record.opened(self._mapper.protection)
        cls = entity_classes.resolve(record.topic, self._mapper.topic_prefixes)
        if record.fingerprint != fingerprint_of(cls):
            raise _Stale(f"{cls.__qualname__} has changed since")
        if holds_personal_data(cls):
            raise _Stale(f"{cls.__qualname__} has personal data")
        try:
            data = load_json(text)
            state = decode_value(data)
            # What was added since to the classes of values would be missing.
            is_same = isinstance(state, dict) and encode_value(state) == data
            entity: DomainEntity = Snapshot(*record[:2], cls, state).entity()
        except EventSourcingError as error:
            raise _Unfit(str(error)) from error
        except Exception as error:  # whose message may show the payload
            raise _Unfit(f"{type(error).__name__} was raised by its state") from error
        if not is_same:
            raise _Stale("the classes of its values have changed since")
        return entity

    # -- taking

    def _try_to_take(self, loaded: Loaded) -> None:
        """Takes a snapshot, or logs why there is none: who loads an aggregate gets it anyway."""
        cls = type(loaded.replay.state)
        try:
            self._take(loaded)
        except (EncodeError, ProgrammingError) as error:
            if cls not in self._told:
                self._told.add(cls)
                _log.warning("%s gets no snapshots: %s", cls.__qualname__, error)
        except EventSourcingError as error:
            _log.warning("no snapshot of a %s was taken: %s", cls.__qualname__, error)
        except Exception as error:
            kind = type(error).__name__
            _log.warning("no snapshot of a %s was taken: %s was raised", cls.__qualname__, kind)

    def _take(self, loaded: Loaded) -> None:
        entity = loaded.replay.state
        if not isinstance(entity, VersionedEntity) or not has_whole_state(type(entity)):
            raise ProgrammingError("it is no versioned entity, or keeps state in __slots__")
        if holds_personal_data(type(entity)) or loaded.replay.has_personal_data:
            if loaded.unfit is not None:
                self._records.delete(entity.id)  # of when the data was not marked
            raise ProgrammingError("it has personal data, which a snapshot would keep from erasure")
        snapshot = Snapshot.of(entity)
        _check_shared(snapshot.state)
        cls, position = snapshot.entity_class, snapshot.originator_version - 1
        one = Bounds(gte=position, lte=position)
        (last,) = self._reader.get_items(snapshot.originator_id, one)
        record = SnapshotRecord(
            snapshot.originator_id,
            snapshot.originator_version,
            get_topic(cls),
            dump_json(encode_value(snapshot.state)),
            self._event_store.mark_of(last),
            fingerprint_of(cls),
        )
        with suppress(SequencedItemConflict):  # somebody else was quicker
            self._records.put(record.sealed(self._mapper.protection), loaded.unfit)
        if self._keep is not None:
            self._records.delete_older(record.originator_id, self._keep)


class _Unfit(Exception):
    """Why a snapshot cannot be used."""


class _Stale(Exception):
    """Why a snapshot that was right is not used."""


_PASSED_OVER = "the snapshot of version %s of %r is not used: %s"


def _check_shared(state: Any) -> None:
    """Raises EncodeError if one object that can change stands in several places: the text would
    hold several.
    """
    seen: dict[int, Any] = {}
    waiting = [*state.values()]
    while waiting:
        value = waiting.pop()
        if type(value) in SCALARS or isinstance(value, Enum):
            continue
        if id(value) in seen:
            if independent_copy(value) is not value:
                raise EncodeError(
                    f"its state has one {type(value).__qualname__} in several places, which a"
                    " snapshot cannot tell from several that are equal"
                )
            continue
        seen[id(value)] = value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif hasattr(value, "__dataclass_fields__"):
            waiting += [getattr(value, name) for name in value.__dataclass_fields__]
