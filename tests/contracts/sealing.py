"""What an application promises whose states are encrypted and compressed."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import CipherKeyMissing, DataIntegrityError
from eventsourcing.infrastructure.protection import Protection, key_id_of
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord
from eventsourcing.infrastructure.sqlalchemy import resealingsnapshots
from eventsourcing.infrastructure.sqlalchemy.resealing import Resealing, reseal
from eventsourcing.utils.cipher import CipherKey, Keyring
from eventsourcing.utils.ids import digest_of
from tests.contracts.model import Account
from tests.contracts.places import Place, SQLAlchemyPlace

OLD, NEW = CipherKey("old", bytes(range(32))), CipherKey("new", bytes(range(32, 64)))
NAMES = ("plain", "Ann", "Bob", "Eve")
ON_DEMAND = SnapshottingPolicy(every=None)
MANY = 250  # events: more than what is read with all columns at first


def sealing(*keys: CipherKey, **options: Any) -> Protection:
    """Return a protection with these keys, the current one first."""
    return Protection(Keyring(*keys), store_id="events", **options)


def saved_account(owner: str, deposits: int = 1) -> Account:
    """Return an account that is stored."""
    account = Account.create(id=owner, owner=owner)
    for _ in range(deposits):
        account.deposit(1)
    account.save()
    return account


class SealingContract:
    """What is sealed is read as if it were not."""

    @pytest.fixture
    def manager(self, place: Place) -> Iterator[RecordManager]:
        manager = place.open()
        yield manager
        manager.close()

    @pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "zstd"}])
    @pytest.mark.parametrize("deposits", [3, MANY])
    def test_an_aggregate_is_found_as_it_was_saved(
        self, manager: RecordManager, options: dict[str, Any], deposits: int
    ) -> None:
        with application(manager, OLD, **options) as app:
            account = saved_account("Ann", deposits)
            found = app.repository.get(account.id, Account)
            events: list[Any] = list(app.event_store.get_domain_events(account.id))
            states = [item[3] for item in manager.get_items(account.id)]
            assert (found.owner, found.balance, found.version) == ("Ann", deposits, deposits + 1)
            assert [event.originator_version for event in events] == [*range(deposits + 1)]
            assert {key_id_of(state) for state in states} == {"old"}

    def test_the_feed_gives_what_was_saved(self, manager: RecordManager) -> None:
        with application(manager, OLD) as app:
            account = saved_account("Ann", MANY)
            stored = [n.event for n in app.notification_log.select()]
            assert stored == list(app.event_store.get_domain_events(account.id))

    def test_plain_and_sealed_rows_of_several_keys_stand_in_one_stream(
        self, manager: RecordManager
    ) -> None:
        account = Account.create(id="Ann", owner="Ann")
        for _ in range(3):
            account.deposit(1)
        for event, keys in zip(account.pending_events, ((), (OLD,), (NEW,), ()), strict=True):
            with application(manager, *keys) as app:
                app.event_store.store(event)
        assert found_keys(manager, "Ann") == [None, "old", "new", None]
        with application(manager, OLD, NEW) as app:
            assert app.repository.get("Ann", Account).balance == 3

    @pytest.mark.parametrize("deposits", [3, MANY])
    def test_a_row_without_its_key_is_named_and_others_are_read(
        self, manager: RecordManager, deposits: int
    ) -> None:
        with application(manager, OLD):
            saved_account("Ann", deposits)
        with application(manager, NEW) as app:
            saved_account("Bob")
            with pytest.raises(CipherKeyMissing) as caught:
                app.repository["Ann"]
            assert app.repository.get("Bob", Account).balance == 1
            with pytest.raises(CipherKeyMissing) as in_feed:
                list(app.notification_log.select())
        error = caught.value
        assert (error.originator_id, error.originator_version, error.key_id) == ("Ann", 0, "old")
        assert in_feed.value.position == 1

    def test_a_row_that_was_moved_is_refused(self, manager: RecordManager) -> None:
        with application(manager, OLD) as app:
            saved_account("Ann", 3)
            items: list[Any] = list(manager.get_items("Ann"))
            manager.record([item._replace(originator_id="Bob") for item in items[:2]])
            manager.record([items[3]._replace(originator_version=4, event_id="0" * 32)])
            with pytest.raises(DataIntegrityError) as moved:
                app.repository["Bob"]
            with pytest.raises(DataIntegrityError) as replayed:
                app.repository["Ann"]
        assert (moved.value.originator_id, moved.value.originator_version) == ("Bob", 0)
        assert (replayed.value.originator_id, replayed.value.originator_version) == ("Ann", 4)

    def test_a_save_can_be_repeated_under_another_key(self, manager: RecordManager) -> None:
        account = Account.create(id="Ann", owner="Ann")
        with application(manager, OLD) as app:
            app.event_store.store(account.pending_events)
        with application(manager, NEW, OLD) as app:
            app.event_store.store(account.pending_events)
            assert app.repository.get("Ann", Account).owner == "Ann"


class DurableSealingContract:
    """States are written again under the current key."""

    @pytest.fixture
    def manager(self, durable_place: SQLAlchemyPlace) -> Iterator[Any]:
        manager = durable_place.open()
        with application(manager):
            saved_account("plain", 2)
        with application(manager, OLD):
            saved_account("Ann", MANY)
            saved_account("Bob", 2)
        with application(manager, NEW):
            saved_account("Eve", 2)
        yield manager
        manager.close()

    def test_what_has_another_key_is_written_again(self, manager: Any) -> None:
        before = feed(manager)
        done = reseal(manager, sealing(NEW, OLD))
        assert (done.written, done.unreadable, done.looked_at) == (MANY + 4, 0, MANY + 10)
        assert found_keys(manager, "Ann", "Bob", "Eve") == ["new"] * (MANY + 7)
        assert found_keys(manager, "plain") == [None] * 3
        assert feed(manager) == before
        with application(manager, NEW) as app:
            assert app.repository.get("Ann", Account).balance == MANY

    def test_plain_states_are_encrypted_where_that_is_asked_for(self, manager: Any) -> None:
        reseal(manager, sealing(NEW, OLD), plain_too=True)
        with application(manager, NEW, refuse_plain=True) as app:
            assert app.repository.get("plain", Account).balance == 2

    def test_nothing_is_left_to_do_the_second_time(self, manager: Any) -> None:
        reseal(manager, sealing(NEW, OLD))
        rows = list(manager.get_items("Ann"))
        done = reseal(manager, sealing(NEW, OLD))
        assert (done.written, list(manager.get_items("Ann"))) == (0, rows)

    def test_who_was_stopped_goes_on(self, manager: Any) -> None:
        def stop(done: Resealing) -> None:
            places.append(done.position)
            raise KeyboardInterrupt

        places: list[int] = []
        with pytest.raises(KeyboardInterrupt):
            reseal(manager, sealing(NEW, OLD), progress=stop)
        some = found_keys(manager, "Ann")
        assert {"old", "new"} == set(some)
        done = reseal(manager, sealing(NEW, OLD), start=places[0] + 1)
        assert done.written == MANY + 4 - some.count("new")
        assert set(found_keys(manager, "Ann", "Bob", "Eve")) == {"new"}

    def test_what_cannot_be_read_stays_and_is_reported(self, manager: Any) -> None:
        before = list(manager.get_items("Ann"))
        done = reseal(manager, sealing(CipherKey("newer", bytes(32)), NEW))
        assert (done.written, done.unreadable) == (3, MANY + 4)
        assert [error.originator_version for error in done.failures] == [*range(10)]
        assert list(manager.get_items("Ann")) == before

    def test_who_saves_meanwhile_loses_nothing(self, manager: Any) -> None:
        def save(done: Resealing) -> None:
            account = app.repository.get("Bob", Account)
            account.deposit(1)
            account.save()

        with application(manager, OLD, NEW) as app:
            reseal(manager, sealing(NEW, OLD), progress=save)
            found = app.repository.get("Bob", Account)
        assert found.balance == found.version - 1 > 2

    def test_a_row_that_has_changed_meanwhile_is_left_alone(
        self, manager: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, quick = sealing(NEW, OLD), sealing(CipherKey("newer", bytes(32)), NEW, OLD)

        def seal(text: str, *place: Any) -> str:
            if place[:2] == ("Ann", 3):
                reseal(manager, quick)
            return Protection.seal(slow, text, *place)

        monkeypatch.setattr(slow, "seal", seal)
        done = reseal(manager, slow)
        assert (done.written, set(found_keys(manager, "Ann"))) == (0, {"newer"})

    @pytest.mark.parametrize("plain_too", [False, True])
    def test_what_has_an_id_that_cannot_be_read_is_named_and_the_rest_is_written(
        self, manager: Any, plain_too: bool
    ) -> None:
        with manager.datastore.transaction() as connection:
            connection.exec_driver_sql(
                "UPDATE stored_events SET originator_id = '#x' WHERE originator_id = 'Bob'"
                " AND originator_version = 1"
            )
        done = reseal(manager, sealing(NEW, OLD), plain_too=plain_too)
        assert (done.written, done.unreadable) == (MANY + 3 + 3 * plain_too, 1)
        (error,) = done.failures
        assert (error.position, error.originator_version) == (MANY + 6, 1)


class SnapshotSealingContract:
    """Snapshots are written again under the current key, and nothing is left under another one."""

    @pytest.fixture
    def manager(self, durable_place: SQLAlchemyPlace) -> Iterator[Any]:
        manager = durable_place.open()
        for name, keys in {"plain": (), "Ann": (OLD,), "Bob": (OLD,), "Eve": (NEW,)}.items():
            with application(manager, *keys, snapshotting_policy=ON_DEMAND) as app:
                saved_account(name, 2)
                app.take_snapshot(name)
        yield manager
        manager.close()

    def test_what_has_another_key_is_written_again_and_used(
        self, manager: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = snapshots_of(manager)
        done = reseal(manager, sealing(NEW, OLD))
        after = snapshots_of(manager)
        assert (done.snapshots, done.unreadable) == (2, 0)
        keys = {name: key_id_of(record.state) for name, record in after.items()}
        assert keys == {"plain": None, "Ann": "new", "Bob": "new", "Eve": "new"}
        assert [after[name] == before[name] for name in ("plain", "Eve")] == [True, True]
        plain = {
            name: [record.opened(sealing(NEW, OLD)) for record in (before[name], after[name])]
            for name in before
        }
        assert all(old == new for old, new in plain.values())
        with application(manager, NEW, snapshotting_policy=ON_DEMAND) as app:
            assert app.repository.get("Ann", Account).balance == 2
            assert app.take_snapshot("Ann") == 3
        assert (snapshots_of(manager), caplog.text) == (after, "")

    def test_control_without_that_they_are_of_no_use(
        self, manager: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with application(manager, NEW, OLD, snapshotting_policy=ON_DEMAND) as app:
            assert app.repository.get("Ann", Account).balance == 2
        assert caplog.text == ""
        with (
            application(manager, NEW, snapshotting_policy=ON_DEMAND) as app,
            pytest.raises(CipherKeyMissing),
        ):
            app.repository.get("Ann", Account)
        assert "the snapshot of version 3 of 'Ann' is not used" in caplog.text

    def test_plain_ones_are_encrypted_where_that_is_asked_for(self, manager: Any) -> None:
        assert reseal(manager, sealing(NEW, OLD), plain_too=True).snapshots == 3
        keys = {key_id_of(record.state) for record in snapshots_of(manager).values()}
        assert keys == {"new"}

    def test_who_was_stopped_goes_on(self, manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(done: Resealing) -> None:
            if done.snapshots == 1:
                raise KeyboardInterrupt

        monkeypatch.setattr(resealingsnapshots, "PAGE", 1)
        with pytest.raises(KeyboardInterrupt):
            reseal(manager, sealing(NEW, OLD), progress=stop)
        keys = [key_id_of(record.state) for record in snapshots_of(manager).values()]
        assert keys.count("old") == 1
        done = reseal(manager, sealing(NEW, OLD))
        assert (done.written, done.snapshots) == (0, 1)
        assert reseal(manager, sealing(NEW, OLD)).snapshots == 0

    def test_what_is_damaged_is_removed_and_what_has_an_unknown_key_is_named(
        self, manager: Any
    ) -> None:
        records, found = manager.snapshots(), snapshots_of(manager)
        records.put(found["Ann"]._replace(fingerprint="0"), replaced=3)
        lost = found["Bob"]._replace(state="~a1:lost:AAAA")
        records.put(lost._replace(digest=digest_of(lost[:-1])), replaced=3)
        done = reseal(manager, sealing(NEW, OLD))
        assert (done.snapshots, done.unreadable) == (1, 1)
        assert {*snapshots_of(manager)} == {"plain", "Bob", "Eve"}
        (error,) = done.failures
        assert str(error).startswith("the snapshot of version 3 of 'Bob' is encrypted with the key")

    def test_what_nothing_here_unpacks_is_named_and_not_removed(
        self, manager: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records, found = manager.snapshots(), snapshots_of(manager)
        packed = sealing(OLD, compression="zstd").seal(
            '{"a":"' + "a" * 200 + '"}', *found["Ann"].place
        )
        ann = found["Ann"]._replace(state=packed)
        records.put(ann._replace(digest=digest_of(ann[:-1])), replaced=3)
        for module in ("backports", "compression"):
            monkeypatch.setitem(sys.modules, module, None)
        done = reseal(manager, sealing(NEW, OLD))
        assert (done.snapshots, done.unreadable) == (1, 1)
        assert {*snapshots_of(manager)} == {*NAMES}
        (error,) = done.failures
        assert "the snapshot of version 3 of 'Ann' cannot be read: Zstandard" in str(error)

    def test_one_that_was_replaced_meanwhile_is_left_alone(
        self, manager: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, newer = sealing(NEW, OLD), sealing(CipherKey("newer", bytes(32)), NEW, OLD)

        def seal(text: str, *place: Any) -> str:
            if " " in place[2] and place[0] == "Ann":
                reseal(manager, newer)
            return Protection.seal(slow, text, *place)

        monkeypatch.setattr(slow, "seal", seal)
        assert reseal(manager, slow).snapshots == 0
        keys = {key_id_of(record.state) for record in snapshots_of(manager).values()}
        assert keys == {None, "newer"}


def application(manager: Any, *keys: CipherKey, **options: Any) -> SimpleApplication:
    """Return an application that leaves the record manager open."""
    policy = options.pop("snapshotting_policy", None)
    protection = sealing(*keys, **options) if keys else None
    app = SimpleApplication(
        record_manager=manager, protection=protection, snapshotting_policy=policy
    )
    app.event_store.close = lambda: None  # type: ignore[method-assign]
    return app


def found_keys(manager: Any, *ids: str) -> list[str | None]:
    """Return the ids of the keys by which the rows of streams are encrypted."""
    return [key_id_of(item[3]) for each in ids for item in manager.get_items(each)]


def feed(manager: Any) -> list[Any]:
    """Return all positions and events."""
    with application(manager, NEW, OLD) as app:
        return [(n.position, n.event) for n in app.notification_log.select()]


def snapshots_of(manager: Any) -> dict[str, SnapshotRecord]:
    """Return the snapshots of the accounts, by their names."""
    records = {name: manager.snapshots().newest(name, None) for name in NAMES}
    return {name: record for name, record in records.items() if record is not None}
