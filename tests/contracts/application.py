"""What an application promises: SimpleApplication, its repository and aggregates."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import retry
from eventsourcing.domain.model.events import (
    assert_event_handlers_empty,
    subscribe,
    unsubscribe,
)
from eventsourcing.exceptions import (
    AggregateTypeError,
    ApplicationClosedError,
    ConcurrencyError,
    DiskFull,
    EncodeError,
    EntityIsDiscarded,
    RepositoryKeyError,
)
from eventsourcing.infrastructure.feed import Feed
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds, RecordManager
from tests.contracts.model import Account
from tests.contracts.places import Id, Place


class ApplicationContract:
    """An application stores aggregates as their events, and finds them again."""

    @pytest.fixture
    def app(self, place: Place) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=place.open()) as app:
            yield app

    # -- the synopsis

    def test_an_aggregate_is_found_as_it_was_saved(self, app: SimpleApplication) -> None:
        account = Account.create(owner="Ann")
        account.deposit(10)
        account.save()
        found = app.repository[account.id]
        assert (type(found), found.owner, found.balance, found.version) == (Account, "Ann", 10, 2)

    def test_a_changed_attribute_is_found(self, app: SimpleApplication) -> None:
        aggregate = AggregateRoot.create()
        aggregate.change_attribute(name="a", value=1)
        aggregate.save()
        assert app.repository[aggregate.id].a == 1

    def test_times_are_found_as_they_were(self, app: SimpleApplication) -> None:
        account = saved_account()
        found = app.repository[account.id]
        assert (found.created_on, found.last_modified) == (
            account.created_on,
            account.last_modified,
        )

    def test_a_discarded_aggregate_is_not_found(self, app: SimpleApplication) -> None:
        account = saved_account()
        account.discard()
        account.save()
        assert account.id not in app.repository
        with pytest.raises(RepositoryKeyError):
            app.repository[account.id]

    def test_a_stale_copy_of_a_discarded_aggregate_is_refused(self, app: SimpleApplication) -> None:
        account = saved_account()
        copy = app.repository[account.id]
        copy.discard()
        copy.save()
        account.deposit(1)
        with pytest.raises(ConcurrencyError):
            account.save()

    def test_a_discarded_aggregate_takes_no_commands(self, app: SimpleApplication) -> None:
        account = saved_account()
        account.discard()
        with pytest.raises(EntityIsDiscarded):
            account.deposit(1)

    # -- the repository

    def test_what_was_never_saved_is_not_found(self, app: SimpleApplication) -> None:
        account = Account.create(owner="Ann")
        assert account.id not in app.repository
        with pytest.raises(KeyError) as caught:
            app.repository[account.id]
        assert type(caught.value) is RepositoryKeyError

    def test_what_was_saved_is_in_the_repository(self, app: SimpleApplication) -> None:
        account = saved_account()
        assert account.id in app.repository

    @pytest.mark.parametrize("key", [uuid4(), "x", 5, None, 1.5, b"x", ("x",), "x ", 2**64])
    def test_what_is_no_id_of_an_aggregate_is_not_in(
        self, app: SimpleApplication, key: object
    ) -> None:
        assert key not in app.repository

    def test_get_gives_an_aggregate_of_the_class(self, app: SimpleApplication) -> None:
        account = saved_account()
        assert app.repository.get(account.id, Account).balance == 0
        assert app.repository.get(account.id, AggregateRoot).id == account.id
        assert app.repository.get(account.id).id == account.id

    def test_get_refuses_an_aggregate_of_another_class(self, app: SimpleApplication) -> None:
        aggregate = AggregateRoot.create()
        aggregate.save()
        with pytest.raises(AggregateTypeError, match="AggregateRoot, not a Account"):
            app.repository.get(aggregate.id, Account)

    @pytest.mark.parametrize("id_", ["Ann", "ann", 5, "5", UUID(int=5)], ids=repr)
    def test_ids_are_of_any_kind(self, app: SimpleApplication, id_: Id) -> None:
        Account.create(id=id_, owner="Ann").save()
        assert app.repository[id_].id == id_

    def test_an_id_is_taken_once(self, app: SimpleApplication) -> None:
        Account.create(id="a", owner="Ann").save()
        with pytest.raises(ConcurrencyError) as caught:
            Account.create(id="a", owner="Bob").save()
        assert (caught.value.expected_version, caught.value.actual_version) == (0, 1)
        assert app.repository["a"].owner == "Ann"

    def test_each_read_gives_an_object_of_its_own(self, app: SimpleApplication) -> None:
        account = saved_account()
        one, other = app.repository[account.id], app.repository[account.id]
        one.deposit(1)
        assert (one.balance, other.balance) == (1, 0)

    # -- saving

    def test_a_save_empties_the_pending_events(self, app: SimpleApplication) -> None:
        account = Account.create(owner="Ann")
        before = len(account.pending_events)
        account.save()
        assert (before, account.pending_events) == (1, ())

    def test_a_save_without_pending_events_does_nothing(self, app: SimpleApplication) -> None:
        account = saved_account()
        account.save()
        app.save(account)
        assert len(events(app, account)) == 1

    def test_a_save_tells_up_to_where_the_feed_has_it(self, app: SimpleApplication) -> None:
        one, other = long_account(1), Account.create(owner="Bob")
        one.deposit(1)
        first, second = app.save(other, one), app.save()
        third = one.save()
        feed = app.notification_log.select()
        found = [n.position for n in feed if (n.originator_id, n.originator_version) == (one.id, 2)]
        assert ([first.position], second.position, third.position) == (found, 0, 0)
        assert repr(first) == f"Saved(events=2, position={first.position})"

    def test_a_save_of_what_is_stored_in_part_tells_the_highest_position(
        self, app: SimpleApplication
    ) -> None:
        one, other = Account.create(owner="Ann"), Account.create(owner="Bob")
        app.event_store.store(other.pending_events)
        saved = app.save(one, other)
        assert saved.position == app.notification_log.safe_position()

    def test_where_a_save_is_in_the_feed_is_read_when_it_is_asked_for(
        self, app: SimpleApplication
    ) -> None:
        account = Account.create(owner="Ann")
        asked = account.save()
        account.deposit(1)
        unasked = account.save()
        position = asked.position
        app.close()
        assert asked.position == position
        with pytest.raises(ApplicationClosedError):
            _ = unasked.position

    def test_a_stale_save_conflicts(self, app: SimpleApplication) -> None:
        account = saved_account()
        rival = app.repository[account.id]
        rival.deposit(1)
        rival.save()
        account.deposit(2)
        with pytest.raises(ConcurrencyError) as caught:
            account.save()
        error = caught.value
        assert (error.originator_id, error.expected_version, error.actual_version) == (
            account.id,
            1,
            2,
        )

    def test_a_failed_save_keeps_the_pending_events(self, app: SimpleApplication) -> None:
        account = stale_account(app)
        pending = account.pending_events
        with pytest.raises(ConcurrencyError):
            account.save()
        assert account.pending_events == pending

    def test_a_value_that_cannot_be_stored_keeps_all_of_the_save_out(
        self, app: SimpleApplication
    ) -> None:
        account = saved_account()
        account.deposit(1)
        account.change_attribute(name="a", value=object())
        with pytest.raises(EncodeError):
            account.save()
        assert (len(events(app, account)), len(account.pending_events)) == (1, 2)

    def test_a_save_that_failed_succeeds_when_repeated(self, place: Place) -> None:
        manager = FailsOnce(place.open())
        with SimpleApplication(record_manager=manager) as app:
            account = Account.create(owner="Ann")
            with pytest.raises(DiskFull):
                account.save()
            account.deposit(1)
            account.save()
            assert app.repository[account.id].balance == 1

    def test_several_aggregates_are_saved_together(self, app: SimpleApplication) -> None:
        one, other = Account.create(owner="Ann"), Account.create(owner="Bob")
        app.save(one, other)
        assert [app.repository[a.id].owner for a in (one, other)] == ["Ann", "Bob"]

    def test_a_conflict_in_the_second_stores_none(self, app: SimpleApplication) -> None:
        one, other = saved_account(), stale_account(app)
        one.deposit(5)
        with pytest.raises(ConcurrencyError) as caught:
            app.save(one, other)
        assert caught.value.originator_id == other.id
        assert [app.repository[a.id].balance for a in (one, other)] == [0, 1]
        assert [len(a.pending_events) for a in (one, other)] == [1, 1]

    def test_what_a_conflict_left_can_be_saved_alone(self, app: SimpleApplication) -> None:
        one, other = saved_account(), stale_account(app)
        one.deposit(5)
        with pytest.raises(ConcurrencyError):
            app.save(one, other)
        app.save(one)
        assert app.repository[one.id].balance == 5

    def test_a_command_that_lost_a_race_succeeds_when_repeated(
        self, app: SimpleApplication
    ) -> None:
        account = stale_account(app)
        tries = iter([account, app.repository[account.id]])

        @retry(ConcurrencyError, max_retries=1, wait=0)
        def deposit() -> None:
            copy = next(tries)
            copy.deposit(10)
            copy.save()

        deposit()
        assert app.repository[account.id].balance == 11

    def test_subscribers_see_only_what_is_stored(self, app: SimpleApplication) -> None:
        seen: list[Any] = []
        account = stale_account(app)
        subscribe(seen.append)
        try:
            with pytest.raises(ConcurrencyError):
                account.save()
            other = saved_account()
        finally:
            unsubscribe(seen.append)
        assert [event.originator_id for event in seen] == [other.id]

    # -- long streams

    def test_a_stream_of_5000_events_is_replayed(self, app: SimpleApplication) -> None:
        account = long_account(5000)
        assert app.repository[account.id].balance == 5000

    def test_a_long_stream_is_read_lazily(self, app: SimpleApplication) -> None:
        account = long_account(5000)
        stream: Iterator[Any] = app.event_store.get_domain_events(account.id, is_ascending=False)
        last = [event.originator_version for event in islice(stream, 3)]
        account.deposit(1)
        account.save()
        assert last == [5000, 4999, 4998]
        assert [event.originator_version for event in stream] == list(range(4997, -1, -1))

    # -- the end

    def test_a_closed_application_refuses_to_work(self, place: Place) -> None:
        with SimpleApplication(record_manager=place.open()) as app:
            account = saved_account()
            account.deposit(1)
        with pytest.raises(ApplicationClosedError):
            account.save()
        with pytest.raises(ApplicationClosedError):
            app.save(account)
        with pytest.raises(ApplicationClosedError):
            app.repository[account.id]

    def test_a_closed_application_leaves_nothing_behind(self, place: Place) -> None:
        SimpleApplication(record_manager=place.open()).close()
        assert_event_handlers_empty()


class DurableApplicationContract:
    """Aggregates outlive the application."""

    def test_an_aggregate_is_found_after_reopening(self, durable_place: Place) -> None:
        with SimpleApplication(record_manager=durable_place.open()):
            account = long_account(3)
        with SimpleApplication(record_manager=durable_place.open()) as app:
            assert app.repository[account.id].balance == 3

    def test_a_stream_is_continued_after_reopening(self, durable_place: Place) -> None:
        with SimpleApplication(record_manager=durable_place.open()):
            account = long_account(3)
        with SimpleApplication(record_manager=durable_place.open()) as app:
            again = app.repository[account.id]
            again.deposit(1)
            again.save()
            assert [e.originator_version for e in events(app, again)] == [0, 1, 2, 3, 4]


class FailsOnce(RecordManager):
    """A record manager whose disk is full the first time."""

    def __init__(self, manager: RecordManager) -> None:
        self.item_class = manager.item_class
        self._record = iter([self._fail])
        self._manager = manager

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        next(self._record, self._manager.record)(items)

    def _fail(self, items: Sequence[tuple[Any, ...]]) -> None:
        raise DiskFull("no space left")

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        return self._manager.get_items(sequence_id, bounds)

    def feed_position(self, sequence_id: object, position: int) -> int | None:
        return self._manager.feed_position(sequence_id, position)

    def feed(self) -> Feed:
        return self._manager.feed()

    def close(self) -> None:
        self._manager.close()


def saved_account() -> Account:
    """Return an account with one stored event."""
    account = Account.create(owner="Ann")
    account.save()
    return account


def long_account(deposits: int) -> Account:
    """Return an account with so many deposits, stored."""
    account = Account.create(owner="Ann")
    for _ in range(deposits):
        account.deposit(1)
    account.save()
    return account


def stale_account(app: SimpleApplication) -> Account:
    """Return an account with a pending event, whose position a rival has taken."""
    account = saved_account()
    account.deposit(10)
    rival = app.repository.get(account.id, Account)
    rival.deposit(1)
    rival.save()
    return account


def events(app: SimpleApplication, aggregate: AggregateRoot) -> list[Any]:
    """Return what is stored of the aggregate."""
    return list(app.event_store.get_domain_events(aggregate.id))
