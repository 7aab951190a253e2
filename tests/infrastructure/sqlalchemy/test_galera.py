"""A node of a Galera cluster, which may lag behind the others."""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from eventsourcing.exceptions import DatabaseUnavailable, DiskFull
from eventsourcing.infrastructure.sqlalchemy.drivers import driver_for
from tests.backends import Backend, mariadb_backend
from tests.infrastructure.sqlalchemy.helpers import application, run
from tests.servers.galera import GaleraNode
from tests.servers.mariadb import empty_database

SETTING = "SELECT @@session.wsrep_sync_wait"


@pytest.fixture(scope="module")
def node() -> Iterator[Backend]:
    """A node that is a cluster by itself."""
    with GaleraNode() as server:
        empty_database(server.address, "events")
        yield mariadb_backend(server.address, "events", server)


def setting_of(backend: Backend, **options: Any) -> int:
    """Return for what the library's connections wait."""
    with application(backend, **options) as app:
        manager: Any = app.event_store.record_manager
        ((found,),) = manager.datastore.fetch(SETTING, ())
        return int(found)


def test_reads_and_writes_wait_for_what_other_nodes_have_acknowledged(node: Backend) -> None:
    assert setting_of(node) == 7
    assert run(node, SETTING) == [(0,)]


def test_who_has_set_what_to_wait_for_is_obeyed(node: Backend) -> None:
    uri = f"{node.uri}?init_command=SET SESSION wsrep_sync_wait = 1"
    assert setting_of(node, uri=uri) == 1


def test_a_server_without_a_cluster_has_nothing_to_wait_for(mariadb: Backend) -> None:
    assert setting_of(mariadb) == 0


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Error while appending streaming replication fragment", DatabaseUnavailable),
        ('Got error 28 "No space left on device" during COMMIT', DiskFull),
    ],
)
def test_a_commit_that_broke_off_has_a_type(message: str, expected: type[Exception]) -> None:
    error = pymysql.err.OperationalError(1180, message)
    assert driver_for("mysql").classify(error) is expected
