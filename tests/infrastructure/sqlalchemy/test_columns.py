"""Items of a table with columns of several types come back as they were, alone and in a batch."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.types import UserDefinedType

from eventsourcing.exceptions import ValueTooLarge
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.tables import OriginatorId
from tests.backends import Backend

VALUES: dict[str, tuple[Any, list[Any]]] = {
    "text": (Text(), ["", 'a "quoted"\\ {text}, NULL\n', "ä\U0001f600", None]),
    "short": (String(8), ["12345678", "äöüß\U0001f600", None]),
    "small": (SmallInteger(), [0, -1, 2**15 - 1, None]),
    "number": (Integer(), [0, -(2**31), 2**15, None]),
    "large": (BigInteger(), [0, -(2**63), 2**31, 2**63 - 1, None]),
    "flag": (Boolean(), [True, False, None]),
    "price": (Numeric(10, 2), [Decimal("12.34"), Decimal("-0.01"), None]),
    "ratio": (Float(53), [0.5, -1.5, None]),
    "bytes": (LargeBinary(), [b"", b"\x00\xff'\\", None]),
    "day": (Date(), [date(2026, 1, 31), None]),
    "uuid": (Uuid(), [uuid4(), None]),
    "json": (JSON(none_as_null=True), [{"a": [1, "x"]}, None]),
}


class Item(NamedTuple):
    sequence_id: UUID | str | int
    position: int
    value: Any


def record_manager(
    backend: Backend, *columns: Column[Any], item_class: type[tuple[Any, ...]] = Item
) -> SQLAlchemyRecordManager:
    """Return one of a new table with these columns after those of the position."""
    table = Table(
        "typed_items",
        MetaData(),
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("sequence_id", OriginatorId, nullable=False),
        Column("position", BigInteger, nullable=False),
        *columns,
        UniqueConstraint("sequence_id", "position"),
    )
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=backend.uri))
    manager = SQLAlchemyRecordManager(datastore, table, item_class)
    manager.setup_table()
    return manager


@pytest.fixture(params=VALUES)
def column(request: pytest.FixtureRequest) -> tuple[Any, list[Any]]:
    """A type, and values of it."""
    return VALUES[request.param]


@pytest.fixture
def manager(
    sql_backend: Backend, column: tuple[Any, list[Any]]
) -> Iterator[SQLAlchemyRecordManager]:
    manager = record_manager(sql_backend, Column("value", column[0]))
    yield manager
    manager.close()


def test_items_recorded_one_by_one_come_back(
    manager: SQLAlchemyRecordManager, column: tuple[Any, list[Any]]
) -> None:
    given = [Item("s", n, value) for n, value in enumerate(column[1])]
    for item in given:
        manager.record([item])
    assert list(manager.get_items("s")) == given


def test_a_batch_comes_back(
    manager: SQLAlchemyRecordManager, column: tuple[Any, list[Any]]
) -> None:
    given = [Item("s", n, value) for n, value in enumerate(column[1])]
    manager.record(given)
    assert list(manager.get_items("s")) == given


def test_a_batch_without_any_value_comes_back(manager: SQLAlchemyRecordManager) -> None:
    given = [Item("s", n, None) for n in range(3)]
    manager.record(given)
    assert list(manager.get_items("s")) == given


def test_each_item_of_a_batch_has_the_id_of_its_own_sequence(sql_backend: Backend) -> None:
    manager = record_manager(sql_backend, Column("value", Text()))
    ids: list[UUID | str | int] = [5, 5, "5", uuid4(), 5]
    manager.record([Item(sequence_id, n, "x") for n, sequence_id in enumerate(ids)])
    found = [[item[1] for item in manager.get_items(i)] for i in (5, "5", ids[3])]
    manager.close()
    assert found == [[0, 1, 4], [2], [3]]


@pytest.mark.parametrize("count", [1, 2])
def test_a_text_is_never_cut(postgresql: Backend, count: int) -> None:
    manager = record_manager(postgresql, Column("value", String(8)))
    with pytest.raises(ValueTooLarge):
        manager.record([Item("s", n, "123456789") for n in range(count)])
    assert list(manager.get_items("s")) == []
    manager.close()


class Wide(NamedTuple):
    sequence_id: UUID | str | int
    position: int
    topic: str
    state: str
    shown: str | None
    filled: str | None


class Filled(UserDefinedType[str]):
    """Has the database store something else for NULL."""

    cache_ok = True

    def get_col_spec(self, **kwargs: Any) -> str:
        return "VARCHAR(9)"

    def bind_expression(self, bindvalue: Any) -> Any:
        return func.coalesce(bindvalue, text("'nothing'"))


@pytest.mark.parametrize("count", [1, 2])
def test_a_value_that_is_none_is_null_and_not_what_the_column_has_by_default(
    sql_backend: Backend, count: int
) -> None:
    texts = [Column(name, String(9)) for name in ("topic", "state", "filled")]
    manager = record_manager(
        sql_backend, *texts, Column("shown", String(9), server_default="default"), item_class=Wide
    )
    given = [Wide("s", n, "t", "{}", None, None) for n in range(count)]

    manager.record(given)

    assert list(manager.get_items("s")) == given
    manager.close()


class Decorated(TypeDecorator[str]):
    """Is filled on SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return Filled()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "filled",
    [Filled(), String(9).with_variant(Filled(), "sqlite"), Decorated(9)],
    ids=["itself", "variant", "decorated"],
)
def test_what_a_type_has_the_database_do_is_done_to_none_too(
    sqlite_file: Backend, count: int, filled: Any
) -> None:
    texts = [Column(name, String(9)) for name in ("topic", "state", "shown")]
    manager = record_manager(sqlite_file, *texts, Column("filled", filled), item_class=Wide)

    manager.record([Wide("s", n, "t", "{}", None, None) for n in range(count)])

    assert [item[4:] for item in manager.get_items("s")] == [(None, "nothing")] * count
    manager.close()
