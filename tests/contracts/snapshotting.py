"""What snapshots promise: to save time, and to change nothing."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.exceptions import (
    ConcurrencyError,
    DatabaseUnavailable,
    EncodeError,
    ProgrammingError,
    RepositoryKeyError,
    VersionNotFound,
)
from eventsourcing.infrastructure import snapshotting
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.recordmanager import Bounds, RecordManager
from eventsourcing.infrastructure.sequenceditem import SequencedItem
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord, SnapshotRecords
from eventsourcing.utils.cipher import CipherKey, Keyring
from eventsourcing.utils.ids import digest_of
from tests.contracts.evolution import Purse, rows
from tests.contracts.model import Account
from tests.contracts.places import Place
from tests.contracts.timetravel import account_with

CANARY = "canary-7261"


@dataclass
class Line:
    """A part of an order."""

    thing: str
    count: int = 1


class Order(AggregateRoot):
    """An aggregate with values of many types."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lines: list[Line] = []
        self.by_thing: dict[str, tuple[int, ...]] = {}

    @event("Added")
    def add(self, thing: str) -> None:
        self.lines.append(Line(thing))
        self.by_thing[thing] = (*self.by_thing.get(thing, ()), len(self.lines))


class Tree(AggregateRoot):
    """An aggregate with one list in two places."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leaves: list[int] = []
        self.newest = self.leaves

    @event("Grown")
    def grow(self) -> None:
        self.newest.append(len(self.leaves))


class Locked(AggregateRoot):
    """An aggregate with a value that has no stored form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = threading.Lock()


