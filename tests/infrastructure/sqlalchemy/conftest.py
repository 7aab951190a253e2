"""No test leaves a connection without an owner."""

import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.backends import Backend
from tests.infrastructure.sqlalchemy.callers import KINDS, Caller, caller
from tests.infrastructure.sqlalchemy.helpers import application, engine_of


@pytest.fixture(autouse=True)
def _no_connection_is_left() -> Iterator[None]:
    yield
    gc.collect()  # a connection that was not closed warns, which fails this test and no other


@pytest.fixture(params=["postgresql", "mariadb"])
def server_backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn that is a server."""
    backend = request.getfixturevalue(request.param)
    assert isinstance(backend, Backend)
    return backend


@pytest.fixture(params=["private_postgresql", "private_mariadb"])
def private_server(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn on a server of the test's own."""
    backend = request.getfixturevalue(request.param)
    assert isinstance(backend, Backend)
    return backend


@pytest.fixture
def engine(sql_backend: Backend) -> Iterator[Engine]:
    """An engine of the caller's on each SQL backend."""
    with engine_of(sql_backend) as engine:
        yield engine


@pytest.fixture(params=KINDS)
def mine(request: pytest.FixtureRequest, engine: Engine, sql_backend: Backend) -> Iterator[Caller]:
    """A caller of each kind, who finds the table of events there."""
    application(sql_backend).close()
    with caller(engine, request.param) as mine:
        yield mine
