"""Names of tables and schemas, setting them up, and migrations."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, DefaultClause, Index, MetaData, String, Table, Text, inspect

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    ProgrammingError,
    SequencedItemConflict,
    TableNotFound,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.records import Base
from eventsourcing.infrastructure.sqlalchemy.subjectkeys import subject_keys_table
from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    engine_of,
    engine_with_schema,
    in_threads,
    run,
    saved_note,
    stored,
    table_with,
)

AT_ONCE = 8
ROOT = Path(__file__).parents[3]


# -- names -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["order", "select", "values", "Mixed_Case", "_1", "x" * 63])
def test_a_table_may_have_any_plain_name(sql_backend: Backend, name: str) -> None:
    with SimpleApplication(uri=sql_backend.uri, table_name=name) as app:
        note = saved_note(app)
        rival = app.repository.get(note.id, Note)
        note.edit("second")
        note.edit("third")
        app.save(note)
        rival.edit("rival")
        with pytest.raises(ConcurrencyError):
            app.save(rival)

        assert app.repository.get(note.id, Note).text == "third"
    quote = "`" if sql_backend.name == "mariadb" else '"'
    assert stored(sql_backend, f"{quote}{name}{quote}") == 3


@pytest.mark.parametrize("schema", ["events", "order", "Mixed_Case"])
def test_a_schema_is_created_and_used(server_backend: Backend, schema: str) -> None:
    schema = f"{schema}_of_tests" if schema == "events" else schema
    quote = "`" if server_backend.name == "mariadb" else '"'
    quoted = f"{quote}{schema}{quote}"
    try:
        with SimpleApplication(uri=server_backend.uri, schema=schema) as app:
            note = saved_note(app)
            assert app.repository.get(note.id, Note).text == "first"
        assert stored(server_backend, f"{quoted}.stored_events") == 1
    finally:
        cascade = "CASCADE" if server_backend.name == "postgresql" else ""
        run(server_backend, f"DROP SCHEMA IF EXISTS {quoted} {cascade}")


def test_a_schema_of_sqlite_is_an_attached_file(sqlite_file: Backend, tmp_path: Path) -> None:
    with engine_with_schema(sqlite_file, "other", tmp_path / "other.db") as engine:
        with SimpleApplication(engine=engine, schema="other") as app:
            note = saved_note(app)
            assert app.repository.get(note.id, Note).text == "first"
        assert inspect(engine).get_table_names(schema="other") == ["stored_events"]


def test_what_belongs_to_a_table_is_in_its_schema(sqlite_file: Backend, tmp_path: Path) -> None:
    with engine_with_schema(sqlite_file, "other", tmp_path / "other.db") as engine:
        table = stored_events_table(schema="other")
        manager = SQLAlchemyRecordManager(SQLAlchemyDatastore(engine=engine), table)
        manager.setup_table()
        manager.snapshots(setup_table=False)
        names = [*inspect(engine).get_table_names(schema="other")]
        manager.snapshots()
        manager.subject_keys().add("Ann", "key")
        names += inspect(engine).get_table_names(schema="other")
        manager.close()
    assert names == ["stored_events", "stored_events", "stored_snapshots", "subject_keys"]


def test_a_table_of_keys_is_named_after_that_of_the_events() -> None:
    names = ["stored_events", "bank_events", "e" * 62 + "a", "e" * 62 + "b"]
    made = [subject_keys_table(name, "other").fullname for name in names]
    assert made[:2] == ["other.subject_keys", "other.bank_events_subject_keys"]
    assert (len(set(made)), {len(name) for name in made[2:]}) == (4, {len("other.") + 63})
    with pytest.raises(ProgrammingError, match="table name must be"):
        subject_keys_table("a-b")


@pytest.mark.parametrize(
    "name", ["", "1st", "a-b", "a b", 'a"; DROP TABLE x', "a`b", "größe", "x" * 64, "a\n", None, 7]
)
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(ProgrammingError, match="table name must be"):
        SimpleApplication(uri="sqlite://", table_name=name)
    if name is not None:
        with pytest.raises(ProgrammingError, match="schema name must be"):
            SimpleApplication(uri="sqlite://", schema=name)


# -- setting up --------------------------------------------------------------------------


def test_threads_set_up_one_table_at_once(sql_backend: Backend) -> None:
    schema = None if sql_backend.name == "sqlite" else "setup_of_tests"
    options: dict[str, Any] = {"schema": schema}
    if schema:
        run(sql_backend, f"DROP SCHEMA IF EXISTS {schema}")

    with ExitStack() as stack:
        found = in_threads(*[lambda: SimpleApplication(uri=sql_backend.uri, **options)] * AT_ONCE)
        for app in found:
            if isinstance(app, SimpleApplication):
                stack.callback(app.close)
        assert [type(app) for app in found] == [SimpleApplication] * AT_ONCE
        saved_note(found[0])
    if schema:
        cascade = "CASCADE" if sql_backend.name == "postgresql" else ""
        run(sql_backend, f"DROP SCHEMA {schema} {cascade}")


def test_processes_set_up_one_table_at_once(sql_backend: Backend) -> None:
    program = (
        "import sys; from eventsourcing.application.simple import SimpleApplication;"
        "print('ready', flush=True); sys.stdin.readline();"
        "SimpleApplication(uri=sys.argv[1]).close()"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(sql_backend.uri)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen(command, text=True, cwd=ROOT, **pipes) for _ in range(AT_ONCE)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()

    errors = [process.communicate()[1] for process in processes]

    assert errors == [""] * AT_ONCE
    with application(sql_backend, setup_table=False) as app:
        saved_note(app)


def test_setting_up_leaves_what_is_there(sql_backend: Backend) -> None:
    for _ in range(2):
        with application(sql_backend) as app:
            saved_note(app)

    assert stored(sql_backend) == 2


def test_a_unique_index_is_created_with_its_table(sql_backend: Backend) -> None:
    indexed = table_with()
    (constraint,) = (c for c in indexed.constraints if c.name == "mine_key")
    indexed.constraints.remove(constraint)
    Index("mine_index", indexed.c.originator_id, indexed.c.originator_version, unique=True)
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sql_backend.uri))
    manager = SQLAlchemyRecordManager(datastore, indexed)
    manager.setup_table()
    item = StoredEvent("a", 0, "t", "s", "1")
    manager.record([item])

    with pytest.raises(SequencedItemConflict):
        manager.record([item])

    manager.close()


def test_a_table_without_a_key_for_positions_is_refused() -> None:
    table = Table("t", MetaData(), *(Column(name, Text) for name in StoredEvent._fields))
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))

    with pytest.raises(ProgrammingError) as caught:
        SQLAlchemyRecordManager(datastore, table)

    assert str(caught.value) == (
        "table 't' needs a unique constraint over originator_id, originator_version:"
        " without it, two savers could take the same position"
    )


def test_a_mapped_class_stands_for_its_table() -> None:
    class Mapped:
        __table__ = stored_events_table("mapped")

    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))

    assert SQLAlchemyRecordManager(datastore, Mapped).table is Mapped.__table__


def test_the_table_of_keys_is_not_created_where_that_is_not_wanted() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))
    keys = SQLAlchemyRecordManager(datastore).subject_keys(creates_table=False)

    with pytest.raises(TableNotFound):
        keys.add("s", "key")

    datastore.close()


def test_a_class_that_is_mapped_to_nothing_is_no_table() -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))

    with pytest.raises(ProgrammingError, match="takes a Table or a mapped class, not <class 'int"):
        SQLAlchemyRecordManager(datastore, int)


def test_a_table_without_a_field_is_refused() -> None:
    table = Table("t", MetaData(), Column("originator_id", String(9), primary_key=True))
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri="sqlite://"))

    with pytest.raises(ProgrammingError, match="no column 'originator_version'"):
        SQLAlchemyRecordManager(datastore, table)


def test_a_table_can_be_dropped_and_dropped_again(sql_backend: Backend) -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sql_backend.uri))
    table = stored_events_table()
    datastore.setup_table(table)

    datastore.drop_table(table)
    datastore.drop_table(table)

    with engine_of(sql_backend) as engine:
        assert inspect(engine).get_table_names() == []
    datastore.close()


# -- migrations --------------------------------------------------------------------------


def differences(backend: Backend, metadata: MetaData, schema: str | None = None) -> list[Any]:
    """Return what ``alembic revision --autogenerate`` would write down."""
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": schema is not None,
        "include_name": lambda name, kind, parents: kind != "schema" or name == schema,
    }
    with engine_of(backend) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))


def test_alembic_finds_nothing_to_migrate(sql_backend: Backend) -> None:
    policy = SnapshottingPolicy()
    SimpleApplication(uri=sql_backend.uri, snapshotting_policy=policy).close()

    assert differences(sql_backend, Base.metadata) == []


@pytest.mark.parametrize("name", ["order", "Mixed_Case", "x" * 63])
def test_alembic_finds_nothing_to_migrate_in_a_table_of_another_name(
    sql_backend: Backend, name: str
) -> None:
    metadata = MetaData()
    stored_events_table(name, metadata=metadata)
    SimpleApplication(uri=sql_backend.uri, table_name=name).close()

    assert differences(sql_backend, metadata) == []


def test_alembic_finds_nothing_to_migrate_in_another_schema(server_backend: Backend) -> None:
    schema = "alembic_of_tests"
    metadata = MetaData()
    stored_events_table("mine", schema, metadata)
    try:
        SimpleApplication(uri=server_backend.uri, table_name="mine", schema=schema).close()

        assert differences(server_backend, metadata, schema) == []
    finally:
        cascade = "CASCADE" if server_backend.name == "postgresql" else ""
        run(server_backend, f"DROP SCHEMA {schema} {cascade}")


def test_control_alembic_finds_what_differs(sql_backend: Backend) -> None:
    application(sql_backend).close()
    run(sql_backend, "ALTER TABLE stored_events DROP COLUMN causation_id")
    metadata = MetaData()
    changed = stored_events_table(metadata=metadata)
    changed.c.event_id.type = String(99)
    changed.c.topic.server_default = DefaultClause("x")

    found = differences(sql_backend, metadata)

    changes = [
        change for entry in found for change in (entry if isinstance(entry, list) else [entry])
    ]
    assert {change[0] for change in changes} == {"add_column", "modify_type", "modify_default"}


def test_what_alembic_creates_is_what_the_library_uses(sql_backend: Backend) -> None:
    with engine_of(sql_backend) as engine:
        Base.metadata.create_all(engine)
    with application(sql_backend, setup_table=False) as app:
        saved_note(app)

    assert stored(sql_backend) == 1
