"""A database that cannot be reached, and what is not said about it."""

import logging
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Integer

from eventsourcing.exceptions import DatabaseUnavailable, PersistenceError
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import application, run, shown, table_with

CANARY = "canary-of-a-password"


@pytest.mark.parametrize("wrong", ["password", "database", "port", "host"])
def test_a_database_that_cannot_be_reached_is_unavailable_and_the_password_stays_hidden(
    server_backend: Backend, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = SQLAlchemySettings(uri=server_backend.uri)
    changes: dict[str, dict[str, Any]] = {
        "password": {"username": "nobody", "password": CANARY},
        "database": {"database": "nowhere"},
        "port": {"port": 1, "password": CANARY},
        "host": {"host": "nowhere.invalid", "password": CANARY},
    }
    uri = settings.url.set(**changes[wrong]).render_as_string(hide_password=False)

    with pytest.raises(DatabaseUnavailable) as raised:
        application(server_backend, uri=uri)

    told = [shown(raised.value), caplog.text, repr(SQLAlchemySettings(uri=uri))]
    assert [CANARY in text for text in told] == [False, False, False]


def test_a_directory_that_is_not_there_is_unavailable(sqlite_file: Backend) -> None:
    with pytest.raises(DatabaseUnavailable):
        application(sqlite_file, uri="sqlite:////nowhere/at/all.db")


def test_a_file_that_is_no_database_is_unavailable(sqlite_file: Backend) -> None:
    with open(sqlite_file.connect_arguments["database"], "w") as file:
        file.write("canary " * 1000)

    with pytest.raises(DatabaseUnavailable, match="not a database"):
        application(sqlite_file)


def test_an_error_of_another_kind_is_a_plain_persistence_error(sql_backend: Backend) -> None:
    run(sql_backend, "CREATE TABLE base (n integer)")
    run(sql_backend, "CREATE VIEW stored_events AS SELECT * FROM base")
    manager = SQLAlchemyRecordManager(
        SQLAlchemyDatastore(SQLAlchemySettings(uri=sql_backend.uri)), table_with(topic=Integer)
    )
    manager.setup_table()

    with closing(manager), pytest.raises(PersistenceError):
        manager.record([StoredEvent("a", 0, object(), "s", "1")])  # type: ignore[arg-type]
