"""The port to the keys of those whose personal data is stored, and the keys in memory.

Each subject has one key, ever. It is made when it is first needed, and destroyed when the subject
is forgotten; what is left is the record of that. A key is a text, which is encrypted itself.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

__all__ = ["MemorySubjectKeys", "SubjectKey", "SubjectKeys"]


@dataclass(frozen=True)
class SubjectKey:
    """The key of one subject, or what is left of it.

    Attributes:
        subject: the stored form of an id (see :mod:`eventsourcing.utils.ids`).
        key: None once the subject has been forgotten.
        forgotten_at: when that was (aware, UTC); None before.
    """

    subject: str
    key: str | None
    forgotten_at: datetime | None = None


class SubjectKeys(ABC):
    """Keeps keys. May be used from several threads at once."""

    @abstractmethod
    def find(self, subject: str) -> SubjectKey | None:
        """Returns what is stored of a subject now, or None if there is nothing."""

    @abstractmethod
    def add(self, subject: str, key: str) -> bool:
        """Stores a key unless something is stored of the subject, and tells whether it did."""

    @abstractmethod
    def exchange(self, old: SubjectKey, key: str) -> None:
        """Stores another text for a key, if it is still as it was."""

    @abstractmethod
    def forget(self, subject: str) -> None:
        """Destroys the key of a subject, if there is one, and records that it is forgotten."""

    @abstractmethod
    def all(self) -> Iterator[SubjectKey]:
        """Reads what is stored of all subjects, ordered by subject, in bounded memory."""


class MemorySubjectKeys(SubjectKeys):
    """Keeps keys in this process."""

    def __init__(self) -> None:
        self._keys: dict[str, SubjectKey] = {}
        self._lock = threading.Lock()

    def find(self, subject: str) -> SubjectKey | None:
        """See :meth:`SubjectKeys.find`."""
        return self._keys.get(subject)

    def add(self, subject: str, key: str) -> bool:
        """See :meth:`SubjectKeys.add`."""
        with self._lock:
            if subject in self._keys:
                return False
            self._keys[subject] = SubjectKey(subject, key)
            return True

    def exchange(self, old: SubjectKey, key: str) -> None:
        """See :meth:`SubjectKeys.exchange`."""
        with self._lock:
            if self._keys.get(old.subject) == old:
                self._keys[old.subject] = replace(old, key=key)

    def forget(self, subject: str) -> None:
        """See :meth:`SubjectKeys.forget`."""
        with self._lock:
            found = self._keys.get(subject)
            if found is None or found.key is not None:
                self._keys[subject] = SubjectKey(subject, None, datetime.now(UTC))

    def all(self) -> Iterator[SubjectKey]:
        """See :meth:`SubjectKeys.all`."""
        with self._lock:
            found = sorted(self._keys.values(), key=lambda each: each.subject)
        yield from found