class Slotted(AggregateRoot):
    """An aggregate with a value that is not in its ``__dict__``."""

    __slots__ = ("count",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = 0

    @event("Counted")
    def add(self) -> None:
        self.count += 1


class SnapshottingContract:
    """Aggregates are loaded from snapshots, and are what their events make of them."""

    @pytest.fixture
    def manager(self, place: Place) -> RecordManager:
        return place.open()

    @pytest.fixture
    def app(self, manager: RecordManager) -> Iterator[SimpleApplication]:
        policy = SnapshottingPolicy(every=10)
        with SimpleApplication(record_manager=manager, snapshotting_policy=policy) as app:
            yield app

    @pytest.fixture
    def records(self, app: SimpleApplication) -> SnapshotRecords:
        return app.event_store.record_manager.snapshots()

    # -- when they are taken

    def test_one_is_taken_when_a_load_replays_many_events(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        account = account_with(deposits=9)
        assert records.newest(account.id, None) is None
        app.repository[account.id]
        assert version_of(records, account.id) == 10

    def test_none_is_taken_when_a_load_replays_few_events(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        account = account_with(deposits=8)
        app.repository[account.id]
        assert records.newest(account.id, None) is None

    def test_the_next_is_taken_after_so_many_events_more(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        account = account_with(deposits=9)
        versions = []
        for _ in range(30):
            app.repository[account.id]
            versions.append(version_of(records, account.id))
            account.deposit(1)
            account.save()
        assert [*dict.fromkeys(versions)] == [10, 20, 30]
        assert version_of(records, account.id, at_most=29) == 20

    def test_none_is_taken_for_classes_that_get_none(self, manager: RecordManager) -> None:
        policy = SnapshottingPolicy(every=None, by_class={AggregateRoot: 5, Account: None})
        with SimpleApplication(record_manager=manager, snapshotting_policy=policy) as app:
            account, order = account_with(deposits=50), order_with(4)
            app.repository[account.id], app.repository[order.id]
            records = manager.snapshots()
            assert records.newest(account.id, None) is None
            assert version_of(records, order.id) == 5

    def test_one_is_taken_on_demand(self, manager: RecordManager) -> None:
        policy = SnapshottingPolicy(every=None)
        with SimpleApplication(record_manager=manager, snapshotting_policy=policy) as app:
            account = account_with(deposits=2)
            assert app.take_snapshot(account.id) == 3
            assert app.take_snapshot(account.id) == 3
            assert version_of(manager.snapshots(), account.id) == 3
            with pytest.raises(RepositoryKeyError):
                app.take_snapshot("nobody")

    @pytest.mark.parametrize("keep", [1, 2, None])
    def test_the_last_ones_are_kept(self, manager: RecordManager, keep: int | None) -> None:
        policy = SnapshottingPolicy(every=10, keep=keep)
        with SimpleApplication(record_manager=manager, snapshotting_policy=policy) as app:
            records = manager.snapshots()
            other, account = account_with(deposits=9), account_with(deposits=9)
            app.repository[other.id], app.repository[account.id]
            for _ in range(3):
                for _ in range(10):
                    account.deposit(1)
                account.save()
                assert app.repository.get(account.id, Account).balance == account.balance
            found = [version_of(records, account.id, at_most=n) for n in (10, 20, 30, 40)]
            first = 10 if keep is None else 50 - 10 * keep
            assert found == [n if n >= first else None for n in (10, 20, 30, 40)]
            assert version_of(records, other.id) == 10
            assert app.repository.get(account.id, Account, version=15).balance == 14

    def test_none_is_taken_without_a_policy(self, manager: RecordManager) -> None:
        with SimpleApplication(record_manager=manager) as app:
            account = account_with(deposits=200)
            app.repository[account.id]
            assert manager.snapshots().newest(account.id, None) is None
            with pytest.raises(ProgrammingError, match="no snapshotting_policy"):
                app.take_snapshot(account.id)

    # -- what is loaded

    def test_an_aggregate_is_what_its_events_make_of_it(self, app: SimpleApplication) -> None:
        order = order_with(10)
        replayed = app.repository[order.id]
        loaded = app.repository[order.id]
        assert (type(loaded), loaded.__dict__) == (Order, replayed.__dict__)

    def test_control_it_is_loaded_from_the_snapshot(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        id_ = planted(app, records)
        assert app.repository.get(id_, Account).balance == 1002

    def test_the_events_after_the_snapshot_are_replayed(self, app: SimpleApplication) -> None:
        account = account_with(deposits=9)
        app.repository[account.id]
        account.deposit(5)
        account.save()
        loaded = app.repository.get(account.id, Account)
        assert (loaded.balance, loaded.version) == (14, 11)

    def test_it_can_be_changed_and_saved(self, app: SimpleApplication) -> None:
        account = account_with(deposits=9)
        app.repository[account.id]
        loaded = app.repository.get(account.id, Account)
        stale = app.repository.get(account.id, Account)
        loaded.deposit(1)
        loaded.save()
        stale.deposit(1)
        with pytest.raises(ConcurrencyError):
            stale.save()
        assert app.repository.get(account.id, Account).balance == 10

    def test_a_discarded_aggregate_is_not_found(self, app: SimpleApplication) -> None:
        account = account_with(deposits=9)
        loaded = app.repository[account.id]
        loaded.discard()
        loaded.save()
        with pytest.raises(RepositoryKeyError):
            app.repository[account.id]
        with pytest.raises(RepositoryKeyError):
            app.take_snapshot(account.id)

    def test_the_past_is_found_by_way_of_snapshots(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        id_ = planted(app, records)
        assert [app.repository.get(id_, version=n).balance for n in (9, 10, 11)] == [8, 1000, 1001]
        assert [s.balance for _, s in app.repository.history(id_, after=10)] == [1001, 1002]
        assert next(app.repository.history(id_, after=9))[1].balance == 9
        with pytest.raises(VersionNotFound):
            app.repository.get(id_, version=13)

    def test_items_without_event_ids_will_do(self, place: Place) -> None:
        policy = SnapshottingPolicy(every=10)
        manager = place.open(SequencedItem)
        with SimpleApplication(record_manager=manager, snapshotting_policy=policy) as app:
            id_ = planted(app, manager.snapshots())
            assert app.repository.get(id_, Account).balance == 1000

    # -- snapshots that are passed over, and replaced

    @pytest.mark.parametrize(
        "changes",
        [
            {"fingerprint": "0" * 32},
            {"event_id": "0" * 32},
            {"topic": "nowhere#Nothing"},
            {"topic": "tests.contracts.snapshotting#Order"},
            {"state": ""},
            {"state": "null"},
            {"state": "[]"},
            {"state": "{}"},
            {"state": '{"owner": "' + CANARY},
            {"state": '{"$decimal": "' + CANARY + '"}'},
            {"state": '{"$x:nothing": "' + CANARY + '"}'},
            {"state": '{"owner": "' + CANARY + '"}'},
            {"state": '{"owner": "' + CANARY + '", "balance": 1000, "_es_pending": [1]}'},
            {"state": '{"owner": "' + CANARY + '", "balance": 1000, "_es_other": [1]}'},
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_replaced(
        self,
        app: SimpleApplication,
        records: SnapshotRecords,
        caplog: pytest.LogCaptureFixture,
        changes: dict[str, str],
    ) -> None:
        caplog.set_level(logging.INFO)
        id_ = planted(app, records, **changes)
        assert app.repository.get(id_, Account).balance == 11
        assert "the snapshot of version 10 of" in caplog.text
        assert CANARY not in caplog.text
        # the load has replaced it
        caplog.clear()
        assert app.repository.get(id_, Account).balance == 11
        assert (caplog.text, version_of(records, id_)) == ("", 12)
        assert records.newest(id_, 11) is None

    @pytest.mark.parametrize("name", SnapshotRecord._fields[2:])
    def test_one_that_is_damaged_anywhere_is_replaced(
        self,
        app: SimpleApplication,
        records: SnapshotRecords,
        caplog: pytest.LogCaptureFixture,
        name: str,
    ) -> None:
        account = account_with(deposits=9)
        app.repository[account.id]
        whole = records.newest(account.id, None)
        assert whole is not None
        text = getattr(whole, name)
        for at in range(0, len(text), 5):
            flipped = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            records.put(whole._replace(**{name: flipped}), whole.originator_version)
            caplog.clear()
            assert app.repository.get(account.id, Account).balance == 9
            assert (caplog.text.count("damaged"), records.newest(account.id, None)) == (1, whole)

    def test_one_that_is_ahead_of_a_restored_stream_is_replaced(
        self, app: SimpleApplication, records: SnapshotRecords, caplog: pytest.LogCaptureFixture
    ) -> None:
        id_ = planted(app, records, originator_version=50)
        assert app.repository.get(id_, Account).balance == 11
        assert "its last event is not in the stream" in caplog.text
        assert version_of(records, id_) == 12

    def test_one_whose_value_classes_have_grown_is_replaced(
        self, app: SimpleApplication, records: SnapshotRecords
    ) -> None:
        order = order_with(10)
        app.repository[order.id]
        found = records.newest(order.id, None)
        assert found is not None
        # as a Line was stored before it had a count
        older = found.state.replace('["thing1",1]', '["thing1"]')
        older = older.replace('{"thing":"thing1","count":1}', '{"thing":"thing1"}')
        assert older != found.state
        records.put(with_digest(found._replace(state=older)), found.originator_version)
        app.repository[order.id]
        again = records.newest(order.id, None)
        assert again is not None
        assert again.state == found.state

    # -- encrypted ones

    def test_they_are_sealed_as_events_are_and_bound_to_their_place(
        self, manager: RecordManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        sealing = Protection(
            Keyring(CipherKey.new()), store_id="x", compression="zlib", refuse_plain=True
        )
        with SimpleApplication(
            record_manager=manager,
            snapshotting_policy=SnapshottingPolicy(every=None),
            protection=sealing,
        ) as app:
            account, other = account_with(deposits=2), account_with(deposits=2)
            account.change_attribute("note", CANARY)
            account.save()
            app.take_snapshot(account.id)
            found = manager.snapshots().newest(account.id, None)
            assert found is not None
            assert CANARY not in str(found)
            assert app.repository[account.id].note == CANARY
            assert caplog.text == ""
            # what cannot be told from the digest alone, which anybody can make
            plain = sealing.open(found.state, *found.place)
            for changes in (
                {"fingerprint": "0" * 32},
                {"state": plain},
                {"originator_version": 3},
                {"originator_id": other.id},
            ):
                moved = with_digest(found._replace(**changes))
                manager.snapshots().put(moved, replaced=4)
                caplog.clear()
                assert app.repository.get(moved.originator_id, Account).balance == 2
                assert "is not used" in caplog.text
                assert CANARY not in caplog.text

    def test_a_renamed_upcast_encrypted_and_compressed_stream_is_loaded_from_one(
        self, manager: RecordManager
    ) -> None:
        sealing = Protection(Keyring(CipherKey.new()), store_id="x", compression="zlib")
        old = rows(
            "s",
            ("money#Wallet.Created", f',"originator_topic":"money#Wallet","owner":"{CANARY}"'),
            *[("money#Wallet.PutIn", ',"coins":3')] * 20,
        )
        manager.record([r._replace(state=sealing.seal(r.state, *r[:3])) for r in old])
        policy = SnapshottingPolicy(every=10)
        with SimpleApplication(
            record_manager=manager, snapshotting_policy=policy, protection=sealing
        ) as app:
            assert app.repository.get("s", Purse).cents == 6000
            found = manager.snapshots().newest("s", None)
            assert found is not None
            assert (found.originator_version, CANARY in str(found)) == (21, False)
            # as it was written when the class had its former name, and told from a replay
            plain = sealing.open(found.state, *found.place).replace("6000", "7000")
            former = found._replace(topic="money#Wallet")
            former = former._replace(state=sealing.seal(plain, *former.place))
            manager.snapshots().put(with_digest(former), replaced=21)
            purse = app.repository.get("s", Purse)
            assert (purse.owners, purse.cents, purse.version) == ([CANARY], 7000, 21)
            purse.fill(1, "EUR")
            purse.save()
            assert app.repository.get("s", Purse).cents == 7001

    # -- aggregates that get none

    def test_what_cannot_be_stored_is_loaded_without(
        self, app: SimpleApplication, caplog: pytest.LogCaptureFixture
    ) -> None:
        locked = Locked.create()
        for _ in range(20):
            locked.change_attribute("name", CANARY)
        locked.save()
        for _ in range(3):
            assert app.repository.get(locked.id, Locked).version == 21
        assert caplog.text.count("Locked gets no snapshots") == 1
        assert CANARY not in caplog.text
        with pytest.raises(EncodeError):
            app.take_snapshot(locked.id)

    def test_what_has_one_object_twice_is_loaded_without(self, app: SimpleApplication) -> None:
        assert len(grown_tree(app).leaves) == 21

    def test_control_a_snapshot_would_make_two_objects_of_one(
        self, app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshotting, "_check_shared", lambda state: None)
        assert len(grown_tree(app).leaves) < 21

    def test_what_is_in_slots_is_loaded_without(self, app: SimpleApplication) -> None:
        slotted = Slotted.create()
        for _ in range(20):
            slotted.add()
        slotted.save()
        assert [app.repository.get(slotted.id, Slotted).count for _ in range(2)] == [20, 20]

    # -- failures

    def test_a_failure_fails_no_load(
        self,
        app: SimpleApplication,
        records: SnapshotRecords,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        account = account_with(deposits=9)
        monkeypatch.setattr(type(records), "put", unavailable)
        assert app.repository.get(account.id, Account).balance == 9
        monkeypatch.setattr(type(records), "newest", unavailable)
        assert app.repository.get(account.id, Account).balance == 9
        assert caplog.text.count("the disk is on fire") == 3

    def test_a_save_has_nothing_to_do_with_them(
        self, app: SimpleApplication, records: SnapshotRecords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("put", "newest", "delete"):
            monkeypatch.setattr(type(records), name, pytest.fail)
        account_with(deposits=50)

    def test_loads_at_once_take_one(
        self, app: SimpleApplication, records: SnapshotRecords, caplog: pytest.LogCaptureFixture
    ) -> None:
        account = account_with(deposits=9)
        start = threading.Barrier(4)
        found: list[int] = []

        def load() -> None:
            start.wait(30)
            found.append(app.repository.get(account.id, Account).balance)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (found, version_of(records, account.id)) == ([9] * 4, 10)
        assert caplog.text == ""


def version_of(
    records: SnapshotRecords, originator_id: Any, at_most: int | None = None
) -> int | None:
    """Return the version of the newest snapshot."""
    found = records.newest(originator_id, at_most)
    return None if found is None else found.originator_version


def planted(app: SimpleApplication, records: SnapshotRecords, **changes: Any) -> Any:
    """Store an account of 12 events, with a snapshot of 10 that can be told from their state."""
    account = account_with(deposits=11)
    manager = app.event_store.record_manager
    old = SimpleApplication(
        record_manager=manager, snapshotting_policy=SnapshottingPolicy(every=None)
    )
    old.persistence_policy.close()  # not to be asked to store anything
    old.take_snapshot(account.id)
    newest = records.newest(account.id, None)
    assert newest is not None
    (last,) = manager.get_items(account.id, Bounds(gte=9, lte=9))
    values: dict[str, Any] = {
        "originator_version": 10,
        "event_id": app.event_store.mark_of(last),
        "state": newest.state.replace('"balance":11', '"balance":1000'),
    }
    if "event_id" not in manager.item_class._fields:  # type: ignore[attr-defined]
        del values["originator_version"], values["event_id"]
    records.delete(account.id)
    records.put(with_digest(newest._replace(**values | changes)))
    return account.id


def with_digest(record: SnapshotRecord) -> SnapshotRecord:
    """Return a record that says of itself that it is whole."""
    return record._replace(digest=digest_of(record[:-1]))


def order_with(things: int) -> Order:
    """Return a stored order of so many things."""
    order = Order.create()
    for n in range(things):
        order.add(f"thing{n}")
    order.save()
    return order


def grown_tree(app: SimpleApplication) -> Tree:
    """Return a tree that was loaded, has grown since, and was loaded again."""
    tree = Tree.create()
    for _ in range(20):
        tree.grow()
    tree.save()
    app.repository[tree.id]
    tree.grow()
    tree.save()
    return app.repository.get(tree.id, Tree)


def unavailable(*args: object) -> None:
    """Fail as a database does."""
    raise DatabaseUnavailable("the disk is on fire")
