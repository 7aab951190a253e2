"""Fixtures that give a test an empty store.

=============================================  ====================================================
`backend`                                      each of the four in turn: memory, sqlite, postgresql,
                                               mariadb
`sql_backend`                                  each of the three SQL ones in turn
`memory`, `sqlite_file`, `postgresql`,         that one
`mariadb`
`private_postgresql`, `private_mariadb`        on a server of the test's own, to stop and kill
`small_disk_postgresql`, `small_disk_mariadb`  on a server of the test's own, with a disk to fill
=============================================  ====================================================

The servers start when a test first needs them and serve one pytest process, which is one worker of
pytest-xdist. ``TEST_POSTGRESQL_URI`` and ``TEST_MARIADB_URI`` name servers to use instead; the user
must be allowed to create databases. A server that is not to be had is an error, not a skip.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import hypothesis
import pytest

from tests import backends
from tests.backends import Backend
from tests.leftovers import refuse_leftovers
from tests.servers import mariadb as mariadb_server
from tests.servers import postgresql as postgresql_server
from tests.servers.address import Address
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer

DATABASE = "eventsourcing_test_" + os.environ.get("PYTEST_XDIST_WORKER", "main")
SMALL_DISK = 32 * 1024 * 1024

# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("tests", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def nothing_is_left_over() -> Iterator[None]:
    """Fails a test that leaves an application open or a handler subscribed, and clears up."""
    yield
    refuse_leftovers()


@pytest.fixture(params=backends.BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn."""
    return _backend(request)


@pytest.fixture(params=backends.SQL_BACKENDS)
def sql_backend(request: pytest.FixtureRequest) -> Backend:
    """Each SQL backend in turn."""
    return _backend(request)


def _backend(request: pytest.FixtureRequest) -> Backend:
    fixture = {"sqlite": "sqlite_file"}.get(request.param, request.param)
    return cast(Backend, request.getfixturevalue(fixture))


@pytest.fixture
def memory() -> Backend:
    """The memory adapter."""
    return Backend("memory")


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Backend:
    """A database file that does not exist yet."""
    return backends.sqlite_backend(tmp_path / "events.db")


@pytest.fixture
def postgresql(postgresql_address: Address) -> Backend:
    """An empty PostgreSQL database."""
    postgresql_server.empty_database(postgresql_address, DATABASE)
    return backends.postgresql_backend(postgresql_address, DATABASE)


@pytest.fixture
def mariadb(mariadb_address: Address) -> Backend:
    """An empty MariaDB database."""
    mariadb_server.empty_database(mariadb_address, DATABASE)
    return backends.mariadb_backend(mariadb_address, DATABASE)


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[Address]:
    """The PostgreSQL server of this test run."""
    if uri := os.environ.get("TEST_POSTGRESQL_URI"):
        yield Address.from_uri(uri, default_port=5432)
    else:
        with PostgresqlServer() as server:
            yield server.address


@pytest.fixture(scope="session")
def mariadb_address() -> Iterator[Address]:
    """The MariaDB server of this test run."""
    if uri := os.environ.get("TEST_MARIADB_URI"):
        yield Address.from_uri(uri, default_port=3306)
    else:
        with MariadbServer() as server:
            yield server.address


@pytest.fixture
def private_postgresql() -> Iterator[Backend]:
    """An empty database on a PostgreSQL server of this test's own: ``.server.kill()``."""
    with PostgresqlServer() as server:
        postgresql_server.empty_database(server.address, DATABASE)
        yield backends.postgresql_backend(server.address, DATABASE, server)


@pytest.fixture
def private_mariadb() -> Iterator[Backend]:
    """An empty database on a MariaDB server of this test's own: ``.server.kill()``."""
    with MariadbServer() as server:
        mariadb_server.empty_database(server.address, DATABASE)
        yield backends.mariadb_backend(server.address, DATABASE, server)


@pytest.fixture
def small_disk_postgresql() -> Iterator[Backend]:
    """An empty PostgreSQL database whose tables have `SMALL_DISK` bytes, the database included."""
    with PostgresqlServer(small_disk=SMALL_DISK) as server:
        yield backends.postgresql_backend(server.address, server.small_database(), server)


@pytest.fixture
def small_disk_mariadb() -> Iterator[Backend]:
    """An empty MariaDB database whose tables have `SMALL_DISK` bytes."""
    with MariadbServer(small_disk=SMALL_DISK) as server:
        yield backends.mariadb_backend(server.address, server.small_database(), server)
