"""The table of stored events.

A table of your own may have other names and more columns: for each field of the item class it
needs a column of the field's name, a unique constraint over the first two, and an integer
primary key that the database counts up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Inspector,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.utils.ids import MAX_LENGTH, id_from_text, id_to_text

__all__ = [
    "ContextId",
    "OriginatorId",
    "State",
    "check_identifier",
    "check_unique_key",
    "name_beside",
    "stored_events_table",
    "stored_snapshots_table",
]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_ID_LENGTH = MAX_LENGTH + 1  # one more for the mark of an escaped id
_CONTEXT_LENGTH = 255
# Their types are imported where they are used: other databases' users would load the dialect.
_MYSQL = ("mysql", "mariadb")


class OriginatorId(TypeDecorator["object"]):
    """A column for ids: UUIDs, strings and ints in one text form (see :mod:`..utils.ids`).

    Compared byte by byte, whatever the database's own collation.
    """

    impl = String(_ID_LENGTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> object:  # type: ignore[override]
        """Chooses the collation."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(_ID_LENGTH, collation="C"))
        if dialect.name in _MYSQL:
            from sqlalchemy.dialects.mysql import VARCHAR

            binary = VARCHAR(_ID_LENGTH, charset="utf8mb4", collation="utf8mb4_bin")
            return dialect.type_descriptor(binary)
        return dialect.type_descriptor(String(_ID_LENGTH))

    def process_bind_param(self, value: object, dialect: Dialect) -> str:
        """Raises InvalidOriginatorID for what is no id."""
        return id_to_text(value)

    def process_result_value(self, value: object, dialect: Dialect) -> object:
        """Returns the id as it was given."""
        return id_from_text(str(value))


class State(TypeDecorator[str]):
    """A column for JSON text of any length."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Chooses the length and the character set."""
        if dialect.name in _MYSQL:
            from sqlalchemy.dialects.mysql import LONGTEXT

            return dialect.type_descriptor(LONGTEXT(charset="utf8mb4"))
        return super().load_dialect_impl(dialect)


class ContextId(TypeDecorator[str]):
    """A column for a correlation or causation id."""

    impl = String(_CONTEXT_LENGTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Chooses the character set."""
        if dialect.name in _MYSQL:
            from sqlalchemy.dialects.mysql import VARCHAR

            return dialect.type_descriptor(VARCHAR(_CONTEXT_LENGTH, charset="utf8mb4"))
        return super().load_dialect_impl(dialect)


def check_identifier(name: str, kind: str) -> str:
    """Returns ``name`` if it may name a table or schema.

    Raises:
        ProgrammingError: it is not 1 to 63 ASCII letters, digits and underscores.
    """
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise ProgrammingError(
            f"the {kind} name must be 1 to 63 ASCII letters, digits and underscores, and must"
            f" not begin with a digit: {name!r}"
        )
    return name


def check_unique_key(database: Inspector, table: Table, columns: Sequence[str]) -> None:
    """Checks that the table as it is in the database has the unique key of its definition: a
    restored one, or one that was made by hand, may lack it.

    Raises:
        ProgrammingError: there is no unique constraint, unique index or primary key over exactly
            these columns.
    """
    if any(set(key) == set(columns) for key in _unique_keys(database, table.name, table.schema)):
        return
    raise ProgrammingError(
        f"table {table.fullname!r} is there, but has no unique constraint over"
        f" {', '.join(columns)}: without it, two savers could take the same position. Add it by a"
        " migration"
    )


def _unique_keys(
    database: Inspector, name: str, schema: str | None
) -> Iterator[Sequence[str | None]]:
    for constraint in database.get_unique_constraints(name, schema):
        yield constraint["column_names"]
    yield database.get_pk_constraint(name, schema)["constrained_columns"]
    for index in database.get_indexes(name, schema):
        # one with a condition holds for some rows only
        options = index.get("dialect_options", {})
        if index["unique"] and not any(option.endswith("_where") for option in options):
            yield index["column_names"]


def stored_events_table(
    name: str = "stored_events",
    schema: str | None = None,
    metadata: MetaData | None = None,
    *,
    chained: bool = False,
) -> Table:
    """Returns the definition of a table for :class:`StoredEvent` items.

    Args:
        name, schema: validated, and quoted wherever they are used.
        metadata: where the table is registered, for Alembic; a new one by default.
        chained: whether for :class:`ChainedEvent` items, which have one column more.

    Raises:
        ProgrammingError: a name is not a plain identifier.
    """
    _check_names(name, schema)
    return Table(
        name,
        MetaData() if metadata is None else metadata,
        # The position in the feed of all events. Without Identity(), which Alembic would find to
        # be missing on databases that have no such thing.
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("originator_id", OriginatorId, nullable=False),
        Column("originator_version", BigInteger, nullable=False),
        Column("topic", State, nullable=False),
        Column("state", State, nullable=False),
        Column("event_id", String(32), nullable=False),
        Column("correlation_id", ContextId),
        Column("causation_id", ContextId),
        *([Column("chain", String(64))] if chained else []),
        UniqueConstraint("originator_id", "originator_version", name=_key_of(name)),
        schema=schema,
    )


def stored_snapshots_table(
    events: str = "stored_events", schema: str | None = None, metadata: MetaData | None = None
) -> Table:
    """Returns the definition of the table of the snapshots of a table of events.

    It is called ``stored_snapshots`` for ``stored_events``, and else as the table of events with
    ``_snapshots`` after it.

    Args:
        events: the name of the table of events.
        schema, metadata: as those of :func:`stored_events_table`.

    Raises:
        ProgrammingError: a name is not a plain identifier.
    """
    return Table(
        name_beside(events, schema, "stored_snapshots", "snapshots"),
        MetaData() if metadata is None else metadata,
        Column("originator_id", OriginatorId, primary_key=True),
        Column("originator_version", BigInteger, primary_key=True, autoincrement=False),
        Column("topic", State, nullable=False),
        Column("state", State, nullable=False),
        Column("event_id", String(32), nullable=False),
        Column("fingerprint", String(32), nullable=False),
        Column("digest", String(32), nullable=False),
        schema=schema,
    )


def name_beside(events: str, schema: str | None, of_default: str, what: str) -> str:
    """Returns the name of a table that belongs to a table of events, and to no other one.

    Args:
        events, schema: of the table of events.
        of_default: the name that belongs to ``stored_events``.
        what: stands at the end of others, which have at most 63 characters; at most 12.

    Raises:
        ProgrammingError: a name is not a plain identifier.
    """
    _check_names(events, schema)
    return of_default if events == "stored_events" else f"{_short(events)}_{what}"


def _check_names(name: str, schema: str | None) -> None:
    check_identifier(name, "table")
    if schema is not None:
        check_identifier(schema, "schema")


def _key_of(name: str) -> str:
    """Returns the name of the table's unique key: of 63 characters at most, and its own."""
    return f"{_short(name)}_position_key"


def _short(name: str) -> str:
    """Returns the name, or one of its own with at most 50 characters."""
    return name if len(name) <= 50 else f"{name[:41]}_{sha256(name.encode()).hexdigest()[:8]}"
