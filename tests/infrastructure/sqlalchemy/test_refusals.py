"""What a database refuses, and says why."""

import pytest
from sqlalchemy import String

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ProgrammingError,
    ReadOnlyDatabase,
    TableNotFound,
    ValueTooLarge,
)
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    application_on,
    engine_of,
    run,
    saved_note,
    stored,
    table_with,
)

# -- read-only ---------------------------------------------------------------------------


def read_only_uri(backend: Backend) -> str:
    """Return the URI by which the database can be read, and not written."""
    assert backend.uri
    if backend.name == "sqlite":
        return f"{backend.uri.replace('sqlite:///', 'sqlite:///file:')}?mode=ro"
    return f"{backend.uri}?options=-c%20default_transaction_read_only%3Don"


@pytest.mark.parametrize("name", ["sqlite_file", "postgresql"])
def test_a_database_that_takes_no_writes_can_be_read(
    name: str, request: pytest.FixtureRequest
) -> None:
    backend: Backend = request.getfixturevalue(name)
    with application(backend) as app:
        note = saved_note(app)

        with application(backend, uri=read_only_uri(backend)) as reader:
            copy = reader.repository.get(note.id, Note)
            copy.edit("second")
            with pytest.raises(ReadOnlyDatabase):
                reader.save(copy)

    assert stored(backend) == 1


def test_a_read_only_file_that_is_not_in_wal_mode_can_be_read(sqlite_file: Backend) -> None:
    with application(sqlite_file, sqlite_journal_mode="DELETE") as app:
        note = saved_note(app)

    with application(sqlite_file, uri=read_only_uri(sqlite_file)) as reader:
        assert reader.repository.get(note.id, Note).text == "first"


def test_a_read_only_mariadb_can_be_read(mariadb: Backend) -> None:
    with application(mariadb) as app:
        note = saved_note(app)
    user, password = "reader_of_tests", "secret"
    run(mariadb, f"CREATE OR REPLACE USER {user}@'%%' IDENTIFIED BY '{password}'")
    run(
        mariadb,
        f"GRANT SELECT, INSERT ON `{mariadb.connect_arguments['database']}`.* TO {user}@'%%'",
    )
    settings = SQLAlchemySettings(uri=mariadb.uri)
    uri = settings.url.set(username=user, password=password).render_as_string(hide_password=False)

    run(mariadb, "SET GLOBAL read_only = ON")
    try:
        with application(mariadb, uri=uri) as reader:
            copy = reader.repository.get(note.id, Note)
            copy.edit("second")
            with pytest.raises(ReadOnlyDatabase):
                reader.save(copy)
    finally:
        run(mariadb, "SET GLOBAL read_only = OFF")
        run(mariadb, f"DROP USER {user}@'%%'")
    assert stored(mariadb) == 1


def test_a_read_only_transaction_of_the_callers_is_told(server_backend: Backend) -> None:
    application(server_backend).close()
    with engine_of(server_backend) as engine, engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.commit()
        if server_backend.name == "mariadb":
            connection.exec_driver_sql("START TRANSACTION READ ONLY")
        else:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        with (
            SimpleApplication(session=connection, setup_table=False) as app,
            pytest.raises(ReadOnlyDatabase),
        ):
            saved_note(app)
        connection.rollback()


# -- tables ------------------------------------------------------------------------------


def test_a_missing_table_is_named_with_the_ways_to_create_it(sql_backend: Backend) -> None:
    with application(sql_backend, setup_table=False) as app:
        with pytest.raises(TableNotFound, match=r"stored_events.*setup_table=True.*migration"):
            saved_note(app)
        with pytest.raises(TableNotFound):
            app.repository.get("x", Note)


def test_a_missing_column_is_named_with_the_ways_to_create_it(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        note = saved_note(app)
        run(sql_backend, "ALTER TABLE stored_events DROP COLUMN causation_id")

        with pytest.raises(TableNotFound, match=r"causation_id.*migration"):
            saved_note(app)
        with pytest.raises(TableNotFound, match="causation_id"):
            app.repository.get(note.id, Note)


def test_a_missing_schema_is_a_missing_table(sql_backend: Backend) -> None:
    settings = SQLAlchemySettings(uri=sql_backend.uri)
    with (
        SimpleApplication(settings=settings, schema="nowhere", setup_table=False) as app,
        pytest.raises(TableNotFound, match="nowhere"),
    ):
        saved_note(app)


# -- size --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_a_value_that_is_too_long_for_its_column_is_refused_and_not_cut(
    server_backend: Backend, count: int
) -> None:
    with application_on(table_with(state=String(300)), server_backend) as app:
        note = saved_note(app)
        for _ in range(count - 1):
            note.edit("short")
        note.edit("x" * 1000)

        with pytest.raises(ValueTooLarge):
            app.save(note)

        assert stored(server_backend, "mine") == 1


@pytest.mark.parametrize("kind", ["own", "engine", "session"])
def test_a_server_that_cuts_values_is_not_written_to(mariadb: Backend, kind: str) -> None:
    table = table_with(state=String(300))
    run(mariadb, "SET GLOBAL sql_mode = ''")
    try:
        with engine_of(mariadb) as engine, engine.connect() as connection:
            datastore = {
                "own": lambda: SQLAlchemyDatastore(SQLAlchemySettings(uri=mariadb.uri)),
                "engine": lambda: SQLAlchemyDatastore(engine=engine),
                "session": lambda: SQLAlchemyDatastore(session=connection),
            }[kind]()
            manager = SQLAlchemyRecordManager(datastore, table)
            manager.setup_table()
            expected = ValueTooLarge if kind == "own" else ProgrammingError
            with SimpleApplication(record_manager=manager) as app, pytest.raises(expected):
                saved_note(app, "x" * 1000)
            connection.commit()
    finally:
        run(mariadb, "SET GLOBAL sql_mode = DEFAULT")
    assert stored(mariadb, "mine") == 0
