"""The event store on each record manager, by its contract."""

from collections.abc import Iterator

import pytest

from tests.contracts.eventstore import EventStoreContract, StorePort, event_store
from tests.contracts.places import SQLAlchemyPlace
from tests.contracts.recordmanager import OpenPort
from tests.contracts.streams import DurableContract


class TestEventStore(EventStoreContract):
    """On every backend."""


class TestDurableEventStore(DurableContract):
    """On every SQL backend."""

    @pytest.fixture
    def open_port(self, durable_place: SQLAlchemyPlace) -> Iterator[OpenPort]:
        opened: list[StorePort] = []

        def open_port() -> StorePort:
            opened.append(StorePort(event_store(durable_place)))
            return opened[-1]

        yield open_port
        for port in opened:
            port.close()
