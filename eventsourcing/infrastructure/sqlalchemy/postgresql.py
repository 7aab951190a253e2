"""PostgreSQL, through psycopg 3."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    Column,
    Dialect,
    Float,
    FromClause,
    Insert,
    Numeric,
    String,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    true,
)
from sqlalchemy.engine import URL
from sqlalchemy.types import TypeEngine

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    OutcomeUnknown,
    PersistenceError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TableNotFound,
    TransactionConflict,
    ValueTooLarge,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule
from eventsourcing.infrastructure.sqlalchemy.postgresqlgaps import PostgreSQLGaps

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import (
        SQLAlchemyDatastore,
        SQLAlchemySettings,
    )
    from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements

__all__ = ["PostgreSQLDriver"]

# By SQLSTATE, or the beginning of one.
_ERRORS: Mapping[str, type[PersistenceError]] = {
    "23505": SequencedItemConflict,
    "23": ConstraintViolation,
    "40": TransactionConflict,
    "40003": DatabaseUnavailable,  # statement completion unknown
    "55P03": LockTimeout,
    "57014": LockTimeout,  # statement_timeout, or a cancelled wait
    "25006": ReadOnlyDatabase,
    "25P03": DatabaseUnavailable,  # idle for too long, and so cut off
    "25P04": DatabaseUnavailable,
    "53100": DiskFull,
    "42P01": TableNotFound,
    "42703": TableNotFound,
    "3F000": TableNotFound,
    "22001": ValueTooLarge,
    "22003": ValueTooLarge,
    "54": ValueTooLarge,
    "08": DatabaseUnavailable,
    "28": DatabaseUnavailable,
    "3D000": DatabaseUnavailable,
    "53300": DatabaseUnavailable,
    "57P": DatabaseUnavailable,
}
# "Key (a, b)=(1, 2) already exists.", in the server's language
_KEY = re.compile(r"\((?P<columns>[^()]*)\)=\(")

# What psycopg has a binary form of, whatever it is: see its list of adapters.
_PLAIN = re.compile(r"(?<!%)%s(?=::(?:TEXT|VARCHAR|BIGINT|INTEGER|SMALLINT)\b)")
_NUMBERS: Mapping[type[Any], int] = {Float: 701, Numeric: 1700}  # SQLAlchemy asks for these OIDs
_SHORT_LOCK_TIMEOUT = func.set_config(
    literal_column("'lock_timeout'"), literal_column("'100ms'"), true()
)
_HAS_XID = func.pg_current_xact_id().is_not(None)


def _element_type(column: Column[Any]) -> Any:
    # TEXT for VARCHAR(n): a cast to VARCHAR(n) would cut a long value, the column refuses it.
    implementation = getattr(column.type, "impl_instance", column.type)
    return Text if isinstance(implementation, String) else column.type


def _rows(columns: Sequence[Column[Any]]) -> TableValuedAlias:
    """Makes rows of an array for each column."""
    arrays = [bindparam(c.name, type_=ARRAY(_element_type(c))) for c in columns]
    names = [column.name for column in columns]
    return func.unnest(*arrays).table_valued(*names).render_derived()


def _insert(
    table: Table, columns: Sequence[Column[Any]], rows: TableValuedAlias, source: FromClause
) -> Insert:
    names = [column.name for column in columns]
    selected = select(*(rows.c[name] for name in names)).select_from(source).where(_HAS_XID)
    return insert(table).from_select(names, selected, include_defaults=False)


class PostgreSQLDriver(Driver):
    """PostgreSQL."""

    name = "postgresql+psycopg"
    extra = "postgresql"
    takes_columns = True
    commits_groups = True
    lanes = 4
    keeps_cursors = True  # psycopg's remember by what a value of each type becomes text
    shares_lock_timeouts = True  # for a group soon gives up the lock on a row
    # The least that a transaction can write, so that its commit waits for standbys.
    confirmation = "SELECT pg_logical_emit_message(true, 'eventsourcing', '')"

    # PostgreSQL numbers rows when it computes the target list. The filter is evaluated before
    # it, and so assigns the transaction's id before the transaction takes its first number from
    # the sequence: a reader of the feed relies on that order (docs: explanation/feed).

    def insert_one(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """See :class:`Driver`."""
        values = [bindparam(column.name, type_=column.type) for column in columns]
        return insert(table).from_select(
            list(columns), select(*values).where(_HAS_XID), include_defaults=False
        )

    def insert_many(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """See :class:`Driver`."""
        rows = _rows(columns)
        return _insert(table, columns, rows, rows)

    def insert_shared(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """See :class:`Driver`. The lock time-out is that of the one transaction."""
        timeout = select(_SHORT_LOCK_TIMEOUT.label("was_set")).cte("lock_timeout")
        once = timeout.prefix_with("MATERIALIZED")  # and before the first row, which is joined
        rows = _rows(columns)
        return _insert(table, columns, rows, rows.join(once, true()))

    def quicker(self, sql: str, dialect: Dialect) -> str:
        """See :class:`Driver`. psycopg writes an array of texts as text, if it is let, for which it
        takes 15 times as long as in binary form.
        """
        return _PLAIN.sub("%b", sql) if dialect.driver == "psycopg" else sql

    def reads_ahead(self, dialect: Dialect) -> bool:
        """See :class:`Driver`. Drivers in Python are busy all the time."""
        return dialect.driver == "psycopg"

    def type_code(self, column_type: TypeEngine[Any]) -> Any:
        """See :class:`Driver`."""
        for cls, code in _NUMBERS.items():
            if isinstance(column_type, cls):
                return code
        return None

    def classify(self, error: BaseException) -> type[PersistenceError]:
        """See :class:`Driver`."""
        state: str | None = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if state is None:
            # Without an answer from the server, an operational error is the connection's.
            names = {cls.__name__ for cls in type(error).__mro__}
            lost = names & {"OperationalError", "InterfaceError", "OSError"}
            return DatabaseUnavailable if lost else PersistenceError
        for length in (5, 3, 2):
            if (cls := _ERRORS.get(state[:length])) is not None:
                return cls
        return PersistenceError

    def message(self, error: BaseException) -> str:
        """See :class:`Driver`. Details and context are left out, since they show the row."""
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        if primary is None:
            return super().message(error)
        # A value that cannot be read is quoted: 'invalid input syntax for type date: "..."'.
        state = getattr(error, "sqlstate", None) or ""
        return str(primary).partition(": ")[0] if state.startswith("22") else str(primary)

    def violated_key(self, error: BaseException) -> str | frozenset[str] | None:
        """See :class:`Driver`. Columns, else the constraint's name."""
        diagnostics: Any = getattr(error, "diag", None)
        found = _KEY.search(getattr(diagnostics, "message_detail", None) or "")
        if found is not None:
            return frozenset(name.strip('"') for name in found["columns"].split(", "))
        name: str | None = getattr(diagnostics, "constraint_name", None)
        return name

    def connect_args(self, settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
        """See :class:`Driver`."""
        args: dict[str, Any] = {}
        if "connect_timeout" not in url.query:
            args["connect_timeout"] = settings.connect_timeout
        if settings.lock_timeout is not None:
            milliseconds = max(1, round(settings.lock_timeout * 1000))  # 0 is to wait for ever
            # what is given here would hide the environment's from libpq; the last one holds
            given = url.query.get("options") or os.environ.get("PGOPTIONS", "")
            args["options"] = f"-c lock_timeout={milliseconds} {given}".strip()
        return args

    def gap_rule(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> GapRule:
        """See :class:`Driver`."""
        return PostgreSQLGaps(statements, datastore)

    def on_connect(self, connection: Any, settings: SQLAlchemySettings) -> None:
        """See :class:`Driver`. A commit whose wait for a standby is cancelled is acknowledged all
        the same: the server only warns.
        """
        if not hasattr(connection, "add_notice_handler"):
            return  # it is not psycopg 3's
        number, doubtful = id(connection), self.doubtful

        def notice(diagnostics: Any) -> None:
            if diagnostics.source_function == "SyncRepWaitForLSN":
                doubtful.add(number)

        connection.add_notice_handler(notice)

    def check_commit(self, connection: Any) -> None:
        """See :class:`Driver`."""
        if id(connection) in self.doubtful:
            self.doubtful.discard(id(connection))
            raise OutcomeUnknown("the server was told to wait no longer for a standby")

    def is_autocommit(self, connection: Any) -> bool:
        """See :class:`Driver`."""
        return bool(connection.autocommit)
