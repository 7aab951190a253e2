"""The port to a database: append items to sequences, read them back.

Adapters are :class:`~eventsourcing.infrastructure.memory.MemoryRecordManager` and
:class:`~eventsourcing.infrastructure.sqlalchemy.manager.SQLAlchemyRecordManager`. What every
adapter must do is defined by the suite in ``tests/contracts``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from eventsourcing.exceptions import ProgrammingError

if TYPE_CHECKING:
    from eventsourcing.infrastructure.announcements import Announcements
    from eventsourcing.infrastructure.feed import Feed
    from eventsourcing.infrastructure.snapshotrecords import SnapshotRecords
    from eventsourcing.infrastructure.subjectkeys import SubjectKeys

__all__ = ["EVERYTHING", "MAX_POSITION", "Bounds", "ItemReader", "RecordManager"]

MIN_POSITION, MAX_POSITION = -(2**63), 2**63 - 1
"""What fits the column of every database."""


class Bounds(NamedTuple):
    """Which items of a sequence to read. All bounds are positions, and all hold at once."""

    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None
    limit: int | None = None
    is_ascending: bool = True

    @property
    def first(self) -> int:
        """The lowest position within the bounds, if it is not above :attr:`last`."""
        lows = (MIN_POSITION, self.gte, None if self.gt is None else self.gt + 1)
        return max(n for n in lows if n is not None)

    @property
    def last(self) -> int:
        """The highest position within the bounds, if it is not below :attr:`first`."""
        highs = (MAX_POSITION, self.lte, None if self.lt is None else self.lt - 1)
        return min(n for n in highs if n is not None)


EVERYTHING = Bounds()


class ItemReader(Protocol):
    """What reads the items of sequences, as a :class:`RecordManager` does."""

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`RecordManager.get_items`."""
        ...

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`RecordManager.get_states`."""
        ...


class RecordManager(ABC):
    """Stores the items of many sequences, each position of a sequence once.

    May be used from several threads at once.
    """

    item_class: type[tuple[Any, ...]]
    """A named tuple class, see :mod:`eventsourcing.infrastructure.sequenceditem`."""
    announcements: Announcements | None = None
    """What tells other processes of saves, and hears of theirs; None where nobody asked."""

    can_repeat: bool = True
    """Whether a write whose outcome is unknown may be tried again. Not so in a transaction of
    the caller's, which is gone with its connection."""

    commits: bool = False
    """Whether :meth:`record` itself commits, so that nobody needs to ask :meth:`when_committed`."""

    @abstractmethod
    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        """Stores all items in one transaction, or raises and stores none.

        Args:
            items: instances of ``item_class``, in the order of the feed. May belong to several
                sequences; those of one sequence stand in ascending order.

        Raises:
            SequencedItemConflict: a position is taken, in the database or within ``items``.
            TransactionConflict: a serialization failure, or a deadlock.
            OutcomeUnknown: the connection was lost. All or none of the items are stored.
            InvalidOriginatorID: the id of a sequence has no stored form.
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    @abstractmethod
    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        """Reads items of one sequence, by ascending or descending position.

        Returns:
            An iterator, to be used once, that reads as it is advanced and holds no more than a
            page of items. Nothing is open between two steps.

        Raises:
            InvalidOriginatorID: the id has no stored form.
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[Any, ...]]:
        """Reads items as :meth:`get_items` does, but of some only the first four fields: the id of
        the sequence, the position, the topic and the state. Override it where that is quicker.

        Args:
            are_enough: tells, whenever items are fetched, whether these fields of them will do.
        """
        return self.get_items(sequence_id, bounds)

    @abstractmethod
    def feed_position(self, sequence_id: object, position: int) -> int | None:
        """Returns the position in the feed (1-based) of an item, whether the feed can be read up to
        it yet or not; None if there is no such item. In a caller's transaction, of items that
        were written in it, too.

        Raises:
            ProgrammingError: nothing numbers all items of this store.
            InvalidOriginatorID: the id has no stored form.
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    @abstractmethod
    def feed(self) -> Feed:
        """Returns a new reader of all items of all sequences.

        Raises:
            ProgrammingError: nothing numbers all items of this store.
        """

    def snapshots(self, setup_table: bool = True) -> SnapshotRecords:
        """Returns where snapshots of what the sequences make are kept, beside the sequences.

        Args:
            setup_table: whether to create the table if it does not exist.

        Raises:
            ProgrammingError: there is no such place.
            PersistenceError: the table cannot be created.
        """
        raise ProgrammingError(f"{type(self).__qualname__} keeps no snapshots")

    def subject_keys(self, creates_table: bool = True) -> SubjectKeys | None:
        """Returns where the keys of subjects are kept (docs: how-to/erasure); None for nowhere.

        Args:
            creates_table: whether to create what they are kept in when it is first needed.
        """
        return None

    def confirm(self) -> None:  # noqa: B027
        """Returns once all that can be seen in the store is as safe as what :meth:`record` has
        stored. Where a commit waits for a standby, others may see it before that.

        Raises:
            PersistenceError: as the tree in :mod:`eventsourcing.exceptions` says.
        """

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """Calls back once what this thread recorded is committed: now, for managers that
        commit; after the caller's commit, for those that write in a caller's transaction.
        Where that is rolled back, ``or_else`` is called instead.
        """
        callback()

    @abstractmethod
    def close(self) -> None:
        """Releases what the manager holds. To close it again does nothing."""
