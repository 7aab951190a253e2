"""What the feed of all events promises, whatever record manager is below it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    DataIntegrityError,
    InvalidOriginatorID,
    ProgrammingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.notificationlog import NotificationLog
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy import feed as sqlfeed
from tests.contracts.eventstore import happened
from tests.contracts.model import Account, Happened, Noted
from tests.contracts.places import Id, Place, SQLAlchemyPlace

Event = tuple[Id, int]
"""A stream, and a position in it."""

STREAMS: tuple[Id, ...] = ("s", "7", 7, -7, UUID(int=7), "#7", "'s", str(UUID(int=7)))
SEVERAL_PAGES = 2_500  # events
WRITERS, SAVES = ("a", "b", "c"), 20  # saves of each


def store(app: SimpleApplication, *events: Event) -> None:
    """Store events in one save."""
    app.event_store.store([happened(stream, position) for stream, position in events])


def filled(app: SimpleApplication) -> None:
    """Store four events of two streams, in three saves."""
    store(app, ("s", 0))
    store(app, ("t", 0), ("s", 1))
    store(app, ("t", 1))


def row(stream: Id, position: int) -> StoredEvent:
    """Return an item that is stored whatever comes before it in its stream."""
    return StoredEvent(stream, position, "tests.contracts.model#Happened", "{}", "e" * 32)


FILLED: list[Event] = [("s", 0), ("t", 0), ("s", 1), ("t", 1)]


def read(log: NotificationLog, *args: Any, **bounds: Any) -> list[Event]:
    return [(n.originator_id, n.originator_version) for n in log.select(*args, **bounds)]


class FeedContract:
    """A feed has each stored event once, in an order that agrees with every stream."""

    @pytest.fixture
    def app(self, place: Place) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=place.open()) as app:
            yield app

    @pytest.fixture
    def log(self, app: SimpleApplication) -> NotificationLog:
        return app.notification_log

    # -- what there is

    def test_a_feed_without_events_is_empty_and_at_its_end(self, log: NotificationLog) -> None:
        assert (read(log), log.safe_position(), log.high_water_mark()) == ([], 0, (0, ()))

    def test_each_event_is_there_once_in_the_order_of_the_saves(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        assert read(log) == FILLED

    def test_positions_ascend_up_to_the_mark(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        positions = [n.position for n in log.select()]
        assert positions[0] >= 1
        assert all(before < after for before, after in pairwise(positions))
        assert (log.safe_position(), log.high_water_mark()) == (positions[-1], (positions[-1], ()))

    def test_a_notification_has_the_event_and_where_it_stands(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        with unit_of_work("a request", "a message"):
            app.event_store.store(Happened(originator_id="s", originator_version=0, note="x"))
        (found,) = log.select()
        (event,) = app.event_store.get_domain_events("s")
        (item,) = app.event_store.record_manager.get_items("s")
        assert (found.originator_id, found.originator_version, found.topic) == item[:3]
        assert found.event == event
        assert found.context == event.context
        assert found.context[1:] == ("a request", "a message")

    @pytest.mark.parametrize("stream", STREAMS, ids=repr)
    def test_ids_of_each_kind_come_back_and_choose_their_stream(
        self, app: SimpleApplication, log: NotificationLog, stream: Id
    ) -> None:
        store(app, *((each, 0) for each in STREAMS))
        assert [type(n.originator_id) for n in log.select()] == [*map(type, STREAMS)]
        assert read(log, originator_id=stream) == [(stream, 0)]

    def test_what_was_refused_is_not_there(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        with pytest.raises(ConcurrencyError):
            store(app, ("u", 0), ("s", 0))
        store(app, ("s", 2))
        assert read(log) == [*FILLED, ("s", 2)]

    # -- which of it

    def test_start_and_stop_are_inclusive(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        _, second, third, _ = (n.position for n in log.select())
        assert read(log, second) == FILLED[1:]
        assert read(log, stop=third) == FILLED[:3]
        assert read(log, second, stop=third) == FILLED[1:3]
        assert read(log, third, stop=second) == read(log, MAX_POSITION + 1) == []

    @pytest.mark.parametrize("limit", [0, 1, 3, 4, 9])
    def test_no_more_are_read_than_was_asked_for(
        self, app: SimpleApplication, log: NotificationLog, limit: int
    ) -> None:
        filled(app)
        assert read(log, limit=limit) == FILLED[:limit]
        assert read(log, limit=limit, is_ascending=False) == FILLED[::-1][:limit]

    def test_it_can_be_read_backwards(self, app: SimpleApplication, log: NotificationLog) -> None:
        filled(app)
        _, second, third, _ = (n.position for n in log.select())
        assert read(log, is_ascending=False) == FILLED[::-1]
        assert read(log, second, stop=third, is_ascending=False) == FILLED[2:0:-1]

    def test_events_are_chosen_by_their_types(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        app.event_store.store(Noted(originator_id="n", originator_version=0))
        assert read(log, event_types=Noted) == [("n", 0)]
        assert read(log, event_types=[Noted, Happened]) == [*FILLED, ("n", 0)]
        assert read(log, event_types=[]) == []

    def test_events_are_chosen_by_the_class_of_their_aggregates(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        account = Account.create(id="a", owner="Ann")
        account.deposit(1)
        app.save(account)
        deposited: Any = Account.Deposited  # type: ignore[attr-defined]
        assert read(log, aggregate_class=Account) == [("a", 0), ("a", 1)]
        assert read(log, aggregate_class=Account, event_types=deposited) == [("a", 1)]
        assert read(log, aggregate_class=Account, event_types=Happened) == []
        assert read(log, aggregate_class=Account, is_ascending=False, limit=1) == [("a", 1)]

    def test_all_conditions_hold_at_once(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        filled(app)
        _, second, *_ = (n.position for n in log.select())
        chosen = read(log, second, 1, originator_id="s", event_types=Happened)
        assert chosen == [("s", 1)]
        assert read(log, originator_id="s", event_types=Noted) == []
        assert read(log, originator_id="nobody") == []

    # -- page by page

    @pytest.mark.parametrize("is_ascending", [True, False])
    def test_many_pages_are_read_as_one(
        self, app: SimpleApplication, log: NotificationLog, is_ascending: bool
    ) -> None:
        stored: list[Event] = [("s", n) for n in range(SEVERAL_PAGES)]
        store(app, *stored)
        expected = stored if is_ascending else stored[::-1]
        assert read(log, is_ascending=is_ascending) == expected
        assert read(log, limit=1_234, is_ascending=is_ascending) == expected[:1_234]

    def test_it_ends_where_it_was_safe_when_the_reading_began(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        store(app, *(("s", n) for n in range(SEVERAL_PAGES)))
        reading = log.select()
        next(reading)
        store(app, ("t", 0))
        assert [n.originator_id for n in reading] == ["s"] * (SEVERAL_PAGES - 1)

    def test_who_goes_on_behind_the_last_position_misses_nothing(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        found: list[Event] = []
        position = 0
        for version in range(5):
            store(app, ("s", version), ("t", version))
            for notification in log.select(position + 1, 1):
                position = notification.position
                found.append((notification.originator_id, notification.originator_version))
        found += read(log, position + 1)
        assert found == [(stream, n) for n in range(5) for stream in ("s", "t")]

    def test_who_follows_while_others_save_meets_each_event_once_and_in_order(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        def save(stream: str) -> None:
            for version in range(SAVES):
                store(app, (stream, version))

        found: list[Event] = []
        position = 0
        with ThreadPoolExecutor(len(WRITERS)) as threads:
            saving = [threads.submit(save, stream) for stream in WRITERS]
            while len(found) < SAVES * len(WRITERS):
                has_ended = all(saver.done() for saver in saving)
                for notification in log.select(position + 1, 7):
                    position = notification.position
                    found.append((notification.originator_id, notification.originator_version))
                if has_ended and position == log.safe_position():
                    break
        for stream in WRITERS:
            assert [event for event in found if event[0] == stream] == [
                (stream, version) for version in range(SAVES)
            ]
        assert found == read(log)

    def test_gaps_and_order_are_told_in_several_pages(
        self, app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlfeed, "LARGEST_PAGE", 3)
        manager = app.event_store.record_manager
        feed = manager.feed()
        store(app, ("whole", 0), ("whole", 1))
        assert [*feed.incomplete_sequences(), *feed.disordered_items()] == []
        manager.record([row(stream, 1) for stream in STREAMS])
        assert sorted(feed.incomplete_sequences(), key=repr) == sorted(STREAMS, key=repr)
        assert list(feed.disordered_items()) == []
        manager.record([row(stream, 0) for stream in STREAMS])
        assert list(feed.incomplete_sequences()) == []
        assert list(feed.disordered_items()) == [(stream, 1) for stream in STREAMS]
        manager.record([row(stream, 3) for stream in STREAMS[:6]])
        found = list(feed.incomplete_sequences())  # that are two pages, and none is left
        assert sorted(found, key=repr) == sorted(STREAMS[:6], key=repr)

    # -- what is refused

    @pytest.mark.parametrize(
        "arguments",
        [
            *({"start": value} for value in (0, -1, None, True, 1.0, "1")),
            *({"stop": value} for value in (-1, False, "1")),
            *({"limit": value} for value in (-1, True, 1.0)),
            {"is_ascending": 1},
            *({"event_types": value} for value in (int, [int], Account)),
            *({"aggregate_class": value} for value in (Happened, "Account")),
        ],
        ids=str,
    )
    def test_an_argument_that_cannot_be_used_is_refused_at_once(
        self, log: NotificationLog, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(ProgrammingError):
            log.select(**arguments)

    def test_an_id_that_no_stream_can_have_is_refused_at_once(self, log: NotificationLog) -> None:
        with pytest.raises(InvalidOriginatorID):
            log.select(originator_id="")

    def test_a_closed_application_has_no_feed(
        self, app: SimpleApplication, log: NotificationLog
    ) -> None:
        app.close()
        for look in (log.safe_position, log.high_water_mark, lambda: next(log.select())):
            with pytest.raises(ApplicationClosedError):
                look()

    # -- what cannot be read

    @pytest.mark.parametrize(
        ("topic", "state", "error"),
        [
            ("nobody#Knows", "{}", TopicResolutionError),
            ("tests.contracts.model#Happened", "{", DataIntegrityError),
        ],
    )
    def test_a_row_that_cannot_be_read_is_named_and_can_be_passed_over(
        self,
        app: SimpleApplication,
        log: NotificationLog,
        topic: str,
        state: str,
        error: type[DataIntegrityError | TopicResolutionError],
    ) -> None:
        filled(app)
        app.event_store.record_manager.record([StoredEvent("s", 2, topic, state, "e" * 32)])
        store(app, ("t", 2))
        reading = log.select()
        found: list[Event] = []
        with pytest.raises(error) as caught:
            found.extend((n.originator_id, n.originator_version) for n in reading)
        assert found == FILLED
        assert caught.value.position is not None
        assert caught.value.position > max(n.position for n in log.select(limit=4))
        assert read(log, caught.value.position + 1) == [("t", 2)]


class DurableFeedContract:
    """The feed outlives the record manager that wrote it."""

    def test_another_application_reads_the_same(self, durable_place: SQLAlchemyPlace) -> None:
        with SimpleApplication(record_manager=durable_place.open()) as app:
            filled(app)
            positions = [n.position for n in app.notification_log.select()]
        with SimpleApplication(record_manager=durable_place.open()) as app:
            assert read(app.notification_log) == FILLED
            assert [n.position for n in app.notification_log.select()] == positions
            store(app, ("s", 2))
            assert read(app.notification_log, positions[-1] + 1) == [("s", 2)]
