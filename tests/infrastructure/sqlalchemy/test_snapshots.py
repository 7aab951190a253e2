"""Snapshots in tables, in transactions of the caller's, and in the metadata."""

import logging
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import TableNotFound
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from tests.backends import Backend
from tests.contracts.model import Account
from tests.contracts.timetravel import account_with

EVERY_10 = SnapshottingPolicy(every=10)


def count(backend: Backend, table: str = "stored_snapshots") -> int:
    """Return how many snapshots others see."""
    connection = backend.connect()
    try:
        cursor = connection.cursor()
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])
    finally:
        connection.close()


@pytest.fixture
def engine(sql_backend: Backend) -> Any:
    assert sql_backend.uri is not None
    engine = sa.create_engine(SQLAlchemySettings(uri=sql_backend.uri).url)
    yield engine
    engine.dispose()


def test_they_outlive_the_application(sql_backend: Backend) -> None:
    with SimpleApplication(uri=sql_backend.uri, snapshotting_policy=EVERY_10) as app:
        account = account_with(deposits=20)
        app.repository[account.id]
    with SimpleApplication(uri=sql_backend.uri, snapshotting_policy=EVERY_10) as app:
        assert app.repository.get(account.id, Account).balance == 20
    assert count(sql_backend) == 1


def test_a_load_in_a_callers_transaction_reads_them_and_takes_none(
    sql_backend: Backend, engine: sa.Engine
) -> None:
    with SimpleApplication(uri=sql_backend.uri, snapshotting_policy=EVERY_10):
        account = account_with(deposits=20)
    with Session(engine) as session:
        app = SimpleApplication(session=session, snapshotting_policy=EVERY_10)
        assert app.repository.get(account.id, Account).balance == 20
        app.close()
        session.commit()
    assert count(sql_backend) == 0


def test_one_that_is_asked_for_is_the_callers_to_commit(
    sql_backend: Backend, engine: sa.Engine
) -> None:
    with Session(engine) as session:
        app = SimpleApplication(session=session, snapshotting_policy=EVERY_10)
        session.commit()
        account = Account.create(owner="Ann")
        app.save(account)
        assert app.take_snapshot(account.id) == 1
        session.rollback()
        app.save(account)
        assert app.take_snapshot(account.id) == 1
        assert count(sql_backend) == 0
        session.commit()
        assert count(sql_backend) == 1
        app.close()


def test_each_table_of_events_has_its_own(sql_backend: Backend) -> None:
    names = {"stored_events": "stored_snapshots", "bank_events": "bank_events_snapshots"}
    for table, snapshots in names.items():
        with SimpleApplication(
            uri=sql_backend.uri, table_name=table, snapshotting_policy=EVERY_10
        ) as app:
            account = account_with(deposits=20)
            app.repository[account.id]
        assert count(sql_backend, snapshots) == 1


def test_long_names_of_tables_are_shortened(sqlite_file: Backend) -> None:
    for letter in "ab":
        name = "e" * 62 + letter
        with SimpleApplication(
            uri=sqlite_file.uri, table_name=name, snapshotting_policy=EVERY_10
        ) as app:
            account = account_with(deposits=20)
            app.repository[account.id]
    assert sqlite_file.uri is not None
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri))
    with datastore.reading() as connection:
        tables = [t for t in sa.inspect(connection).get_table_names() if "snapshots" in t]
    datastore.close()
    assert [len(name) <= 63 for name in tables] == [True, True]


def test_without_a_policy_there_is_no_table(sql_backend: Backend, engine: sa.Engine) -> None:
    SimpleApplication(uri=sql_backend.uri).close()
    assert sa.inspect(engine).get_table_names() == ["stored_events"]


def test_where_the_migration_was_forgotten_loads_go_on(
    sql_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    SimpleApplication(uri=sql_backend.uri).close()
    with SimpleApplication(
        uri=sql_backend.uri, setup_table=False, snapshotting_policy=EVERY_10
    ) as app:
        account = account_with(deposits=20)
        assert app.repository.get(account.id, Account).balance == 20
        assert "stored_snapshots" in caplog.text
        with pytest.raises(TableNotFound, match="stored_snapshots"):
            app.take_snapshot(account.id)
