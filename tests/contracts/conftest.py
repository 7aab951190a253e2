"""The places that the suites run on."""

from collections.abc import Iterator

import pytest

from eventsourcing.infrastructure.recordmanager import RecordManager
from tests.backends import Backend
from tests.contracts.packets import packet_limit
from tests.contracts.places import MemoryPlace, Place, SQLAlchemyPlace


@pytest.fixture
def place(backend: Backend) -> Place:
    """Each backend in turn."""
    return MemoryPlace() if backend.uri is None else SQLAlchemyPlace(backend.uri)


@pytest.fixture
def durable_place(sql_backend: Backend) -> SQLAlchemyPlace:
    """Each backend in turn whose items outlive the record manager."""
    assert sql_backend.uri is not None
    return SQLAlchemyPlace(sql_backend.uri)


@pytest.fixture
def manager(place: Place) -> Iterator[RecordManager]:
    """An open record manager."""
    manager = place.open()
    yield manager
    manager.close()


@pytest.fixture
def roomy_place(backend: Backend, place: Place) -> Iterator[Place]:
    """Each backend in turn, with room for packets of 64 MB."""
    if backend.name != "mariadb":
        yield place
    else:
        with packet_limit(backend, 64 * 1024 * 1024):
            yield place
