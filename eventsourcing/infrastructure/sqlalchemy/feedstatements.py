"""The SQL that reads the feed, compiled once for a table and a dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    or_,
    select,
)

from eventsourcing.exceptions import DataIntegrityError, InvalidOriginatorID
from eventsourcing.infrastructure.feed import FeedBounds, FeedPage
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.statements import (
    Query,
    compiled,
    feed_column,
    positional,
)
from eventsourcing.utils.lazy import lazy

__all__ = ["NO_TOPIC", "FeedStatements"]

NO_TOPIC = ""
"""The topic of a row that closes a gap (docs: explanation/feed)."""

Row: TypeAlias = Sequence[Any]

_LIMIT = bindparam("limit", type_=Integer)


class FeedStatements:
    """Selects items from one table, in the order of the column that counts its rows.

    Args:
        table: has a column for each field of the item class.
        fields: the item class's fields.
        dialect, driver: of the database.

    Raises:
        ProgrammingError: the table has no such column.
    """

    def __init__(
        self, table: Table, fields: Sequence[str], dialect: Dialect, driver: Driver
    ) -> None:
        self.table = table
        self.fields = tuple(fields)
        self.column = feed_column(table, fields)
        self._driver = driver
        self._dialect = positional(dialect)
        self._columns: list[Column[Any]] = [table.c[name] for name in fields]
        types = [column.type.dialect_impl(self._dialect) for column in self._columns]
        self._bind_id = types[0].bind_processor(self._dialect)
        self._results = [
            each.result_processor(self._dialect, driver.type_code(each)) for each in types
        ]
        self._selects: dict[tuple[bool, int, bool], Query] = {}
        self.greatest = self.compile(select(func.max(self.column)))
        self.count = self.compile(select(func.count()).where(self._is_between()))
        self.numbers = self.compile(
            select(self.column).where(self._is_between()).order_by(self.column).limit(_LIMIT)
        )

    def incomplete(self, after: Row | None, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Returns the SQL and parameters that select the sequences whose positions are not 0, 1, 2
        and so on, by their ids: see :meth:`sequences`.

        Args:
            after: the last row of the page before.
        """
        query = self._incomplete if after is None else self._incomplete_after
        return query.with_values(limit=limit, after=None if after is None else after[0])

    def disordered(self, after: Row | None, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Returns the SQL and parameters that select sequence and position of the items that the
        feed has before their predecessor, in its order: see :meth:`incomplete`.
        """
        query = self._disordered if after is None else self._disordered_after
        return query.with_values(limit=limit, after=None if after is None else after[2])

    def sequences(self, rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
        """Yields rows that begin with the id of a sequence, but for those whose id is none."""
        process = self._results[0]
        for key, *rest in rows:
            with suppress(InvalidOriginatorID):
                yield (key if process is None else process(key), *rest)

    def read(self, bounds: FeedBounds, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Returns the SQL and parameters that select at most ``limit`` items: see :meth:`items`."""
        topics = sorted(bounds.topics or ())
        key = (bounds.is_ascending, len(topics), bounds.sequence_id is not None)
        query = self._selects.get(key)
        if query is None:
            query = self._selects[key] = self.compile(self._select(*key))
        bind, sequence = self._bind_id, bounds.sequence_id
        return query.with_values(
            first=bounds.first,
            last=bounds.last,
            limit=limit,
            sequence=sequence if bind is None or sequence is None else bind(sequence),
            **{f"topic{i}": topic for i, topic in enumerate(topics)},
        )

    def items(self, rows: Sequence[Row]) -> Iterator[FeedPage]:
        """Yields the positions and items of what :meth:`read` selected: all at once, or what comes
        before an error.

        Raises:
            DataIntegrityError: the id of an item's sequence cannot be read.
        """
        if not rows:
            return
        positions, stored, *others = zip(*rows, strict=True)  # by columns, which is quicker
        values = [
            column if each is None else [*map(each, column)]
            for each, column in zip(self._results[1:], others, strict=True)
        ]
        process = self._results[0]
        ids: list[Any] = [*stored] if process is None else []
        try:
            if process is not None:
                id_of = _Ids(process)
                for each in stored:
                    ids.append(id_of[each])
        except InvalidOriginatorID as error:
            until = len(ids)
            yield FeedPage(positions[:until], [*zip(ids, *values, strict=False)])
            raise DataIntegrityError(
                f"position {positions[until]} of the feed: {error}",
                originator_version=values[0][until],
                position=positions[until],
            ) from error
        yield FeedPage(positions, [*zip(ids, *values, strict=True)])

    def compile(self, statement: Any) -> Query:
        """Returns the statement as the driver takes it."""
        return compiled(statement, self._dialect)

    def _select(self, is_ascending: bool, topics: int, is_of_sequence: bool) -> Select[Any]:
        sequence, _, topic = self._columns[:3]
        statement = select(self.column, *self._columns).where(self._is_between())
        if topics:
            names = [bindparam(f"topic{i}", type_=topic.type) for i in range(topics)]
            statement = statement.where(topic.in_(names))
        else:
            statement = statement.where(*self._are_items(topic))
        if is_of_sequence:
            bound = bindparam("sequence", type_=sequence.type)
            statement = statement.where(sequence == bound)
        order = self.column if is_ascending else self.column.desc()
        return statement.order_by(order).limit(_LIMIT)

    @lazy
    def _incomplete(self) -> Query:
        return self.compile(self._select_incomplete())

    @lazy
    def _incomplete_after(self) -> Query:
        sequence = self._columns[0]
        after = bindparam("after", type_=sequence.type)
        return self.compile(self._select_incomplete().where(sequence > after))

    def _select_incomplete(self) -> Select[Any]:
        sequence, position, topic = self._columns[:3]
        lowest, highest = func.min(position), func.max(position)
        is_wrong = or_(lowest != 0, highest != func.count() - 1)
        statement = select(sequence).where(*self._are_items(topic)).group_by(sequence)
        return statement.having(is_wrong).order_by(sequence).limit(_LIMIT)

    @lazy
    def _disordered(self) -> Query:
        return self.compile(self._select_disordered(()))

    @lazy
    def _disordered_after(self) -> Query:
        return self.compile(self._select_disordered((bindparam("after", type_=BigInteger),)))

    def _select_disordered(self, behind: Sequence[Any]) -> Select[Any]:
        before, after = self.table.alias("b"), self.table.alias("a")
        sequence, position, topic = (column.name for column in self._columns[:3])
        number = after.c[self.column.name]
        columns = [after.c[sequence], after.c[position], number]
        return (
            select(*columns)
            .where(
                after.c[sequence] == before.c[sequence],
                before.c[position] == after.c[position] - 1,  # so each is found by the key
                number < before.c[self.column.name],
                *(number > each for each in behind),
                *self._are_items(after.c[topic]),
            )
            .order_by(number)
            .limit(_LIMIT)
        )

    def _are_items(self, topic: Any) -> Sequence[Any]:
        """Returns the conditions by which rows are none that close gaps, where there are such."""
        none = bindparam("none", NO_TOPIC, type_=topic.type)
        return (topic != none,) if self._driver.fences_gaps else ()

    def _is_between(self) -> Any:
        return self.column.between(
            bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)
        )


class _Ids(dict[Any, Any]):
    """The ids of sequences by what is stored of them: many rows of a page have the same."""

    def __init__(self, process: Callable[[Any], Any]) -> None:
        self._process = process

    def __missing__(self, stored: Any) -> Any:
        found = self[stored] = self._process(stored)
        return found
