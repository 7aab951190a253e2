"""Chained streams on each record manager, by their contract; and an application that chains."""

from collections.abc import Iterator

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from tests.contracts.application import ApplicationContract
from tests.contracts.chaining import ChainingContract, DurableChainingContract
from tests.contracts.places import Place


class TestChaining(ChainingContract):
    """On every backend."""


class TestDurableChaining(DurableChainingContract):
    """On every SQL backend."""


class TestChainedApplication(ApplicationContract):
    """All that an application promises, chained, on every backend."""

    @pytest.fixture
    def app(self, place: Place) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=place.open(ChainedEvent), chained=True) as app:
            yield app
