"""The record managers, by their contract."""

from collections.abc import Iterator

import pytest

from tests.contracts.places import SQLAlchemyPlace
from tests.contracts.recordmanager import ManagerPort, OpenPort, RecordManagerContract
from tests.contracts.streams import DurableContract


class TestRecordManager(RecordManagerContract):
    """On every backend."""


class TestDurableRecordManager(DurableContract):
    """On every SQL backend."""

    @pytest.fixture
    def open_port(self, durable_place: SQLAlchemyPlace) -> Iterator[OpenPort]:
        opened: list[ManagerPort] = []

        def open_port() -> ManagerPort:
            opened.append(ManagerPort(durable_place.open()))
            return opened[-1]

        yield open_port
        for port in opened:
            port.close()
