"""The SQL of a record manager, as each driver is given it; no server is asked."""

from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    func,
)
from sqlalchemy.types import UserDefinedType

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.recordmanager import Bounds
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from eventsourcing.infrastructure.sqlalchemy.statements import (
    MOST_KEPT,
    MOST_ROWS_KEPT,
    Statements,
    Write,
    _is_small,
    positional,
)
from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table

PSYCOPG = "postgresql+psycopg"  # which has another statement for the rows of several savers


@pytest.fixture(params=["sqlite", "postgresql", "mysql", "mariadb"])
def datastore(request: pytest.FixtureRequest) -> Iterator[SQLAlchemyDatastore]:
    """Each kind of database, to which nothing connects."""
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=f"{request.param}://"))
    yield datastore
    datastore.close()


@pytest.fixture
def statements(datastore: SQLAlchemyDatastore) -> Statements:
    fields = StoredEvent._fields
    return Statements(stored_events_table(), fields, datastore.dialect, datastore.driver)


def placeholders(datastore: SQLAlchemyDatastore, sql: str) -> int:
    return sql.count("?" if datastore.dialect.name == "sqlite" else "%")


@pytest.mark.parametrize("is_ascending", [True, False])
def test_a_read_has_its_parameters_in_their_order(
    datastore: SQLAlchemyDatastore, statements: Statements, is_ascending: bool
) -> None:
    bounds = Bounds(gte=1, lt=9, is_ascending=is_ascending)

    sql, parameters = statements.read("s", bounds, 5, StoredEvent)

    assert parameters[:4] == ("s", 1, 8, 5)
    assert placeholders(datastore, sql) == len(parameters)
    assert (" DESC" in sql) is not is_ascending


def test_a_limit_is_a_number_to_postgresql(
    datastore: SQLAlchemyDatastore, statements: Statements
) -> None:
    sql, _ = statements.read("s", Bounds(), 5, StoredEvent)

    assert ("%s::INTEGER" in sql.partition("LIMIT")[2]) is (datastore.driver.name == PSYCOPG)


def test_a_brief_read_has_three_columns(statements: Statements) -> None:
    whole, brief = (statements.read("s", Bounds(), 5, c)[0] for c in (StoredEvent, tuple))

    assert [sql.partition("FROM")[0].count(",") for sql in (whole, brief)] == [5, 2]


def test_a_place_is_looked_up_by_its_key(
    datastore: SQLAlchemyDatastore, statements: Statements
) -> None:
    sql, parameters = statements.locate("s", 7)

    assert parameters == ("s", 7)
    assert placeholders(datastore, sql) == 2


def test_a_row_is_inserted_with_a_parameter_for_each_field(
    datastore: SQLAlchemyDatastore, statements: Statements
) -> None:
    item = StoredEvent("s", 0, "topic", "state", "id", "a", "b")

    write = statements.write(statements.rows([item]))

    is_small = datastore.driver.keeps_cursors
    assert write == Write(write.sql, tuple(item), is_small=is_small)
    assert placeholders(datastore, write.sql) == len(item)


