"""What a cache of aggregates promises: what a load without it would give, to each caller alone."""

import multiprocessing
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError, RepositoryKeyError
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import SequencedItem
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from tests.contracts.model import Account
from tests.contracts.places import Place, SQLAlchemyPlace
from tests.contracts.snapshotting import Locked, Tree
from tests.contracts.timetravel import Basket, account_with


class CachingContract:
    """A cache gives what is stored now, and gives it to nobody twice."""

    @pytest.fixture
    def manager(self, place: Place) -> RecordManager:
        return place.open()

    @pytest.fixture
    def app(self, manager: RecordManager) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=manager, cache_size=2) as app:
            yield app

    def test_an_aggregate_is_what_its_events_make_of_it(self, app: SimpleApplication) -> None:
        account = account_with(deposits=5)
        replayed, cached = app.repository[account.id], app.repository[account.id]
        assert (type(cached), cached.__dict__) == (Account, replayed.__dict__)

    def test_only_the_last_event_and_newer_ones_are_read_again(
        self, app: SimpleApplication, reads: list[Any]
    ) -> None:
        account = account_with(deposits=150)
        app.repository[account.id]
        account.deposit(1)
        account.save()
        reads.clear()
        assert app.repository.get(account.id, Account).balance == 151
        assert app.repository.get(account.id, Account).balance == 151
        assert reads == [[150, 151], [151]]

    @pytest.fixture
    def reads(self, manager: RecordManager, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """The positions of what is read from now on, a list for each query."""
        found: list[Any] = []
        read = manager.get_items

        def get_items(*args: Any) -> Iterator[Any]:
            positions: list[int] = []
            found.append(positions)
            for item in read(*args):
                positions.append(item[1])
                yield item

        monkeypatch.setattr(manager, "get_items", get_items)
        return found

    def test_those_asked_for_last_are_kept(
        self, app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, third = (account_with(deposits=n).id for n in (1, 2, 3))
        for id_ in (first, second, first, third):
            app.repository[id_]
        assert app.repository._cache is not None
        assert [entry.state.id for entry in app.repository._cache._entries.values()] == [
            first,
            third,
        ]

    def test_ids_of_other_types_are_other_aggregates(self, app: SimpleApplication) -> None:
        for id_, owner in ((5, "Ann"), ("5", "Bob")):
            Account.create(id=id_, owner=owner).save()
        for _ in range(2):
            assert [app.repository[id_].owner for id_ in (5, "5")] == ["Ann", "Bob"]

    def test_what_was_given_is_nobody_elses(self, app: SimpleApplication) -> None:
        basket = Basket.create(things=["a"])
        basket.save()
        for _ in range(3):
            found = app.repository.get(basket.id, Basket)
            assert found.things == ["a"]
            found.things.append("mine")
            found.add("not saved")

    def test_objects_that_were_one_are_one(self, app: SimpleApplication) -> None:
        tree = Tree.create()
        tree.save()
        for n in range(3):
            found = app.repository.get(tree.id, Tree)
            found.grow()
            found.save()
            assert found.leaves == [*range(n + 1)]

    def test_two_callers_do_not_overwrite_each_other(self, app: SimpleApplication) -> None:
        account = account_with(deposits=1)
        one, other = (app.repository.get(account.id, Account) for _ in range(2))
        one.deposit(1)
        one.save()
        other.deposit(1)
        with pytest.raises(ConcurrencyError):
            other.save()
        again = app.repository.get(account.id, Account)
        again.deposit(1)
        again.save()
        assert app.repository.get(account.id, Account).balance == 3

    def test_what_is_discarded_is_not_found(self, app: SimpleApplication) -> None:
        account = account_with(deposits=1)
        app.repository[account.id]
        account.discard()
        account.save()
        for _ in range(2):
            with pytest.raises(RepositoryKeyError):
                app.repository[account.id]

    def test_what_cannot_be_copied_is_loaded_each_time(
        self, app: SimpleApplication, caplog: pytest.LogCaptureFixture
    ) -> None:
        locked = Locked.create()
        locked.save()
        assert app.repository[locked.id].lock is not app.repository[locked.id].lock
        assert caplog.text.count("Locked is not cached") == 1

    def test_the_past_is_not_touched(self, app: SimpleApplication) -> None:
        account = account_with(deposits=3)
        app.repository[account.id]
        assert app.repository.get(account.id, Account, version=2).balance == 1
        assert app.repository.get(account.id, Account).balance == 3

    def test_it_goes_together_with_snapshots(self, manager: RecordManager) -> None:
        policy = SnapshottingPolicy(every=10)
        with SimpleApplication(
            record_manager=manager, snapshotting_policy=policy, cache_size=5
        ) as app:
            account = account_with(deposits=20)
            for n in range(3):
                assert app.repository.get(account.id, Account).balance == 20 + n
                account.deposit(1)
                account.save()

    def test_items_without_event_ids_will_do(self, place: Place) -> None:
        manager = place.open(SequencedItem)
        with SimpleApplication(record_manager=manager, cache_size=5) as app:
            account = account_with(deposits=2)
            assert [app.repository[account.id].balance for _ in range(3)] == [2, 2, 2]

    def test_threads_are_given_what_is_stored(self, app: SimpleApplication) -> None:
        account = account_with(deposits=0)
        is_done = threading.Event()
        wrong: list[Any] = []

        def load() -> None:
            before = 0
            while not is_done.is_set():
                found = app.repository.get(account.id, Account)
                if found.version < before or found.balance != found.version - 1:
                    wrong.append((before, found.version, found.balance))
                before = found.version
                found.balance = -1

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(60):
            account.deposit(1)
            account.save()
            if app.repository.get(account.id, Account).balance != n + 1:
                wrong.append(n)
        is_done.set()
        for thread in threads:
            thread.join(60)
        assert wrong == []


class DurableCachingContract:
    """The store is not this process's alone."""

    def test_what_other_processes_save_is_seen(self, durable_place: SQLAlchemyPlace) -> None:
        fork = multiprocessing.get_context("fork")
        with SimpleApplication(record_manager=durable_place.open(), cache_size=5) as app:
            account = account_with(deposits=0)
            app.repository[account.id]
            writers = [fork.Process(target=deposit, args=(app, account.id)) for _ in range(2)]
            for writer in writers:
                writer.start()
            versions = [1]
            while any(writer.is_alive() for writer in writers):
                found = app.repository.get(account.id, Account)
                assert found.balance == found.version - 1
                versions.append(found.version)
            for writer in writers:
                writer.join(60)
            assert versions == sorted(versions)
            assert [writer.exitcode for writer in writers] == [0, 0]
            assert app.repository.get(account.id, Account).balance == 40

    def test_what_was_rolled_back_is_not_found(self, durable_place: SQLAlchemyPlace) -> None:
        engine = sa.create_engine(SQLAlchemySettings(uri=durable_place.uri).url)
        try:
            with Session(engine) as session:
                app = SimpleApplication(session=session, cache_size=5)
                account = account_with(deposits=0)
                session.commit()
                account.deposit(1)
                account.save()
                assert app.repository.get(account.id, Account).balance == 1
                session.rollback()
                assert app.repository.get(account.id, Account).balance == 0
                app.close()
        finally:
            engine.dispose()

    def test_a_stream_that_was_restored_and_continued_is_read_again(
        self, durable_place: SQLAlchemyPlace
    ) -> None:
        manager = durable_place.open()
        with SimpleApplication(record_manager=manager, cache_size=5) as app:
            account = account_with(deposits=3)
            assert app.repository.get(account.id, Account).balance == 3
            truncate(manager, account.id, 3)
            assert app.repository.get(account.id, Account).balance == 2
            app.repository[account.id]
            truncate(manager, account.id, 2)
            with SimpleApplication(record_manager=durable_place.open()) as other:
                again = other.repository.get(account.id, Account)
                again.deposit(100)
                other.save(again)
            assert app.repository.get(account.id, Account).balance == 101


def deposit(app: SimpleApplication, originator_id: Any) -> None:
    """Make 20 deposits, against others who do."""
    for _ in range(20):
        while True:
            account = app.repository.get(originator_id, Account)
            account.deposit(1)
            try:
                app.save(account)
                break
            except ConcurrencyError:
                continue


def truncate(manager: SQLAlchemyRecordManager, originator_id: Any, version: int) -> None:
    """Remove the events from a version on, as where an older backup was restored."""
    c = manager.table.c
    with manager.datastore.transaction() as connection:
        connection.execute(
            sa.delete(manager.table).where(
                c.originator_id == originator_id, c.originator_version >= version
            )
        )
