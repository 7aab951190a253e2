"""The port to where snapshots are kept, and the adapter that keeps them in memory."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.exceptions import DataIntegrityError, SequencedItemConflict
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.utils.ids import digest_of, id_to_text

__all__ = ["MemorySnapshotRecords", "SnapshotRecord", "SnapshotRecords"]


class SnapshotRecord(NamedTuple):
    """A stored snapshot.

    Attributes:
        originator_id: the aggregate.
        originator_version: how many events are in it.
        topic: names the aggregate's class.
        state: its state, as text.
        event_id: of the last event that is in it.
        fingerprint: of the aggregate's class.
        digest: of all others, to find out what is damaged: 32 hexadecimal digits.
    """

    originator_id: UUID | str | int
    originator_version: int
    topic: str
    state: str
    event_id: str
    fingerprint: str
    digest: str = ""

    def sealed(self, protection: Protection | None) -> SnapshotRecord:
        """Returns a record with its state protected as those of events are, and its digest."""
        made = self
        if protection is not None:
            made = self._replace(state=protection.seal(self.state, *self.place))
        return made._replace(digest=digest_of(made[:-1]))

    def opened(self, protection: Protection | None) -> Any:
        """Returns the state as it was before that.

        Raises:
            DataIntegrityError: the record is damaged, or the state cannot be opened.
            CipherKeyMissing: it is encrypted with a key that is not there.
        """
        if self.digest != digest_of(self[:-1]):
            raise DataIntegrityError("it is damaged")
        return self.state if protection is None else protection.open(self.state, *self.place)

    @property
    def place(self) -> tuple[Any, int, str]:
        """What the state is bound to. No topic of an event has a space."""
        whole = f"{self.topic} {self.event_id} {self.fingerprint}"
        return self.originator_id, self.originator_version, whole


class SnapshotRecords(ABC):
    """Keeps snapshots, of each version of an aggregate one. May be used from several threads."""

    takes_when_loading: bool = True
    """Whether snapshots may be written while aggregates are loaded: not in a caller's transaction,
    which would hold locks that its owner did not ask for."""

    @abstractmethod
    def newest(self, originator_id: UUID | str | int, version: int | None) -> SnapshotRecord | None:
        """Returns the last snapshot, or that with at most so many events; None if there is none.

        Raises:
            PersistenceError: the table cannot be read.
        """

    @abstractmethod
    def put(self, record: SnapshotRecord, replaced: int | None = None) -> None:
        """Stores a snapshot.

        Args:
            replaced: the version of one that is removed, if there is one. One of the version that
                is stored is removed then, too.

        Raises:
            SequencedItemConflict: there is one of this version.
            PersistenceError: the database refused, or could not be reached.
        """

    @abstractmethod
    def delete(self, originator_id: UUID | str | int | None = None) -> None:
        """Removes the snapshots of an aggregate, or all.

        Raises:
            PersistenceError: the database refused, or could not be reached.
        """

    @abstractmethod
    def delete_older(self, originator_id: UUID | str | int, keep: int) -> None:
        """Removes the snapshots of an aggregate but for so many, those with the most events.

        Raises:
            PersistenceError: the database refused, or could not be reached.
        """


class MemorySnapshotRecords(SnapshotRecords):
    """Keeps snapshots in this process."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, SnapshotRecord]] = {}
        self._lock = threading.Lock()

    def newest(self, originator_id: UUID | str | int, version: int | None) -> SnapshotRecord | None:
        """See :meth:`SnapshotRecords.newest`."""
        with self._lock:
            found = self._found.get(id_to_text(originator_id), {})
            fitting = [each for each in found if version is None or each <= version]
            return found[max(fitting)] if fitting else None

    def put(self, record: SnapshotRecord, replaced: int | None = None) -> None:
        """See :meth:`SnapshotRecords.put`."""
        version = record.originator_version
        with self._lock:
            found = self._found.setdefault(id_to_text(record.originator_id), {})
            if version in found and replaced is None:
                raise SequencedItemConflict(f"there is a snapshot of version {version}")
            if replaced is not None:
                found.pop(replaced, None)
            found[version] = record

    def delete(self, originator_id: UUID | str | int | None = None) -> None:
        """See :meth:`SnapshotRecords.delete`."""
        with self._lock:
            if originator_id is None:
                self._found.clear()
            else:
                self._found.pop(id_to_text(originator_id), None)

    def delete_older(self, originator_id: UUID | str | int, keep: int) -> None:
        """See :meth:`SnapshotRecords.delete_older`."""
        with self._lock:
            found = self._found.get(id_to_text(originator_id), {})
            for version in sorted(found)[:-keep]:
                del found[version]