TEXT = "x" * (MOST_KEPT // 2)


@pytest.mark.parametrize(
    ("rows", "is_small"),
    [
        ([("s", 0, None, b"", True)], True),
        ([("s", 0)] * MOST_ROWS_KEPT, True),
        ([("s", 0)] * (MOST_ROWS_KEPT + 1), False),
        ([(TEXT, 0, TEXT)], True),
        ([(TEXT, 0), (TEXT.encode(), 1)], True),
        ([(TEXT, 0, TEXT, "x")], False),
        ([(TEXT, 0), (TEXT.encode(), 1), (b"x", 2)], False),
        ([("s", 0, 1.5)], False),
        ([("s", 0, ["x"])], False),
        ([("s", 0), ("s", 1, {"a": 1}), ("s", 2)], False),
    ],
    ids=lambda given: "" if isinstance(given, bool) else repr(given)[:30],
)
def test_a_write_is_small_if_that_is_seen_at_once(rows: list[Any], is_small: bool) -> None:
    assert _is_small(rows) is is_small


@pytest.mark.parametrize("is_shared", [True, False])
def test_the_rows_of_several_are_inserted_by_the_drivers_own_statement(
    datastore: SQLAlchemyDatastore, statements: Statements, is_shared: bool
) -> None:
    driver, table = datastore.driver, stored_events_table()
    columns = [table.c[name] for name in StoredEvent._fields]
    wanted = (driver.insert_shared if is_shared else driver.insert_many)(table, columns)
    rows = [("s", n, "topic", "state", "id", "a", None) for n in range(2)]

    write = statements.write(rows, is_shared)

    assert (statements.write(rows) == write) is (not is_shared or driver.name != PSYCOPG)
    dialect = positional(datastore.dialect)
    assert write.sql == driver.quicker(str(wanted.compile(dialect=dialect)), dialect)
    assert write.many is not driver.takes_columns
    assert write.is_small is driver.keeps_cursors
    assert len(write.parameters) == (7 if driver.takes_columns else 2)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("is_shared", [True, False])
def test_null_is_written_into_the_statement_where_the_driver_would_look_for_an_adapter(
    datastore: SQLAlchemyDatastore, statements: Statements, count: int, is_shared: bool
) -> None:
    given = ("s", 0, "topic", "state", "id")
    adapts = datastore.dialect.name == "sqlite"

    write = statements.write([(*given, None, None)] * count, is_shared)

    assert write.sql.endswith("(?, ?, ?, ?, ?, NULL, NULL)") is adapts
    if adapts:
        assert write.parameters == (given if count == 1 else [given] * count)


@pytest.mark.parametrize(
    "rows",
    [
        [("s", 0, "topic", "state", "id", "a", "b")],
        [("s", 0, "topic", "state", "id", "a", None)],
        [("s", 0, "topic", "state", "id", None, "b")],
        [("s", 0, "topic", "state", "id", None, None), ("s", 1, "topic", "state", "id", "a", None)],
        [("s", 0, "topic", "state", "id", None, None), ("s", 1, "topic", "state", "id", None, "b")],
    ],
    ids=lambda rows: repr([row[5:] for row in rows]),
)
def test_no_value_is_taken_for_null(
    datastore: SQLAlchemyDatastore, statements: Statements, rows: list[Any]
) -> None:
    write = statements.write(rows)

    assert "NULL" not in write.sql.replace("IS NOT NULL", "")
    if not datastore.driver.takes_columns:
        assert write.parameters == (rows if len(rows) > 1 else rows[0])


def test_a_manager_writes_the_rows_of_several_only_where_it_is_told_so(
    datastore: SQLAlchemyDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = SQLAlchemyRecordManager(datastore)
    writes: list[Write] = []
    monkeypatch.setattr(datastore, "execute", lambda write, work: writes.append(write))
    rows = [("s", n, "topic", "state", "id", None, None) for n in range(2)]

    manager._write(rows)
    manager._write(rows, True)

    assert writes == [manager._statements.write(rows, is_shared) for is_shared in (False, True)]


def test_a_manager_announces_the_saves_of_its_table() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="postgresql://", notify=True))
    manager = SQLAlchemyRecordManager(datastore, stored_events_table("mine"))
    announcements: Any = manager.announcements
    manager.close()

    assert announcements._datastore is datastore
    assert announcements._channel == "eventsourcing.mine"


def test_a_dialect_with_parameters_in_order_is_of_the_same_version(
    datastore: SQLAlchemyDatastore,
) -> None:
    dialect: Any = datastore.dialect
    dialect.server_version_info = (9, 8)

    made = positional(dialect)

    assert made is not dialect
    assert made.server_version_info == (9, 8)
    assert made.paramstyle == ("qmark" if dialect.name == "sqlite" else "format")


def test_a_dialect_of_no_version_yet_has_none() -> None:
    class New:
        def __init__(self, paramstyle: str = "qmark") -> None:
            self.paramstyle = paramstyle

    dialect: Any = New()

    assert positional(dialect).server_version_info is None


def test_a_table_that_counts_nothing_has_no_feed(datastore: SQLAlchemyDatastore) -> None:
    table = Table(
        "mine",
        MetaData(),
        Column("sequence_id", String(9)),
        Column("position", BigInteger, primary_key=True),
        Column("topic", String(9)),
        Column("state", String(9)),
        UniqueConstraint("sequence_id", "position"),
    )
    manager = SQLAlchemyRecordManager(datastore, table, SequencedItem)

    with pytest.raises(ProgrammingError) as caught:
        manager.feed_position("s", 0)

    assert str(caught.value) == (
        "table 'mine' has no feed: that needs an integer primary key that the database counts up"
    )


# -- rows of a driver that has no way of its own ---------------------------------------------


@pytest.mark.parametrize("batches", [True, False])
def test_rows_go_to_the_driver_at_once_or_one_by_one(batches: bool) -> None:
    calls: list[tuple[Any, ...]] = []
    cursor = SimpleNamespace(
        execute=lambda *given: calls.append(given),
        executemany=lambda *given: calls.append(("many", *given)),
    )
    driver = Driver()
    driver.batches = batches

    driver.insert_rows(cursor, Write("SQL", [(1,), (2,)], many=True))

    one_by_one = [("SQL", (1,)), ("SQL", (2,))]
    assert calls == ([("many", "SQL", [(1,), (2,)])] if batches else one_by_one)


