"""The event store: appends events to their streams, and reads them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.domain.model.events import DomainEvent, as_events, give_ids
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    DataIntegrityError,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.chaining import Chain, PredecessorMissing
from eventsourcing.infrastructure.recordmanager import Bounds, ItemReader, RecordManager
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.ids import digest_of

__all__ = ["EventStore"]

Items = Sequence[tuple[Any, ...]]

SELDOM_BEHIND = 20  # events, by which a saver that is refused is behind its stream


class EventStore:
    """Stores and reads domain events through a record manager and a mapper.

    May be used from several threads at once.

    Attributes:
        reader: reads streams; through their chains, if there are any.
        chain: of the streams; None if their items are no :class:`ChainedEvent`.
    """

    def __init__(self, record_manager: RecordManager, mapper: SequencedItemMapper) -> None:
        if record_manager.item_class is not mapper.item_class:
            raise ProgrammingError(
                f"the record manager stores {record_manager.item_class.__name__},"
                f" the mapper makes {mapper.item_class.__name__}"
            )
        self.record_manager = record_manager
        self.mapper = mapper
        fields: tuple[str, ...] = mapper.item_class._fields  # type: ignore[attr-defined]
        self._event_id_at = fields.index("event_id") if "event_id" in fields else None
        is_chained = mapper.item_class is ChainedEvent
        self.chain = Chain(record_manager, mapper) if is_chained else None
        self.reader: ItemReader = self.chain or record_manager
        self._listeners: tuple[Callable[[], None], ...] = ()
        if record_manager.announcements is not None:
            self.add_listener(record_manager.announcements.announce)

    def store(self, events: DomainEvent | Iterable[DomainEvent]) -> None:
        """Stores all events in one transaction, or raises and stores none.

        Storing again what is stored already does nothing: an event is known by its id.

        Args:
            events: one event, or several in the order of the feed; of any streams. Those of one
                stream follow each other by one position each.

        Raises:
            ConcurrencyError: another event has a position that one of these was to take.
            OutcomeUnknown: the connection was lost, and the outcome could not be found out.
            EncodeError, EventFieldError, InvalidOriginatorID: an event cannot be stored.
            ApplicationClosedError: the record manager has been closed.
            ProgrammingError: one of them is no event, or does not follow the one before it.
            PersistenceError: the database refused, or could not be reached.
        """
        batch = as_events(events)
        give_ids(batch)
        items: Items = tuple(map(self.mapper.item_from_event, batch))
        if len(items) > 1:
            _check_positions(items)
        while items:
            try:
                self._record(items if self.chain is None else self._linked(self.chain, items))
                break
            except (SequencedItemConflict, TransactionConflict) as error:
                items = self._not_stored(items, error)
        if self._listeners:
            self.record_manager.when_committed(self._tell)

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Has a function called after each save, once it is committed, in the saver's thread.

        It must not wait, nor raise.
        """
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Takes :meth:`add_listener` back. For one that is not there, does nothing."""
        self._listeners = tuple(each for each in self._listeners if each != listener)

    def get_domain_events(
        self,
        originator_id: UUID | str | int,
        gt: int | None = None,
        gte: int | None = None,
        lt: int | None = None,
        lte: int | None = None,
        limit: int | None = None,
        is_ascending: bool = True,
    ) -> Iterator[DomainEvent]:
        """Reads events of one stream, lazily and in bounded memory.

        Args:
            originator_id: the stream. An unknown one has no events.
            gt, gte, lt, lte: bounds of the position (0-based).
            limit: at most so many events; None for all.
            is_ascending: False to begin with the last one.

        Returns:
            An iterator, to be used once.

        Raises:
            ProgrammingError: a bound is no int, the limit is negative, or the direction no bool.
            InvalidOriginatorID: no stream can have such an id.
            ApplicationClosedError: the record manager has been closed.
            TopicResolutionError, DataIntegrityError: a row cannot be read.
            PersistenceError: the database could not be read.
        """
        for name, value in (("gt", gt), ("gte", gte), ("lt", lt), ("lte", lte), ("limit", limit)):
            if value is not None and type(value) is not int:
                raise ProgrammingError(f"{name} must be an int, not {type(value).__name__}")
        if limit is not None and limit < 0:
            raise ProgrammingError("limit cannot be negative")
        if type(is_ascending) is not bool:
            raise ProgrammingError(
                f"is_ascending must be a bool, not {type(is_ascending).__name__}"
            )
        bounds = Bounds(gt, gte, lt, lte, limit, is_ascending)
        return self.mapper.events_from_items(self.reader.get_items(originator_id, bounds))

    def get_most_recent_event(self, originator_id: UUID | str | int) -> DomainEvent | None:
        """Returns the last event of a stream, or None if there is none."""
        return next(self.get_domain_events(originator_id, limit=1, is_ascending=False), None)

    def feed_position(self, originator_id: UUID | str | int, originator_version: int) -> int | None:
        """See :meth:`RecordManager.feed_position`."""
        return self.record_manager.feed_position(originator_id, originator_version)

    def mark_of(self, item: tuple[Any, ...]) -> str:
        """Returns what tells a stored event from any other that could be in its place: its event
        id, or a digest of the item if that has none.
        """
        if self._event_id_at is not None:
            return str(item[self._event_id_at])
        return digest_of(item)

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """See :meth:`RecordManager.when_committed`."""
        self.record_manager.when_committed(callback, or_else)

    def close(self) -> None:
        """Closes the record manager."""
        self.record_manager.close()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _linked(self, chain: Chain, items: Items) -> Items:
        try:
            return chain.linked(items)
        except PredecessorMissing as missing:
            # A hash without it would be another than who reads the whole stream expects.
            actual = self._version_of(missing.item[0])
            raise _concurrency_error(missing.item, actual) from None

    def _record(self, items: Items) -> None:
        try:
            self.record_manager.record(items)
        except OutcomeUnknown as unknown:
            if not self.record_manager.can_repeat:
                raise
            # All or nothing was stored. Doing it again finds out which: where the lost
            # transaction is still going on, the unique key makes this one wait for its end.
            try:
                self.record_manager.record(items)
            except (SequencedItemConflict, TransactionConflict):
                raise
            except (PersistenceError, ApplicationClosedError) as error:
                raise OutcomeUnknown(
                    f"{unknown}; to find out whether the events are stored failed too: {error}"
                ) from error

    def _not_stored(self, items: Items, error: PersistenceError) -> Items:
        """Returns those that are still to be stored, if this very save (perhaps without an
        answer) stored the others. Raises the right error otherwise.
        """
        if isinstance(error, TransactionConflict) and not self.record_manager.can_repeat:
            # The caller's transaction is lost, so nothing can be looked up in it.
            raise _concurrency_error(items[0], None, error) from error
        try:
            stored, versions = self._stored(items)
            missing = [item for item in items if not self._same(stored.get(item[:2]), item)]
            rival = next((item for item in missing if item[:2] in stored), None)
            if not missing:
                self.record_manager.confirm()
            if rival is None and len(missing) < len(items):
                return missing
            refused = rival or items[0]
            actual: int | None = versions.get(refused[0]) or self._version_of(refused[0])
        except (PersistenceError, ApplicationClosedError) as failure:
            if not self.record_manager.can_repeat:
                raise
            raise OutcomeUnknown(
                f"a position is taken, perhaps by an earlier attempt of this save ({error}); to"
                f" find out failed: {failure}"
            ) from failure
        if rival is None and isinstance(error, SequencedItemConflict):
            actual = None  # the caller's transaction reads an older state than it writes to
        raise _concurrency_error(refused, actual, error) from error

    def _version_of(self, sequence_id: object) -> int:
        newest = Bounds(limit=1, is_ascending=False)
        last = next(self.record_manager.get_items(sequence_id, newest), None)
        return 0 if last is None else int(last[1]) + 1

    def _stored(
        self, items: Items
    ) -> tuple[dict[tuple[Any, ...], tuple[Any, ...]], dict[object, int]]:
        """Returns what is stored at the positions of ``items``, by sequence and position, and the
        versions of the sequences that have events there, or after that.
        """
        positions: dict[object, list[int]] = {}
        for item in items:
            positions.setdefault(item[0], []).append(item[1])
        stored: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        versions: dict[object, int] = {}
        read = self.record_manager.get_items
        for sequence_id, taken in positions.items():
            # From the newest on: who is refused is seldom far behind, and so this is all.
            enough = len(taken) + SELDOM_BEHIND
            found = list(
                read(sequence_id, Bounds(gte=min(taken), limit=enough, is_ascending=False))
            )
            if found:
                versions[sequence_id] = found[0][1] + 1
            if len(found) == enough:
                found = list(read(sequence_id, Bounds(gte=min(taken), lte=max(taken))))
            stored.update((each[:2], each) for each in found)
        return stored, versions

    def _same(self, stored: tuple[Any, ...] | None, item: tuple[Any, ...]) -> bool:
        if stored is None:
            return False
        if self._event_id_at is None:
            try:  # no two texts of a sealed state are the same
                return [*self.mapper.opened((stored,))] == [*self.mapper.opened((item,))]
            except DataIntegrityError:
                return False  # what cannot be read was not stored by this save
        return bool(stored[self._event_id_at] == item[self._event_id_at])


def _check_positions(items: Items) -> None:
    """Refuses a batch that would leave a gap in a stream, or goes back in it, as one with the
    events of two copies of an aggregate does.
    """
    last: dict[object, int] = {}  # of each stream but that of the item before
    stream: object = items[0][0]
    before: int = items[0][1]
    for item in items[1:]:
        position = item[1]
        if item[0] is not stream:
            last[stream] = before
            stream = item[0]
            before = last[stream] if stream in last else position - 1
        if position != before + 1:
            raise ProgrammingError(
                f"a batch has position {position} of the stream {stream!r} after {before}, where"
                f" {before + 1} has to follow"
            )
        before = position


def _concurrency_error(
    refused: tuple[Any, ...], actual: int | None, error: PersistenceError | None = None
) -> ConcurrencyError:
    message = f"stream {refused[0]!r} was expected at version {refused[1]}"
    if actual is not None:
        message += f", and is at {actual}"
    elif isinstance(error, SequencedItemConflict):
        message += ", and this transaction, begun before that, does not see by how much it is ahead"
    if isinstance(error, TransactionConflict):
        message += f"; the transaction was given up: {error}"
    return ConcurrencyError(
        message,
        originator_id=refused[0],
        expected_version=refused[1],
        actual_version=actual,
    )
