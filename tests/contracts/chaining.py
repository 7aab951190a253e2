"""What chained streams promise: whatever was done to a stored stream is found and named."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import delete

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import Report, make_checkpoint, verify
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.exceptions import ConcurrencyError, DataIntegrityError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.resealing import reseal
from eventsourcing.utils.cipher import CipherKey
from eventsourcing.utils.ids import id_to_text
from eventsourcing.utils.signing import SigningKey
from tests.contracts.erasure import Customer
from tests.contracts.model import Account
from tests.contracts.places import Place, SQLAlchemyPlace
from tests.contracts.sealing import NEW, OLD, sealing

EVENTS = 8
MANY = 250  # events: more than what is read with all columns at first
OTHER = "0" * 32

Items = list[ChainedEvent]
Harm = Callable[[Items], Items]


@contextmanager
def application(manager: Any, *keys: CipherKey, **options: Any) -> Iterator[SimpleApplication]:
    """Give an application that leaves the record manager open."""
    app = SimpleApplication(
        record_manager=manager, protection=sealing(*keys) if keys else None, chained=True, **options
    )
    app.event_store.close = lambda: None  # type: ignore[method-assign]
    with app:
        yield app


def save_account(app: SimpleApplication, name: str, events: int = EVENTS) -> Account:
    """Return an account that is stored, event by event, with the last three in one batch."""
    with unit_of_work("a request"):
        account = Account.create(id=name, owner=name)
        for amount in range(1, events):
            account.deposit(amount)
            if amount < events - 3:
                app.save(account)
        app.save(account)
    return account


def items_of(manager: RecordManager, name: str) -> Items:
    """Return what is stored of a stream."""
    return [ChainedEvent._make(item) for item in manager.get_items(name)]


def rewrite(manager: RecordManager, name: str, items: Items) -> None:
    """Do what somebody with access to the table could do."""
    if isinstance(manager, MemoryRecordManager):
        old = manager._sequences.pop(id_to_text(name))
        manager._all[:] = [item for item in manager._all if item not in old.values()]
    else:
        assert isinstance(manager, SQLAlchemyRecordManager)
        with manager.datastore.transaction() as connection:
            column = manager.table.c.originator_id
            connection.execute(delete(manager.table).where(column == name))
    manager.record(items)


def moved(items: Items, by: int) -> Items:
    """Return items as if they were at other positions."""
    return [item._replace(originator_version=item.originator_version + by) for item in items]


def edit(number: int, **values: Any) -> Harm:
    return lambda items: [
        item._replace(**values) if at == number else item for at, item in enumerate(items)
    ]


def edit_state(number: int) -> Harm:
    def harm(items: Items) -> Items:
        state = items[number].state.replace('"amount":', '"amount":1')
        assert state != items[number].state
        return edit(number, state=state)(items)

    return harm


def swap(items: Items) -> Items:
    two, three = moved([items[3]], -1) + moved([items[2]], 1)
    return [*items[:2], two, three, *items[4:]]


def swap_chains_too(items: Items) -> Items:
    return swap(items)[:2] + [
        item._replace(chain=items[at].chain) for at, item in enumerate(swap(items)) if at >= 2
    ]


def delete_from_middle(items: Items) -> Items:
    return items[:3] + items[4:]


def delete_and_renumber(items: Items) -> Items:
    return items[:3] + moved(items[4:], -1)


def delete_first_and_renumber(items: Items) -> Items:
    return items[:1] + moved(items[2:], -1)


def insert(items: Items) -> Items:
    new = items[2]._replace(originator_version=3, event_id=OTHER)
    return [*items[:3], new, *moved(items[3:], 1)]


def append(items: Items) -> Items:
    return [*items, items[-1]._replace(originator_version=len(items), event_id=OTHER)]


def append_unchained(items: Items) -> Items:
    return [*items, append(items)[-1]._replace(chain=None)]


HARMS: dict[str, tuple[Harm, int]] = {
    "the state of one": (edit_state(3), 3),
    "the state of the last one": (edit_state(EVENTS - 1), EVENTS - 1),
    "a topic": (edit(4, topic="tests.contracts.model#Account.Discarded"), 4),
    "an event id": (edit(4, event_id=OTHER), 4),
    "a correlation id": (edit(5, correlation_id="another"), 5),
    "no correlation id": (edit(5, correlation_id=None), 5),
    "a causation id": (edit(5, causation_id=""), 5),
    "a hash": (edit(2, chain="0" * 64), 2),
    "no hash": (edit(2, chain=None), 2),
    "no first hash": (edit(0, chain=None), 1),
    "two swapped": (swap, 2),
    "two swapped without their hashes": (swap_chains_too, 2),
    "one deleted": (delete_from_middle, 4),
    "one deleted, and the others renumbered": (delete_and_renumber, 3),
    "an early one deleted, and the others renumbered": (delete_first_and_renumber, 1),
    "one inserted": (insert, 3),
    "one appended": (append, EVENTS),
    "one appended without a hash": (append_unchained, EVENTS),
}
"""What is done, and the version of the first event that is named for it."""


def kinds(report: Report) -> list[tuple[str, object, object]]:
    return [(f.kind, f.originator_id, f.originator_version) for f in report.findings]


class ChainingContract:
    """A stream's events are chained by hashes, which are checked whenever it is read."""

    @pytest.fixture
    def manager(self, place: Place) -> Iterator[RecordManager]:
        manager = place.open(ChainedEvent)
        yield manager
        manager.close()

    @pytest.mark.parametrize("keys", [(), (OLD,)])
    @pytest.mark.parametrize("events", [1, EVENTS, MANY])
    def test_a_stream_that_nobody_touched_is_fine(
        self, manager: RecordManager, keys: Any, events: int
    ) -> None:
        with application(manager, *keys) as app:
            save_account(app, "Bob")
            account = save_account(app, "Ann", events)
            assert app.repository.get("Ann", Account).balance == account.balance
            assert verify(app).found == 0
        links = [item.chain for item in items_of(manager, "Ann")]
        assert len({link for link in links if link is not None and len(link) == 64}) == events

    @pytest.mark.parametrize("what", HARMS)
    def test_whatever_was_done_is_found_and_named(self, manager: RecordManager, what: str) -> None:
        harm, version = HARMS[what]
        with application(manager) as app:
            save_account(app, "Bob")
            save_account(app, "Ann")
            rewrite(manager, "Ann", harm(items_of(manager, "Ann")))
            for read in (
                lambda: app.repository["Ann"],
                lambda: list(app.repository.history("Ann")),
                lambda: list(app.event_store.get_domain_events("Ann")),
            ):
                with pytest.raises(DataIntegrityError) as caught:
                    read()
                error = caught.value
                assert (error.originator_id, error.originator_version) == ("Ann", version)
            assert ("broken chain", "Ann", version) in kinds(verify(app))
            assert app.repository.get("Bob", Account).version == EVENTS

    def test_rewriting_all_the_same_is_fine(self, manager: RecordManager) -> None:
        with application(manager) as app:
            save_account(app, "Ann")
            rewrite(manager, "Ann", items_of(manager, "Ann"))
            assert verify(app).found == 0

    @pytest.mark.parametrize("version", [0, 3, EVENTS - 1])
    def test_a_part_of_a_stream_is_checked_too(self, manager: RecordManager, version: int) -> None:
        with application(manager) as app:
            save_account(app, "Ann")
            before = list(app.event_store.get_domain_events("Ann"))
            harm = edit(version, correlation_id="another")
            rewrite(manager, "Ann", harm(items_of(manager, "Ann")))
            read = app.event_store.get_domain_events
            for bounds in ({}, {"limit": 1}, {"lte": version}):
                for ascending in (True, False):
                    options: Any = {"is_ascending": ascending, **bounds}
                    if "limit" in bounds:
                        options |= {"gte": version} if ascending else {"lte": version}
                    with pytest.raises(DataIntegrityError) as caught:
                        list(read("Ann", **options))
                    assert caught.value.originator_version == version
            assert list(read("Ann", lt=version)) == before[:version]
            assert list(read("Ann", gt=version + 1)) == before[version + 2 :]
            assert list(read("Ann", limit=0)) == []

    def test_an_aggregate_as_it_was_before_the_harm_can_be_read(
        self, manager: RecordManager
    ) -> None:
        with application(manager) as app:
            save_account(app, "Ann")
            rewrite(manager, "Ann", edit_state(4)(items_of(manager, "Ann")))
            assert app.repository.get("Ann", Account, version=4).balance == 1 + 2 + 3
            with pytest.raises(DataIntegrityError):
                app.repository.get("Ann", version=5)

    def test_only_a_checkpoint_finds_that_the_last_ones_are_gone(
        self, manager: RecordManager
    ) -> None:
        key = SigningKey.new()
        with application(manager) as app:
            save_account(app, "Ann")
            checkpoint = make_checkpoint(app, key)
            assert verify(app, [checkpoint], key=key.public).found == 0
            rewrite(manager, "Ann", items_of(manager, "Ann")[:-2])
            assert verify(app).found == 0
            assert verify(app, [checkpoint], key=key.public).found == 1

    def test_a_stream_that_was_begun_without_hashes_goes_on_with_them(
        self, manager: RecordManager
    ) -> None:
        with application(manager) as app:
            save_account(app, "Ann")
            plain = [item._replace(chain=None) for item in items_of(manager, "Ann")]
            rewrite(manager, "Ann", plain)
            account = app.repository.get("Ann", Account)
            for _ in range(2):
                account.deposit(1)
                app.save(account)
            assert verify(app).found == 0
            items = items_of(manager, "Ann")
            assert [item.chain is None for item in items] == [True] * EVENTS + [False] * 2
            assert app.repository.get("Ann", Account).version == EVENTS + 2
            rewrite(manager, "Ann", edit_state(EVENTS)(items))
            assert kinds(verify(app)) == [("broken chain", "Ann", EVENTS)]

    def test_every_break_is_reported_with_what_is_unreadable_and_missing(
        self, manager: RecordManager
    ) -> None:
        with application(manager) as app:
            save_account(app, "Ann")
            items = edit_state(5)(edit_state(2)(items_of(manager, "Ann")))
            rewrite(manager, "Ann", items[1:])
            found = kinds(verify(app))
        assert found == [
            ("missing", "Ann", 0),
            *(("broken chain", "Ann", version) for version in (1, 2, 5)),
        ]

    def test_who_is_refused_leaves_the_chain_whole(self, manager: RecordManager) -> None:
        with application(manager) as app:
            account = save_account(app, "Ann")
            rival = app.repository.get("Ann", Account)
            account.deposit(1)
            rival.deposit(2)
            app.save(account)
            with pytest.raises(ConcurrencyError) as caught:
                app.save(rival)
            assert caught.value.actual_version == EVENTS + 1
            assert verify(app).found == 0

    def test_an_event_whose_predecessor_is_gone_is_refused(self, manager: RecordManager) -> None:
        with application(manager) as app:
            account = save_account(app, "Ann")
            rewrite(manager, "Ann", items_of(manager, "Ann")[:-2])
            account.deposit(1)
            with pytest.raises(ConcurrencyError) as caught:
                app.save(account)
            error = caught.value
            assert (error.expected_version, error.actual_version) == (EVENTS, EVENTS - 2)
            assert len(items_of(manager, "Ann")) == EVENTS - 2

    def test_events_that_are_stored_again_change_nothing(self, manager: RecordManager) -> None:
        account = Account.create(id="Ann", owner="Ann")
        for _ in range(3):
            account.deposit(1)
        events = account.pending_events
        with application(manager, OLD) as app:
            app.event_store.store(events[:2])
            app.event_store.store(events)
            app.event_store.store(events)
            assert (verify(app).found, len(items_of(manager, "Ann"))) == (0, 4)

    def test_many_threads_keep_their_chains_whole(self, manager: RecordManager) -> None:
        def work(app: SimpleApplication, number: int) -> None:
            mine = save_account(app, f"mine {number}")
            for _ in range(10):
                both = app.repository.get("shared", Account)
                both.deposit(1)
                mine.deposit(1)
                try:
                    app.save(both, mine)
                except ConcurrencyError:
                    mine = app.repository.get(mine.id, Account)

        with application(manager) as app:
            save_account(app, "shared")
            threads = [threading.Thread(target=work, args=(app, number)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            report = verify(app)
        assert (report.found, report.events >= 9 * EVENTS) == (0, True)

    def test_snapshots_and_the_cache_read_through_the_chain(self, manager: RecordManager) -> None:
        options: Any = {"snapshotting_policy": SnapshottingPolicy(3)}
        for each in (options, {"cache_size": 10}, options | {"cache_size": 10}):
            name = f"Ann {len(each)} {'cache_size' in each}"
            with application(manager, **each) as app:
                account = save_account(app, name)
                assert app.repository.get(name, Account).balance == account.balance
                account.deposit(7)
                app.save(account)
                assert app.repository.get(name, Account).balance == account.balance
                rewrite(manager, name, edit_state(EVENTS)(items_of(manager, name)))
                with pytest.raises(DataIntegrityError) as caught:
                    app.repository[name]
                assert caught.value.originator_version == EVENTS

    def test_a_person_can_be_forgotten(self, manager: RecordManager) -> None:
        key = SigningKey.new()
        with application(manager, OLD) as app:
            customer = Customer.create(id="Ann", name="Ann")
            app.save(customer)
            customer.visit()
            app.save(customer)
            checkpoint = make_checkpoint(app, key)
            app.forget("Ann")
            assert app.repository.get("Ann", Customer).name == "(erased)"
            customer.visit()
            app.save(customer)
            assert verify(app, [checkpoint], key=key.public).found == 0


class DurableChainingContract:
    """The chain holds where rows are written again."""

    def test_a_stream_that_is_encrypted_under_another_key_is_fine(
        self, durable_place: SQLAlchemyPlace
    ) -> None:
        manager = durable_place.open(ChainedEvent)
        with application(manager, OLD) as app:
            save_account(app, "Ann")
        assert reseal(manager, sealing(NEW, OLD)).written == EVENTS
        with application(manager, NEW) as app:
            account = app.repository.get("Ann", Account)
            account.deposit(1)
            app.save(account)
            assert verify(app).found == 0
            assert app.repository.get("Ann", Account).version == EVENTS + 1
        manager.close()
