"""What a repository promises about the past of an aggregate."""

import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from dateutil import tz

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import (
    AggregateTypeError,
    ConcurrencyError,
    InvalidMoment,
    ProgrammingError,
    RepositoryKeyError,
    VersionNotFound,
)
from eventsourcing.infrastructure.eventsourcedrepository import EventSourcedRepository
from tests.contracts.model import Account, Happened
from tests.contracts.places import Place

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


class Basket(AggregateRoot):
    """An aggregate whose state is a mutable value, which is that of an event at first."""

    def __init__(self, things: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.things = things

    @event("Added")
    def add(self, thing: str) -> None:
        self.things.append(thing)


class TimeTravelContract:
    """An aggregate can be had as it was, and its past be walked through."""

    @pytest.fixture
    def app(self, place: Place) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=place.open()) as app:
            yield app

    # -- by version

    @pytest.mark.parametrize("version", [1, 2, 99, 100, 101, 102, 150, 151])
    def test_it_is_as_it_was_after_so_many_events(
        self, app: SimpleApplication, version: int
    ) -> None:
        account = account_with(deposits=150)
        found = app.repository.get(account.id, Account, version=version)
        assert (found.version, found.balance) == (version, version - 1)

    @pytest.mark.parametrize("version", [3, 100, 101, 2**63, 2**70])
    def test_a_version_that_it_has_not_come_to_is_an_error(
        self, app: SimpleApplication, version: int
    ) -> None:
        account = account_with(deposits=1)
        with pytest.raises(VersionNotFound, match="is at version 2") as caught:
            app.repository.get(account.id, version=version)
        assert caught.value.actual_version == 2

    def test_no_version_of_what_was_never_saved_is_found(self, app: SimpleApplication) -> None:
        with pytest.raises(RepositoryKeyError) as caught:
            app.repository.get("nobody", version=1)
        assert type(caught.value) is RepositoryKeyError

    @pytest.mark.parametrize("version", [0, -1, True, 1.0, "1"])
    def test_what_is_no_version_is_refused(self, app: SimpleApplication, version: Any) -> None:
        account = account_with(deposits=1)
        with pytest.raises(ProgrammingError, match="a version is an int"):
            app.repository.get(account.id, version=version)

    def test_its_class_is_checked(self, app: SimpleApplication) -> None:
        account = account_with(deposits=1)
        with pytest.raises(AggregateTypeError):
            app.repository.get(account.id, Basket, version=1)

    def test_what_is_discarded_by_now_is_found_as_it_was(self, app: SimpleApplication) -> None:
        account = account_with(deposits=1)
        account.discard()
        account.save()
        assert app.repository.get(account.id, Account, version=2).balance == 1
        with pytest.raises(RepositoryKeyError):
            app.repository.get(account.id, version=3)

    def test_an_old_version_is_not_saved_over_newer_ones(self, app: SimpleApplication) -> None:
        account = account_with(deposits=2)
        old = app.repository.get(account.id, Account, version=2)
        old.deposit(100)
        with pytest.raises(ConcurrencyError) as caught:
            old.save()
        assert (caught.value.expected_version, caught.value.actual_version) == (2, 3)
        assert app.repository.get(account.id, Account).balance == 2

    def test_the_newest_version_is_saved_as_any(self, app: SimpleApplication) -> None:
        account = account_with(deposits=2)
        newest = app.repository.get(account.id, Account, version=3)
        newest.deposit(100)
        newest.save()
        assert app.repository.get(account.id, Account).balance == 102

    # -- by time

    @pytest.mark.parametrize(
        ("hours", "version"), [(0, 1), (0.5, 1), (1, 2), (1.99, 2), (2, 3), (99, 3)]
    )
    def test_it_is_as_it_was_at_a_time(
        self, app: SimpleApplication, hours: float, version: int
    ) -> None:
        id_ = store_at(app, [0, 1, 2])
        found = app.repository.get(id_, Account, at=NOON + timedelta(hours=hours))
        assert (found.version, found.balance) == (version, version - 1)

    @pytest.mark.parametrize(
        "text",
        [
            "2024-02-29T13:30:00Z",
            "2024-02-29 14:30+01:00",
            "Thu, 29 Feb 2024 08:30:00 -0500",
            "29 February 2024 13:30 UTC",
        ],
    )
    def test_a_time_may_be_a_text(self, app: SimpleApplication, text: str) -> None:
        id_ = store_at(app, [0, 1, 2])
        assert app.repository.get(id_, at=text).version == 2

    def test_a_time_may_be_of_any_zone(self, app: SimpleApplication) -> None:
        id_ = store_at(app, [0, 1, 2])
        moment = datetime(2024, 2, 29, 23, 30, tzinfo=timezone(timedelta(hours=10)))
        assert app.repository.get(id_, at=moment).version == 2

    def test_events_of_the_same_time_are_there_together(self, app: SimpleApplication) -> None:
        id_ = store_at(app, [0, 1, 1, 1, 2])
        assert app.repository.get(id_, at=NOON + timedelta(hours=1)).version == 4

    def test_an_event_whose_clock_was_ahead_is_there_with_the_one_after_it(
        self, app: SimpleApplication
    ) -> None:
        id_ = store_at(app, [0, 24, 1, 2])
        versions = [
            app.repository.get(id_, at=NOON + timedelta(hours=h)).version for h in (0.5, 1, 2)
        ]
        assert versions == [1, 3, 4]

    def test_a_time_before_its_first_event_is_an_error(self, app: SimpleApplication) -> None:
        id_ = store_at(app, [0, 1])
        with pytest.raises(VersionNotFound, match="2024-02-29T11:59:59") as caught:
            app.repository.get(id_, at=NOON - timedelta(seconds=1))
        assert caught.value.actual_version == 2

    def test_it_was_never_there_if_it_was_never_saved(self, app: SimpleApplication) -> None:
        with pytest.raises(RepositoryKeyError) as caught:
            app.repository.get("nobody", at=NOON)
        assert type(caught.value) is RepositoryKeyError

    @pytest.mark.parametrize(
        "moment",
        [
            datetime(2024, 2, 29, 12),
            "2024-02-29T12:00:00",
            "2024-02-29T12:00:00 EST",
            "yesterday",
            "",
            "12:00Z",
            "2024-02 Z",
            "2024-02-30T12:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "2024-02-29T12:00:00+24:00",
            "2024-02-29T12:00:00-99:00",
            datetime(2024, 2, 29, 12, tzinfo=tz.tzoffset(None, 86400)),
            "2024-02-29 Z",
            "2024-02-29 +01:00",
            "9" * 400,
            date(2024, 2, 29),
            1709208000,
        ],
    )
    def test_what_is_no_point_in_time_is_refused(self, app: SimpleApplication, moment: Any) -> None:
        id_ = store_at(app, [0])
        with pytest.raises(InvalidMoment):
            app.repository.get(id_, at=moment)

    def test_a_version_and_a_time_are_not_given_both(self, app: SimpleApplication) -> None:
        with pytest.raises(ProgrammingError, match="give one of"):
            app.repository.get("x", version=1, at=NOON)

    def test_events_without_times_are_found_at_none(self, app: SimpleApplication) -> None:
        app.event_store.store(Happened(originator_id="x", originator_version=0))
        with pytest.raises(ProgrammingError, match=r"event 0 of 'x' .* has no time"):
            app.repository.get("x", at=NOON)

    # -- history

    def test_history_gives_each_event_with_the_state_after_it(self, app: SimpleApplication) -> None:
        account = account_with(deposits=120)
        account.discard()
        account.save()
        walked = [
            (e.__dict__["originator_version"], state and state.balance, state and state.version)
            for e, state in app.repository.history(account.id)
        ]
        expected: list[Any] = [(n, n, n + 1) for n in range(121)]
        assert walked == [*expected, (121, None, None)]

    def test_history_can_begin_later(self, app: SimpleApplication) -> None:
        account = account_with(deposits=5)
        walked = app.repository.history(account.id, after=4)
        assert [(type(e).__name__, state.balance) for e, state in walked] == [
            ("Deposited", 4),
            ("Deposited", 5),
        ]

    def test_what_history_gave_is_nobody_elses(self, app: SimpleApplication) -> None:
        basket = Basket.create(things=["a"])
        basket.add("b")
        basket.add("c")
        basket.save()
        seen = []
        for happened, state in app.repository.history(basket.id):
            given = happened.__dict__.get("things", [])
            seen.append(([*given], [*state.things]))
            state.things.append("mine")
            given.append("mine")
        assert seen == [(["a"], ["a"]), ([], ["a", "b"]), ([], ["a", "b", "c"])]

    def test_a_state_of_history_is_not_saved_over_newer_ones(self, app: SimpleApplication) -> None:
        account = account_with(deposits=2)
        _, first = next(app.repository.history(account.id))
        first.deposit(100)
        with pytest.raises(ConcurrencyError):
            first.save()

    def test_history_of_what_was_never_saved_is_an_error(self, app: SimpleApplication) -> None:
        with pytest.raises(RepositoryKeyError):
            next(app.repository.history("nobody"))

    def test_history_after_more_events_than_there_are_is_an_error(
        self, app: SimpleApplication
    ) -> None:
        account = account_with(deposits=2)
        assert [*app.repository.history(account.id, after=3)] == []
        with pytest.raises(VersionNotFound):
            next(app.repository.history(account.id, after=4))
        with pytest.raises(ProgrammingError, match="a version is an int"):
            app.repository.history(account.id, after=-1)

    # -- repositories with a function of their own

    def test_a_mutator_function_travels_too(self, app: SimpleApplication) -> None:
        account = account_with(deposits=3)
        repository = EventSourcedRepository(app.event_store, mutator_func=names)
        assert repository.get(account.id, version=2) == ["Created", "Deposited"]
        assert [len(state) for _, state in repository.history(account.id)] == [1, 2, 3, 4]
        with pytest.raises(VersionNotFound):
            repository.get(account.id, version=5)


