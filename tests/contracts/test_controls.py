"""The suites fail with an adapter that has a fault."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import SequencedItemConflict
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.feed import Feed, FeedPage
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.contracts.broken import HalfBatches, LastOneWins, LosesTheLast
from tests.contracts.eventstore import EventStoreContract
from tests.contracts.feed import FeedContract
from tests.contracts.payloads import TEXTS, PayloadContract
from tests.contracts.places import MemoryPlace
from tests.contracts.recordmanager import ManagerPort
from tests.contracts.streams import PAGE, StreamContract


class FoldsCase(MemoryRecordManager):
    """Compares ids as a database does that is not told otherwise."""

    def record(self, items: Any) -> None:
        super().record([item._replace(originator_id=_folded(item[0])) for item in items])

    def get_items(self, sequence_id: object, bounds: Bounds = EVERYTHING) -> Iterator[Any]:
        return super().get_items(_folded(sequence_id), bounds)


class OnePage(MemoryRecordManager):
    """Reads no further than one page."""

    def get_items(self, sequence_id: object, bounds: Bounds = EVERYTHING) -> Iterator[Any]:
        yield from list(super().get_items(sequence_id, bounds))[:PAGE]


class IgnoresTheDirection(MemoryRecordManager):
    """Reads forwards only."""

    def get_items(self, sequence_id: object, bounds: Bounds = EVERYTHING) -> Iterator[Any]:
        return super().get_items(sequence_id, bounds._replace(is_ascending=True))


class Latin1(MemoryRecordManager):
    """Ends a text at a NUL, and cannot write what is not on its code page."""

    def record(self, items: Any) -> None:
        super().record(
            [
                i._replace(state=i.state.encode("latin-1", "replace").decode("latin-1"))
                for i in items
            ]
        )


class ForgetsContext(MemoryRecordManager):
    """Does not keep the ids of events."""

    def record(self, items: Any) -> None:
        super().record([item._replace(event_id="0" * 32) for item in items])


def _folded(id_: Any) -> Any:
    return id_.lower() if isinstance(id_, str) else id_


STREAMS: dict[type[MemoryRecordManager], Callable[[StreamContract, Any], None]] = {
    LastOneWins: StreamContract.test_a_position_is_taken_once,
    HalfBatches: lambda suite, port: suite.test_a_batch_with_a_clash_leaves_nothing(port, 2),
    LosesTheLast: StreamContract.test_a_batch_may_be_of_several_streams,
    FoldsCase: StreamContract.test_similar_ids_are_different_streams,
    OnePage: lambda suite, port: suite.test_a_limit_near_the_size_of_a_page_is_kept(port, True),
    IgnoresTheDirection: StreamContract.test_any_bounds_limit_and_direction_give_what_they_say,
}


@pytest.mark.parametrize("fault", STREAMS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_by_the_suite_of_streams(fault: type[MemoryRecordManager]) -> None:
    test = STREAMS[fault]
    test(StreamContract(), ManagerPort(MemoryPlace().open()))
    with pytest.raises((AssertionError, SequencedItemConflict, pytest.fail.Exception)):
        test(StreamContract(), ManagerPort(fault()))


def test_a_lost_character_is_found_by_the_suite_of_payloads() -> None:
    test = PayloadContract().test_the_stored_text_is_what_the_mapper_made
    test(_store(MemoryRecordManager()), TEXTS)
    with pytest.raises(AssertionError):
        test(_store(Latin1()), TEXTS)


def test_a_lost_event_id_is_found_by_the_suite_of_the_event_store() -> None:
    test = EventStoreContract().test_an_identical_event_of_a_rival_is_a_conflict
    test(_store(MemoryRecordManager()))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(_store(ForgetsContext()))


def _with_pages(change: Callable[[FeedPage], FeedPage]) -> type[MemoryRecordManager]:
    """Return a class whose feed has other pages."""

    class Changed(MemoryRecordManager):
        def feed(self) -> Feed:
            feed: Any = super().feed()
            pages = feed.get_pages
            feed.get_pages = lambda bounds: map(change, pages(bounds))
            return cast(Feed, feed)

    return Changed


FEEDS: dict[str, Callable[[FeedPage], FeedPage]] = {
    "by stream": lambda page: FeedPage(page.positions, sorted(page.items)),
    "a doubled event": lambda page: FeedPage([*page.positions] * 2, [*page.items] * 2),
    "a lost event": lambda page: FeedPage(page.positions[1:], page.items[1:]),
}


@pytest.mark.parametrize("fault", FEEDS)
def test_a_fault_is_found_by_the_suite_of_the_feed(fault: str) -> None:
    test = FeedContract().test_each_event_is_there_once_in_the_order_of_the_saves
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        test(app, app.notification_log)
    faulty = _with_pages(FEEDS[fault])()
    with SimpleApplication(record_manager=faulty) as app, pytest.raises(AssertionError):
        test(app, app.notification_log)


def _store(manager: MemoryRecordManager) -> EventStore:
    return EventStore(manager, SequencedItemMapper())