@pytest.mark.parametrize("batches", [True, False])
def test_a_write_in_an_open_transaction_inserts_all_rows(batches: bool) -> None:
    calls: list[tuple[Any, ...]] = []
    connection: Any = SimpleNamespace(exec_driver_sql=lambda *given: calls.append(given))

    Write("SQL", [(1,), (2,)], many=True).execute_on(connection, batches)
    Write("SQL", (3,)).execute_on(connection, batches)

    several = [("SQL", [(1,), (2,)])] if batches else [("SQL", (1,)), ("SQL", (2,))]
    assert calls == [*several, ("SQL", (3,))]


def test_what_a_driver_needs_not_do_is_nothing() -> None:
    write = Write("SQL", (1,))
    engine, cursor = create_engine("sqlite://"), object()

    assert SQLiteDriver().prepare(engine, cursor, write) is write
    assert Driver().quicker("SQL", engine.dialect) == "SQL"
    assert Driver().message(ValueError("said")) == "said"
    assert Driver().message(ValueError()) == "ValueError"
    assert not Driver().is_in_memory(engine.url)
    assert not Driver().reads_ahead(engine.dialect)
    assert Driver().doubtful == set()
    assert Driver().complete(engine.url) is engine.url
    assert not Driver().is_autocommit(object())


def test_an_insert_is_of_the_columns_in_the_order_of_the_fields() -> None:
    table = Table("t", MetaData(), Column("b", Integer), Column("a", Integer), schema="s")

    made = Driver().insert_one(table, [table.c.a, table.c.b])

    assert str(made) == "INSERT INTO s.t (a, b) VALUES (:a, :b)"


# -- columns of other types ------------------------------------------------------------------


class Marked(TypeDecorator[str]):
    """Shows what it was given to the database, and what it gave back."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return f"<{value}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return f"{value}>"


class Lowered(UserDefinedType[str]):
    """Has the database change its values."""

    def bind_expression(self, bindvalue: Any) -> Any:
        return func.lower(bindvalue)


def statements_of(**types: Any) -> Statements:
    """Returns those of a table in SQLite with columns of these types, or of plain texts."""
    columns = [Column(name, types.get(name, String(9))) for name in StoredEvent._fields]
    table = Table("t", MetaData(), Column("n", Integer, primary_key=True), *columns)
    dialect = create_engine("sqlite://").dialect
    return Statements(table, StoredEvent._fields, dialect, SQLiteDriver())


ITEM = StoredEvent("s", 0, "topic", "state", "id", "a", "b")


def test_an_id_that_is_a_plain_text_is_given_to_the_driver_as_it_is() -> None:
    statements = statements_of()

    assert statements.rows([ITEM]) == (tuple(ITEM),)
    assert statements.read("s", Bounds(), 5, StoredEvent)[1][0] == "s"
    assert statements.locate("s", 0)[1] == ("s", 0)


@pytest.mark.parametrize("name", StoredEvent._fields)
def test_the_type_of_each_column_is_asked_for_what_to_store(name: str) -> None:
    statements = statements_of(**{name: Marked()})
    given: dict[str, Any] = {name: f"<{getattr(ITEM, name)}"}
    expected = tuple(ITEM._replace(**given))

    assert [*statements.rows([ITEM])] == [expected]
    assert statements.rows([ITEM, ITEM]) == [expected, expected]


@pytest.mark.parametrize("topic", ["", None])
def test_a_type_is_asked_about_what_is_empty_too(topic: Any) -> None:
    statements = statements_of(topic=Marked())
    items = [ITEM._replace(topic=topic), ITEM, ITEM]

    rows = statements.rows(items)

    assert [row[2] for row in rows] == [f"<{topic}", "<topic", "<topic"]


@pytest.mark.parametrize("name", StoredEvent._fields[1:])
def test_the_type_of_each_column_is_asked_for_what_was_stored(name: str) -> None:
    statements = statements_of(**{name: Marked()})
    given: dict[str, Any] = {name: f"{getattr(ITEM, name)}>"}
    expected = ITEM._replace(**given)

    assert [*statements.items("s", [ITEM[1:]], StoredEvent)] == [expected]
    assert [*statements.items("s", [ITEM[1:4]], tuple)] == [expected[:4]]


def test_a_driver_tells_a_type_by_its_own_name_for_it(datastore: SQLAlchemyDatastore) -> None:
    columns = [Column(name, Numeric(9, 2)) for name in StoredEvent._fields]
    table = Table("t", MetaData(), *columns)
    price = Decimal("1.50")

    made = Statements(table, StoredEvent._fields, datastore.dialect, datastore.driver)

    assert [*made.items("s", [(price, price, price)], tuple)] == [("s", price, price, price)]


def test_a_type_may_have_the_database_change_what_is_inserted() -> None:
    table = Table("t", MetaData(), Column("a", Lowered()))

    assert str(Driver().insert_one(table, [table.c.a])) == "INSERT INTO t (a) VALUES (lower(:a))"