class LongHistoryContract:
    """Rows are not in this process's memory."""

    def test_history_takes_no_more_memory_for_more_events(self, durable_place: Place) -> None:
        with SimpleApplication(record_manager=durable_place.open()) as app:
            account = account_with(deposits=3000)

            def peak(events: int) -> int:
                walk = app.repository.history(account.id)
                tracemalloc.start()
                for _ in range(events):
                    next(walk)
                _, found = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                return found

            peak(3000)  # what is made once
            assert peak(3000) < peak(1200) + 1_000_000


def account_with(deposits: int) -> Account:
    """Return a stored account with so many deposits of 1."""
    account = Account.create(owner="Ann")
    for _ in range(deposits):
        account.deposit(1)
    account.save()
    return account


def store_at(app: SimpleApplication, hours: Sequence[float]) -> str:
    """Store the events of an account, so many hours after noon by their clocks."""
    times = [NOON + timedelta(hours=h) for h in hours]
    account = Account.create(id="Ann", owner="Ann")
    for _ in times[1:]:
        account.deposit(1)
    for pending, moment in zip(account.pending_events, times, strict=True):
        pending.__dict__["timestamp"] = moment
    account.save()
    return "Ann"


def names(state: list[str] | None, happened: DomainEvent) -> list[str]:
    """Return the names of the events so far."""
    return [*(state or ()), type(happened).__name__]
