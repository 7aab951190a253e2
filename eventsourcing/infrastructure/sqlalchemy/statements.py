"""The SQL of a record manager, compiled once for a table and a dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Insert,
    Integer,
    Table,
    bindparam,
    null,
    select,
)

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.recordmanager import Bounds
from eventsourcing.utils.lazy import lazy

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.driver import Driver

__all__ = ["Query", "Statements", "Write", "compiled", "feed_column", "positional"]

MOST_KEPT = 2**16  # characters of a write
MOST_ROWS_KEPT = 20

Row = tuple[Any, ...]
Processor = Callable[[Any], Any]


class Write(NamedTuple):
    """One statement that inserts rows, with its parameters.

    Attributes:
        parameters: of a single execution (None if they are written into the SQL), or a list of
            rows for the driver's ``executemany``.
        is_small: whether a cursor may remember the parameters until the next write.
    """

    sql: str
    parameters: Any
    many: bool = False
    is_small: bool = False

    def execute_on(self, connection: Connection, batches: bool) -> None:
        """Inserts the rows in the transaction that is open.

        Args:
            batches: whether the driver's ``executemany`` may be used.
        """
        if self.many and not batches:
            for row in self.parameters:
                connection.exec_driver_sql(self.sql, row)
        else:
            connection.exec_driver_sql(self.sql, self.parameters)


class Query(NamedTuple):
    """A compiled statement: its SQL, its parameters' names in order, and the fixed values."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, Any]

    def with_values(self, **values: Any) -> tuple[str, tuple[Any, ...]]:
        """Returns the SQL, and the parameters in their order."""
        given = self.constants | values
        return self.sql, tuple(map(given.__getitem__, self.names))


def compiled(statement: Any, dialect: Dialect) -> Query:
    """Returns a statement as the driver takes it, for a dialect that :func:`positional` gave."""
    made: Any = statement.compile(dialect=dialect)
    return Query(str(made), tuple(made.positiontup or ()), dict(made.params))


