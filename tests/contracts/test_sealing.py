"""What is sealed on each record manager, by its contract; and the other contracts, all sealed."""

from collections.abc import Iterator

import pytest

from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.contracts.application import ApplicationContract
from tests.contracts.eventstore import EventStoreContract
from tests.contracts.places import Place
from tests.contracts.sealing import (
    OLD,
    DurableSealingContract,
    SealingContract,
    SnapshotSealingContract,
    sealing,
)


class TestSealing(SealingContract):
    """On every backend."""


class TestDurableSealing(DurableSealingContract):
    """On every SQL backend."""


class TestSnapshotSealing(SnapshotSealingContract):
    """On every SQL backend."""


class TestSealedApplication(ApplicationContract):
    """All that an application promises, encrypted, on every backend."""

    @pytest.fixture(autouse=True)
    def key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CIPHER_KEY", OLD.text)


class TestSealedEventStore(EventStoreContract):
    """All that an event store promises, encrypted and compressed, on every backend."""

    @pytest.fixture
    def store(self, place: Place) -> Iterator[EventStore]:
        mapper = SequencedItemMapper(protection=sealing(OLD, compression="zlib"))
        store = EventStore(place.open(), mapper)
        yield store
        store.close()
