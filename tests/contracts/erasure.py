"""What an application promises about personal data, and of those who are forgotten."""

import dataclasses
import datetime as dt
import threading
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.personal import personal
from eventsourcing.exceptions import CipherKeyMissing, DataIntegrityError, EncodeError
from eventsourcing.infrastructure.erasure import Erasure, KeysInUse
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sqlalchemy.resealing import reseal
from eventsourcing.utils.cipher import CipherKey, Keyring
from tests.contracts.places import Id, Place, SQLAlchemyPlace
from tests.contracts.sealing import NEW, OLD, sealing

GONE = "(erased)"
CANARY = "canary-4711"
LONG_AGO = dt.datetime(1900, 1, 1)
MANY = 250  # events: more than what is read with all columns at first


@dataclasses.dataclass(frozen=True)
class Address:
    street: str
    city: str = ""


class Customer(AggregateRoot, topic="contract-customer"):
    """A person with a name, a birthday, and a friend."""

    def __init__(
        self,
        name: Annotated[str, personal(GONE)],
        born: Annotated[dt.datetime, personal(LONG_AGO)] = LONG_AGO,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.born = born
        self.address = Address("")
        self.friend = ""
        self.visits = 0

    @event("Moved")
    def move(self, address: Annotated[Address, personal(Address(GONE))]) -> None:
        self.address = address

    @event("Befriended")
    def befriend(
        self,
        friend_id: UUID | str | int,
        friend: Annotated[str, personal(GONE, subject="friend_id")],
        name: Annotated[str, personal(GONE)],
    ) -> None:
        self.friend = friend
        self.name = name

    @event("Visited")
    def visit(self) -> None:
        self.visits += 1


class ErasureContract:
    """Personal data is read as any other, until its subject is forgotten."""

    @pytest.fixture
    def manager(self, place: Place) -> Iterator[RecordManager]:
        manager = place.open()
        yield manager
        manager.close()

    @pytest.fixture(params=["personal alone", "all"])
    def app(self, request: pytest.FixtureRequest, manager: RecordManager) -> SimpleApplication:
        return application(manager, event_types=() if request.param == "personal alone" else None)

    @pytest.fixture(autouse=True)
    def apps_are_closed(self, manager: RecordManager) -> Iterator[None]:
        yield
        for app in OPEN:
            app.persistence_policy.close()
        OPEN.clear()

    def test_personal_data_is_found_as_it_was_saved(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        found = app.repository.get(customer.id, Customer)
        assert values(found) == values(customer) == (CANARY, Address(CANARY), "Bob", 1)

    def test_no_row_shows_it(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        rows = list(app.event_store.record_manager.get_items(customer.id))
        assert len(rows) == 4
        assert CANARY not in repr(rows)

    def test_nothing_that_is_printed_shows_it(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        events: list[Any] = list(app.event_store.get_domain_events(customer.id))
        notifications: list[Any] = list(app.notification_log.select())
        loaded = app.repository.get(customer.id, Customer)
        unsaved = Customer.create(id="eve", name=CANARY)
        for each in (*events, *notifications, customer, loaded, unsaved, *unsaved.pending_events):
            assert CANARY not in f"{each!r} {each}"
        assert {"name=<personal>", "address=<personal>", "friend=<personal>", "visits=1"} <= set(
            repr(loaded).rstrip(")").split("(", 1)[1].split(", ")
        )
        assert repr(events[2]).startswith("Customer.Befriended(")
        assert "friend_id='bob', friend=<personal>, name=<personal>" in repr(events[2])

    @pytest.mark.parametrize("visits", [1, MANY])
    def test_it_is_read_as_its_fallback_once_the_subject_is_forgotten(
        self, app: SimpleApplication, visits: int
    ) -> None:
        customer = saved_customer(app, visits=visits)
        before = list(app.event_store.record_manager.get_items(customer.id))
        app.forget(customer.id)
        found = app.repository.get(customer.id, Customer)
        assert values(found) == (GONE, Address(GONE), "Bob", visits)
        assert (found.version, found.born) == (customer.version, LONG_AGO)
        assert list(app.event_store.record_manager.get_items(customer.id)) == before

    def test_events_feed_and_history_show_the_fallback_and_nothing_else_is_changed(
        self, app: SimpleApplication
    ) -> None:
        customer = saved_customer(app)
        before: list[Any] = list(app.event_store.get_domain_events(customer.id))
        app.forget(customer.id)
        after: list[Any] = list(app.event_store.get_domain_events(customer.id))
        feed = [each.event for each in app.notification_log.select()]
        history = [each for each, _ in app.repository.history(customer.id)]
        assert after == feed == history
        assert CANARY in repr([vars(each) for each in before])
        assert CANARY not in repr([vars(each) for each in after])
        kept = {"timestamp", "friend_id", "friend", "originator_version", "originator_topic"}
        for old, new in zip(before, after, strict=True):
            assert type(old) is type(new)
            assert {n: v for n, v in vars(old).items() if n in kept} == {
                n: v for n, v in vars(new).items() if n in kept
            }

    def test_only_the_data_of_the_subject_is_erased(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        app.forget("bob")
        found = app.repository.get(customer.id, Customer)
        assert values(found) == (CANARY, Address(CANARY), GONE, 1)

    def test_other_applications_see_it_at_once(self, manager: RecordManager) -> None:
        one, other = application(manager), application(manager)
        customer = saved_customer(one)
        assert other.repository.get(customer.id, Customer).name == CANARY
        one.forget(customer.id)
        assert other.repository.get(customer.id, Customer).name == GONE

    def test_data_of_who_is_forgotten_is_refused(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        app.forget(customer.id)
        customer.move(Address("elsewhere"))
        with pytest.raises(EncodeError, match=r"Moved: address: .* forgotten") as caught:
            app.save(customer)
        assert (caught.value.field, caught.value.event) == ("address", "Customer.Moved")
        assert app.repository[customer.id].version == customer.version - 1

    def test_events_without_personal_data_go_on(self, app: SimpleApplication) -> None:
        customer = saved_customer(app)
        app.forget(customer.id)
        customer.visit()
        app.save(customer)
        assert app.repository.get(customer.id, Customer).visits == 2

    @pytest.mark.parametrize("subject", [UUID(int=5), str(UUID(int=5)), 5, "5", "#5", "Zoë"])
    def test_subjects_are_of_any_kind(self, app: SimpleApplication, subject: Id) -> None:
        others = [each for each in (UUID(int=5), 5, "5") if each != subject]
        customers = [Customer.create(id=each, name=CANARY) for each in (subject, *others)]
        app.save(*customers)
        app.forget(subject)
        assert [app.repository[c.id].name for c in customers] == [GONE] + [CANARY] * len(others)

    def test_to_forget_is_recorded_and_repeated_without_harm(self, manager: RecordManager) -> None:
        app, keys = application(manager), manager.subject_keys()
        assert keys is not None
        customer = saved_customer(app)
        app.forget("#7")
        app.forget("bob")
        first = list(keys.all())
        app.forget("bob")
        assert list(keys.all()) == first
        assert {each.subject: each.key is None for each in first} == {
            "'#7": True,
            "bob": True,
            str(customer.id): False,
        }
        times = [each.forgotten_at for each in first if each.key is None]
        now = dt.datetime.now(dt.UTC)
        assert all(times)
        assert all(abs(now - time) < dt.timedelta(days=1) for time in times if time)

    def test_values_in_general_form_are_personal_too(self, app: SimpleApplication) -> None:
        born = dt.datetime(2000, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
        customer = Customer.create(name=CANARY, born=born)
        app.save(customer)
        (item,) = app.event_store.record_manager.get_items(customer.id)
        assert "Berlin" not in item[3]
        assert repr(app.repository.get(customer.id, Customer).born) == repr(born)
        app.forget(customer.id)
        assert app.repository.get(customer.id, Customer).born == LONG_AGO

    def test_what_is_moved_to_another_place_is_refused(self, manager: RecordManager) -> None:
        app = application(manager, event_types=())
        ann, eve = (Customer.create(id=each, name=each) for each in ("ann", "eve"))
        app.save(ann, eve)
        (stolen,), (_, *_) = manager.get_items("ann"), manager.get_items("eve")
        forged: Any = stolen
        manager.record([forged._replace(originator_id="thief", event_id="0" * 32)])
        with pytest.raises(DataIntegrityError) as caught:
            app.repository["thief"]
        assert (caught.value.originator_id, caught.value.originator_version) == ("thief", 0)

    def test_a_lost_key_is_named(self, manager: RecordManager) -> None:
        app = application(manager, event_types=())
        customer = Customer.create(id="ann", name=CANARY)
        app.save(customer)
        (item,) = manager.get_items("ann")
        lost: Any = item
        text = lost.state.replace('"$personal":["ann"', '"$personal":["anna"')
        manager.record([lost._replace(originator_id="anna", state=text, event_id="0" * 32)])
        with pytest.raises(CipherKeyMissing, match="'anna'") as caught:
            app.repository["anna"]
        assert (caught.value.originator_id, caught.value.originator_version) == ("anna", 0)

    def test_the_key_of_the_application_can_be_changed(self, manager: RecordManager) -> None:
        old, changing = application(manager), application(manager, NEW, OLD)
        customer, gone = saved_customer(old), saved_customer(old)
        old.forget(gone.id)
        assert changing._erasure is not None
        assert (changing._erasure.rewrap(), changing._erasure.rewrap()) == (2, 0)
        new = application(manager, NEW, event_types=())
        keys = manager.subject_keys()
        assert keys is not None
        assert {str(each.key)[:4] for each in keys.all()} == {"new:", "None"}
        assert changing.repository.get(customer.id, Customer).name == CANARY
        assert changing.repository.get(gone.id, Customer).name == GONE
        assert new._erasure is not None
        assert new._erasure.is_forgotten(gone.id)

    def test_who_changes_keys_does_not_bring_a_forgotten_one_back(
        self, manager: RecordManager
    ) -> None:
        app, keys = application(manager), manager.subject_keys()
        assert keys is not None
        customer = saved_customer(app)
        before = keys.find(str(customer.id))
        assert before is not None
        app.forget(customer.id)
        keys.exchange(before, "new:key")
        found = keys.find(str(customer.id))
        assert found is not None
        assert found.key is None
        assert not keys.add(str(customer.id), "new:key")

    def test_a_read_that_is_under_way_notices_with_its_next_event(
        self, manager: RecordManager
    ) -> None:
        app, other = application(manager), application(manager)
        app.save(often_befriended("ann"))
        reads = reads_of(app, "ann")
        assert [next(each) for each in reads.values()] == [CANARY] * 3
        other.forget("ann")
        assert {name for each in reads.values() for name in each} == {GONE}

    def test_control_a_read_that_keeps_its_keys_does_not(
        self, manager: RecordManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys_are_kept(monkeypatch)
        app, other = application(manager), application(manager)
        app.save(often_befriended("ann"))
        reads = reads_of(app, "ann")
        assert {next(each) for each in reads.values()} == {CANARY}
        other.forget("ann")
        assert {name for each in reads.values() for name in each} == {CANARY}

    def test_what_is_given_at_once_asks_once_for_each_key(
        self, manager: RecordManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def asking(keys: Any, subject: str) -> Any:
            asked.append(subject)
            return find(keys, subject)

        app, asked = application(manager), list[str]()
        app.save(often_befriended("ann"))
        find = type(manager.subject_keys()).find  # type: ignore[union-attr]
        monkeypatch.setattr(type(manager.subject_keys()), "find", asking)
        for read in (
            lambda: app.repository["ann"],
            lambda: app.notification_log.read(1, None, 2 * MANY, None),
        ):
            read()
            assert sorted(asked) == ["ann", "bob"]
            asked.clear()
        assert len(list(app.notification_log.select())) == MANY + 1
        assert len(asked) == 2 * MANY + 1

    def test_what_was_read_of_many_persons_is_not_kept(
        self, manager: RecordManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("eventsourcing.infrastructure.erasure.MOST_KEYS", 3)
        app = application(manager)
        customer = Customer.create(id="ann", name=CANARY)
        for number in range(7):
            customer.befriend(number, CANARY, CANARY)
        app.save(customer)
        keys: KeysInUse = {}
        opened = app.event_store.mapper.opened(manager.get_items("ann"), keys)
        assert [CANARY in item[3] for item in opened] == [True] * 8
        assert 0 < len(keys) <= 3

    def test_of_many_writers_and_readers_none_sees_anything_else(
        self, manager: RecordManager
    ) -> None:
        app = application(manager)
        customers = [Customer.create(id=f"c{n}", name=CANARY) for n in range(4)]
        app.save(*customers)
        forgotten: dict[object, bool] = {}
        saved = {each.id: 1 for each in customers}
        wrong: list[str] = []

        def write(customer: Customer) -> None:
            for _ in range(25):
                customer.befriend(customer.id, CANARY, CANARY)
                try:
                    app.save(customer)
                except EncodeError:
                    return
                saved[customer.id] += 1

        def read() -> None:
            for _ in range(30):
                for customer in customers:
                    was_forgotten = forgotten.get(customer.id, False)
                    name = app.repository.get(customer.id, Customer).name
                    if name != GONE and (was_forgotten or name != CANARY):
                        wrong.append(name)

        def forget() -> None:
            for customer in customers[:2]:
                app.forget(customer.id)
                forgotten[customer.id] = True

        work = [lambda c=c: write(c) for c in customers]
        threads = [threading.Thread(target=each) for each in (*work, read, forget)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [app.repository.get(each.id, Customer) for each in customers]
        assert wrong == []
        assert [each.version for each in found] == [saved[each.id] for each in customers]
        assert [each.name for each in found] == [GONE, GONE, CANARY, CANARY]

    def test_the_key_of_a_subject_is_made_once(self, manager: RecordManager) -> None:
        app = application(manager)
        start = threading.Barrier(6)
        customers = [Customer.create(id=f"c{n}", name="x") for n in range(6)]
        app.save(*customers)

        def befriend(customer: Customer) -> None:
            start.wait()
            customer.befriend("bob", CANARY, "x")
            app.save(customer)

        threads = [threading.Thread(target=befriend, args=(each,)) for each in customers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [app.repository[each.id].friend for each in customers] == [CANARY] * 6


class DurableErasureContract:
    """What is forgotten stays forgotten."""

    @pytest.fixture(autouse=True)
    def apps_are_closed(self) -> Iterator[None]:
        yield
        for app in OPEN:
            app.persistence_policy.close()
        OPEN.clear()

    def test_the_old_key_is_not_needed_once_all_is_written_again(
        self, durable_place: SQLAlchemyPlace
    ) -> None:
        manager = durable_place.open()
        try:
            old = application(manager, OLD)
            customer, gone = saved_customer(old), saved_customer(old)
            old.forget(gone.id)
            done = reseal(manager, sealing(NEW, OLD))
            assert (done.written, done.subjects, done.unreadable) == (8, 2, 0)
            assert reseal(manager, sealing(NEW, OLD)).subjects == 0
            new = application(manager, NEW)
            assert new.repository.get(customer.id, Customer).name == CANARY
            assert new.repository.get(gone.id, Customer).name == GONE
        finally:
            manager.close()

    def test_another_record_manager_has_forgotten_too(self, durable_place: SQLAlchemyPlace) -> None:
        one, other = durable_place.open(), durable_place.open()
        try:
            writing, reading = application(one), application(other)
            customer = saved_customer(writing)
            assert reading.repository.get(customer.id, Customer).name == CANARY
            writing.forget(customer.id)
            assert reading.repository.get(customer.id, Customer).name == GONE
        finally:
            one.close()
            other.close()


def often_befriended(name: str) -> Customer:
    """Return a customer with the name of CANARY in each of many events."""
    customer = Customer.create(id=name, name=CANARY)
    for _ in range(MANY):
        customer.befriend("bob", "Bob", CANARY)
    return customer


def reads_of(app: SimpleApplication, name: str) -> dict[str, Iterator[str]]:
    """Return all ways to read the events of a stream one by one: the customer's name in each."""
    events: Iterator[Any] = app.event_store.get_domain_events(name)
    feed: Iterator[Any] = (each.event for each in app.notification_log.select())
    history: Iterator[Any] = (each for each, _ in app.repository.history(name))
    reads = {"events": events, "feed": feed, "history": history}
    return {way: (each.name for each in read) for way, read in reads.items()}


def keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the protection out: a process asks once for each key."""
    opened, kept = Erasure.opened, KeysInUse()
    monkeypatch.setattr(Erasure, "opened", lambda self, items, keys=None: opened(self, items, kept))


OPEN: list[SimpleApplication] = []


def application(manager: Any, *keys: CipherKey, **options: Any) -> SimpleApplication:
    """Return an application that leaves the record manager open."""
    protection = Protection(Keyring(*(keys or (OLD,))), store_id="events", **options)
    app = SimpleApplication(record_manager=manager, protection=protection)
    OPEN.append(app)
    return app


def saved_customer(app: SimpleApplication, visits: int = 1) -> Customer:
    """Return a customer that is stored, with a friend, who is another subject."""
    customer = Customer.create(name=CANARY)
    customer.move(Address(CANARY))
    customer.befriend("bob", "Bob", CANARY)
    for _ in range(visits):
        customer.visit()
    app.save(customer)
    return customer


def values(customer: Customer) -> tuple[Any, ...]:
    """Return what the contract looks at."""
    return customer.name, customer.address, customer.friend, customer.visits