class Statements:
    """Inserts items into, and selects them from, one table.

    Args:
        table: has a column for each field of the item class.
        fields: the item class's fields.
        dialect, driver: of the database.

    Raises:
        ProgrammingError: the table lacks a column.
    """

    def __init__(
        self, table: Table, fields: Sequence[str], dialect: Dialect, driver: Driver
    ) -> None:
        missing = [name for name in fields if name not in table.c]
        if missing:
            raise ProgrammingError(f"table {table.fullname!r} has no column {missing[0]!r}")
        self._table, self._fields = table, fields
        self._columns: list[Column[Any]] = [table.c[name] for name in fields]
        self._dialect = positional(dialect)
        implementations = [column.type.dialect_impl(self._dialect) for column in self._columns]
        self._binds = [impl.bind_processor(self._dialect) for impl in implementations]
        self._results = [
            i.result_processor(self._dialect, driver.type_code(i)) for i in implementations
        ]
        self._bind_id = self._binds[0]
        self._has_other_binds = any(self._binds[1:])
        self._driver = driver
        self._one = self._compiled(driver.insert_one(table, self._columns))
        self._many = self._compiled(driver.insert_many(table, self._columns))
        self._shared = self._compiled(driver.insert_shared(table, self._columns))
        self._nullable: list[int] = []
        # What a type has the database do to its values, it does to None too.
        are_plain = self._one.endswith(f"({', '.join('?' * len(fields))})")
        if driver.adapts_none and are_plain:
            others = range(4, len(fields))  # than those that are given in each row
            self._nullable = [at for at in others if self._columns[at].nullable]
        self._selects = {
            (ascending, is_brief): self._select(ascending, is_brief)
            for ascending in (True, False)
            for is_brief in (True, False)
        }

    def rows(self, items: Sequence[Row]) -> Sequence[Row]:
        """Returns the items as the driver takes them."""
        if len(items) == 1 and not self._has_other_binds:
            key, *others = items[0]
            return ((key if self._bind_id is None else self._bind_id(key), *others),)
        columns = map(_bound, self._binds, zip(*items, strict=True))
        return list(zip(*columns, strict=True))

    def write(self, rows: Sequence[Row], is_shared: bool = False) -> Write:
        """Returns what inserts the rows in their order, as one statement if the dialect can.

        Args:
            is_shared: whether they are of several savers.
        """
        is_small = self._driver.keeps_cursors and _is_small(rows)
        sql = self._one if len(rows) == 1 else self._shared if is_shared else self._many
        if self._nullable and self._are_null(rows):
            sql = self._with_nulls
            rows = list(map(self._others, rows))
        if len(rows) == 1:
            return Write(sql, rows[0], False, is_small)
        if self._driver.takes_columns:
            columns = tuple(map(list, zip(*rows, strict=True)))
            return Write(sql, columns, False, is_small)
        return Write(sql, rows, many=True)

    def _are_null(self, rows: Sequence[Row]) -> bool:
        """Tells whether the columns that may be NULL all are, in each row."""
        for row in rows:
            for at in self._nullable:
                if row[at] is not None:
                    return False
        return True

    def read(
        self, sequence_id: object, bounds: Bounds, limit: int, item_class: type[Row]
    ) -> tuple[str, Row]:
        """Returns the SQL and parameters that select at most ``limit`` items of a sequence.

        The rows have all columns but that of the sequence's id: see :meth:`items`.

        Args:
            item_class: ``tuple`` for the first four fields alone.
        """
        bind = self._bind_id
        return self._selects[bounds.is_ascending, item_class is tuple].with_values(
            sequence=sequence_id if bind is None else bind(sequence_id),
            first=bounds.first,
            last=bounds.last,
            limit=limit,
        )

    def locate(self, sequence_id: object, position: int) -> tuple[str, Row]:
        """Returns the SQL and parameters that select an item's position in the feed.

        Raises:
            ProgrammingError: the table has no column that counts its rows.
        """
        bind = self._bind_id
        return self._locate.with_values(
            sequence=sequence_id if bind is None else bind(sequence_id), position=position
        )

    def items(
        self, sequence_id: object, rows: Sequence[Row], item_class: type[Row]
    ) -> Iterator[Row]:
        """Returns the items that :meth:`read` selected, each made when it is asked for."""
        processors = self._results[1:4] if item_class is tuple else self._results[1:]
        if any(processors):
            rows = [
                tuple(v if p is None else p(v) for p, v in zip(processors, row, strict=True))
                for row in rows
            ]
        whole = map((sequence_id,).__add__, map(tuple, rows))  # a caller's rows may be no tuples
        return whole if item_class is tuple else map(tuple.__new__, repeat(item_class), whole)

    def _select(self, is_ascending: bool, is_brief: bool) -> Query:
        sequence, position = self._columns[:2]
        statement = (
            select(*self._columns[1 : 4 if is_brief else None])
            .where(sequence == bindparam("sequence"))
            .where(position >= bindparam("first"), position <= bindparam("last"))
            .order_by(position if is_ascending else position.desc())
            .limit(bindparam("limit", type_=Integer))
        )
        return compiled(statement, self._dialect)

    @lazy
    def _locate(self) -> Query:
        sequence, position = self._columns[:2]
        statement = select(feed_column(self._table, self._fields)).where(
            sequence == bindparam("sequence"), position == bindparam("position")
        )
        return compiled(statement, self._dialect)

    @lazy
    def _with_nulls(self) -> str:
        values = {
            column.name: null() if at in self._nullable else bindparam(None, type_=column.type)
            for at, column in enumerate(self._columns)
        }
        statement = self._driver.insert_one(self._table, self._columns)
        return self._compiled(statement.values(values))

    @lazy
    def _others(self) -> Callable[[Row], Row]:
        """Returns the values of a row but for those of the columns that may be NULL."""
        return itemgetter(*(at for at in range(len(self._columns)) if at not in self._nullable))

    def _compiled(self, statement: Insert) -> str:
        return self._driver.quicker(str(statement.compile(dialect=self._dialect)), self._dialect)


def _is_small(rows: Sequence[Row]) -> bool:
    """Tells whether rows take little memory, as far as that is seen at once."""
    if len(rows) > MOST_ROWS_KEPT:
        return False
    size = 0
    for row in rows:
        for value in row:
            if isinstance(value, (str, bytes)):
                size += len(value)
            elif value is not None and not isinstance(value, int):
                return False
    return size <= MOST_KEPT


def _bound(bind: Processor | None, values: Row) -> list[Any]:
    """Returns the values as the driver takes them: mostly of one sequence, and so of one id."""
    if bind is None:
        return list(values)
    found = []
    previous = bound = None
    for value in values:
        if value is not previous or value is None:
            previous, bound = value, bind(value)
        found.append(bound)
    return found


def feed_column(table: Table, fields: Sequence[str]) -> Column[Any]:
    """Returns the column that counts the rows of a table.

    Raises:
        ProgrammingError: there is none.
    """
    found = table.autoincrement_column
    if found is None or found.name in fields[:2]:
        raise ProgrammingError(
            f"table {table.fullname!r} has no feed: that needs an integer primary key that the"
            " database counts up"
        )
    return found


def positional(dialect: Dialect) -> Dialect:
    """Returns a dialect that writes parameters in order, which costs drivers the least."""
    style = "qmark" if dialect.paramstyle == "qmark" else "format"
    make: Any = type(dialect)
    positional: Dialect = make(paramstyle=style)
    positional.server_version_info = getattr(dialect, "server_version_info", None)
    return positional
