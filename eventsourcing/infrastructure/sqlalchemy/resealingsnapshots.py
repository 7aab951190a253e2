"""Writes snapshots again, under the current key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, String, and_, bindparam, delete, or_, select, type_coerce, update

from eventsourcing.exceptions import (
    CipherKeyMissing,
    DataIntegrityError,
    InvalidOriginatorID,
    OpenerMissing,
    TableNotFound,
)
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.tables import stored_snapshots_table
from eventsourcing.utils.ids import id_from_text

__all__ = ["reseal_snapshots"]

PAGE = 20  # snapshots may be large

Failed = Callable[[DataIntegrityError], None]


def reseal_snapshots(
    manager: SQLAlchemyRecordManager, protection: Protection, plain_too: bool, failed: Failed
) -> Iterator[int]:
    """Goes through the snapshots, page by page, and yields how many of each page were exchanged,
    or removed since they are damaged. Where there is no table of snapshots, there are none.

    Args:
        plain_too: whether those that are not encrypted are to be.
        failed: is told of those whose key is not in the keyring, which stay.

    Raises:
        PersistenceError: the database refused.
    """
    rows = _Snapshots(manager)
    stream, version = "", -1
    while page := rows.after(stream, version):
        yield rows.exchange(list(_changes(page, protection, plain_too, failed)))
        stream, version, *_ = page[-1]


def _changes(
    page: Sequence[Any], protection: Protection, plain_too: bool, failed: Failed
) -> Iterator[tuple[Any, SnapshotRecord | None]]:
    """Yields rows, and what is to take their place, if anything is."""
    for row in page:
        if not protection.is_outdated(row.state, plain_too):
            continue
        try:
            record = SnapshotRecord(id_from_text(row[0]), *row[1:])
            state = record.opened(protection)
            new = record._replace(state=state).sealed(protection)
        except OpenerMissing as error:
            failed(_missing(error))
        except (DataIntegrityError, InvalidOriginatorID):
            yield row, None
        else:
            yield row, new


def _missing(error: OpenerMissing) -> OpenerMissing:
    """Returns the error as one of a snapshot, for that is how it was raised for an event."""
    what = f"cannot be read: {error.__cause__}"
    if isinstance(error, CipherKeyMissing):
        what = f"is encrypted with the key {error.key_id!r}, which is not there"
    error.args = (
        f"the snapshot of version {error.originator_version} of {error.originator_id!r} {what}",
    )
    return error


class _Snapshots:
    """The rows of a table of snapshots, with their ids as they are stored, by their key."""

    def __init__(self, manager: SQLAlchemyRecordManager) -> None:
        self._datastore = manager.datastore
        table = stored_snapshots_table(manager.table.name, manager.table.schema)
        c = table.c
        stream, version = type_coerce(c.originator_id, String), c.originator_version
        others = [c[name] for name in SnapshotRecord._fields[1:]]
        after = bindparam("after", type_=String)
        behind = bindparam("behind", type_=BigInteger)
        self._page = (
            select(stream, *others)
            .where(or_(stream > after, and_(stream == after, version > behind)))
            .order_by(c.originator_id, version)
            .limit(PAGE)
        )
        # The digest is of all of the row.
        is_same = (
            stream == bindparam("stream", type_=String),
            version == bindparam("version"),
            c.digest == bindparam("old"),
        )
        self._remove = delete(table).where(*is_same)
        self._exchange = (
            update(table)
            .where(*is_same)
            .values(state=bindparam("new_state"), digest=bindparam("new_digest"))
        )

    def after(self, stream: str, version: int) -> Sequence[Any]:
        """Returns the next rows: what is in a record, in the same order."""
        try:
            with self._datastore.reading() as connection:
                values = {"after": stream, "behind": version}
                return connection.execute(self._page, values).all()
        except TableNotFound:
            return ()

    def exchange(self, changes: Sequence[tuple[Any, SnapshotRecord | None]]) -> int:
        """Exchanges rows in one transaction, where they are what they were, and returns how many
        were.
        """
        if not changes:
            return 0
        with self._datastore.transaction() as connection:
            return sum(self._exchange_on(connection, *change) for change in changes)

    def _exchange_on(self, connection: Any, row: Any, record: SnapshotRecord | None) -> int:
        is_same = {"stream": row[0], "version": row[1], "old": row.digest}
        if record is None:
            return int(connection.execute(self._remove, is_same).rowcount)
        new = {"new_state": record.state, "new_digest": record.digest}
        return int(connection.execute(self._exchange, is_same | new).rowcount)
