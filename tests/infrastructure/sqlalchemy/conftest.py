"""No test leaves a connection without an owner."""

import gc
from collections.abc import Iterator

import pytest

from tests.backends import Backend


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
