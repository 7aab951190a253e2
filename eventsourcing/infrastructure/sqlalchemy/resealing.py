"""Writes stored states and the keys of persons again, under the current key, while others read and
write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, select, type_coerce, update
from sqlalchemy.types import NullType

from eventsourcing.exceptions import (
    DataIntegrityError,
    InvalidOriginatorID,
    ProgrammingError,
    TableNotFound,
)
from eventsourcing.infrastructure.erasure import Erasure
from eventsourcing.infrastructure.protection import Protection, unreadable
from eventsourcing.infrastructure.sqlalchemy.feedstatements import NO_TOPIC
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.resealingsnapshots import reseal_snapshots
from eventsourcing.utils.cipher import Keyring

__all__ = ["Resealing", "reseal"]

PAGE = 200  # rows that are read, and written in one transaction
MOST_FAILURES = 10  # that are kept


@dataclass
class Resealing:
    """What has been done.

    Attributes:
        position: in the feed, up to which, inclusive, all rows have been looked at.
        looked_at: how many rows those were.
        written: how many were written again.
        snapshots: how many snapshots were written again, or removed since they are damaged.
        subjects: how many keys of persons were written again.
        unreadable: how many rows, snapshots and keys could not be read, and are as they were.
        failures: what was wrong with the first of those.
    """

    position: int = 0
    looked_at: int = 0
    written: int = 0
    snapshots: int = 0
    subjects: int = 0
    unreadable: int = 0
    failures: list[DataIntegrityError] = field(default_factory=list)

    def failed(self, error: DataIntegrityError) -> None:
        """Takes note of what could not be read."""
        self.unreadable += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(error)


def reseal(
    manager: SQLAlchemyRecordManager,
    protection: Protection,
    *,
    start: int = 1,
    plain_too: bool = False,
    progress: Callable[[Resealing], None] = lambda done: None,
) -> Resealing:
    """Encrypts with the current key all that is encrypted with another one: the states of events,
    up to the last row that is there when this begins, then those of snapshots, and the keys of
    persons (docs: how-to/erasure). When it says that nothing was written and nothing could not be
    read, the other keys are not needed any more.

    A state is exchanged for another text of the same state, and only if it is still what was read.
    So readers and writers need not be stopped, and any number of these may run at once. Each page
    is a transaction: whoever is killed has done what the last ``progress`` said, and all of it
    may be done again. A row that cannot be read is left as it is, and reported.

    Args:
        manager: of the table of events. It must have an integer primary key.
        start: the position in the feed to begin with, inclusive. (Snapshots and keys are looked at
            in any case.)
        plain_too: whether states that are not encrypted are to be. (A protection that refuses
            plain ones cannot do that.)
        progress: is called after each page.

    Raises:
        ProgrammingError: there are no keys, or the table has no such key.
        PersistenceError: the database refused.
    """
    if protection.keys is None:
        raise ProgrammingError("the protection has no keys to encrypt with")
    rows = _Rows(manager)
    done = Resealing(position=start - 1)
    last = rows.last()  # not to run after the writers for ever
    while page := rows.between(done.position + 1, last):
        changes = list(_changes(page, rows, protection, plain_too, done))
        done.written += rows.exchange(changes)
        done.position = page[-1][0]
        done.looked_at += len(page)
        progress(done)
    for changed in reseal_snapshots(manager, protection, plain_too, done.failed):
        done.snapshots += changed
        progress(done)
    done.subjects = _rewrapped(manager, protection, protection.keys, done)
    return done


def _rewrapped(
    manager: SQLAlchemyRecordManager, protection: Protection, keyring: Keyring, done: Resealing
) -> int:
    erasure = Erasure(manager.subject_keys(creates_table=False), keyring, protection.store_id)
    try:
        return erasure.rewrap(done.failed)
    except TableNotFound:
        return 0  # there has never been personal data


def _changes(
    page: Sequence[Any], rows: _Rows, protection: Protection, plain_too: bool, done: Resealing
) -> Iterator[dict[str, Any]]:
    """Yields what to write: the row's number, the text it has, and the text it is to have."""
    for number, stored_id, version, topic, old in page:
        if topic == NO_TOPIC or not protection.is_outdated(old, plain_too):
            continue
        try:
            new = _resealed((rows.id_of(stored_id), version, topic, old), protection)
        except InvalidOriginatorID as error:
            done.failed(_lost(number, version, error))
        except DataIntegrityError as error:
            error.position = number
            done.failed(error)
        else:
            yield {"number": number, "old": old, "new": new}


def _resealed(item: tuple[Any, ...], protection: Protection) -> str:
    _, version, topic, old = item
    state = protection.open(old, *item[:3])
    if not isinstance(state, str) or not state.startswith("{"):
        raise unreadable((*item[:3], None), "it is no state")
    if type(version) is not int or type(topic) is not str:
        raise unreadable((*item[:3], None), "its position is no number, or its topic no text")
    return protection.seal(state, *item[:3])


def _lost(number: int, version: object, error: InvalidOriginatorID) -> DataIntegrityError:
    return DataIntegrityError(
        f"position {number} of the feed: {error}",
        originator_version=version if type(version) is int else None,
        position=number,
    )


class _Rows:
    """The rows of a table, by their numbers in the feed."""

    def __init__(self, manager: SQLAlchemyRecordManager) -> None:
        table = manager.table
        fields: tuple[str, ...] = manager.item_class._fields[:4]  # type: ignore[attr-defined]
        counter = table.autoincrement_column
        if counter is None:
            raise ProgrammingError(
                f"table {table.fullname!r} has no integer primary key, by which to go through it"
            )
        sequence, position, topic, state = (table.c[name] for name in fields)
        self._datastore = manager.datastore
        dialect, driver = manager.datastore.dialect, manager.datastore.driver
        kind = sequence.type.dialect_impl(dialect)
        self._process = kind.result_processor(dialect, driver.type_code(kind))
        self._greatest = select(func.max(counter))
        # The id as it is stored: one that cannot be read is not to keep the others from it.
        self._page = (
            select(counter, type_coerce(sequence, NullType), position, topic, state)
            .where(counter.between(bindparam("first"), bindparam("last")))
            .order_by(counter)
            .limit(PAGE)
        )
        self._exchange = (
            update(table)
            .where(counter == bindparam("number"), state == bindparam("old"))
            .values({state: bindparam("new")})
        )

    def id_of(self, stored: Any) -> Any:
        """Returns the id that is stored so.

        Raises:
            InvalidOriginatorID: it is none.
        """
        return stored if self._process is None else self._process(stored)

    def last(self) -> int:
        """Returns the greatest number; 0 if there is no row."""
        with self._datastore.reading() as connection:
            return connection.execute(self._greatest).scalar() or 0

    def between(self, first: int, last: int) -> Sequence[Any]:
        """Returns the next rows: number, id of the sequence, position, topic and state."""
        with self._datastore.reading() as connection:
            return connection.execute(self._page, {"first": first, "last": last}).all()

    def exchange(self, changes: Sequence[dict[str, Any]]) -> int:
        """Writes the new states in one transaction, where the old ones still stand, and returns
        how many did.
        """
        if not changes:
            return 0
        with self._datastore.transaction() as connection:
            return sum(connection.execute(self._exchange, each).rowcount for each in changes)
