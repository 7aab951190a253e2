"""What events that are kept for long promise: the code of today reads the rows of the past."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import ConcurrencyError, DataIntegrityError, NewerSchemaVersion
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.cipher import CipherKey, Keyring
from tests.contracts.places import Id, Place
from tests.corpus.versions import Shop

TIME = '"timestamp":"2026-01-02T03:04:05Z"'


State = dict[str, Any]


def with_owners(state: State) -> State:
    state["owners"] = [state.pop("owner")]
    return state


def in_cents(state: State) -> State:
    state["cents"] = state.pop("coins") * 100
    return state


def with_currency(state: State) -> State:
    return {**state, "currency": "EUR"}


def in_grams(state: State) -> State:
    state["weight"] *= 1000  # the same name, and of the same type
    return state


def with_text(state: State) -> State:
    state["text"] = state.pop("words").pop("$tuple")
    return state


class Purse(AggregateRoot, topic="purse", aliases=("money#Wallet",), upcasters={1: with_owners}):
    """Was once the class Wallet in the module money, without a topic of its own."""

    def __init__(self, owners: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owners = owners
        self.cents = 0
        self.name = self.address = ""

    @event("Filled", aliases=("money#Wallet.PutIn",), upcasters={1: in_cents, 2: with_currency})
    def fill(self, cents: int, currency: str) -> None:
        self.cents += cents

    @event("Weighed", upcasters={1: in_grams})
    def weigh(self, weight: int) -> None:
        self.weight = weight

    class Spent(AggregateRoot.Event, upcasters={1: in_cents}):
        """Has fields that are typed."""

        cents: int
        rate: float = 1.0

        def mutate(self, obj: "Purse") -> None:
            obj.cents -= self.cents

    class Remarked(AggregateRoot.Event, upcasters={1: with_text}):
        """Is free-form."""

        if TYPE_CHECKING:
            text: Any


def rows(stream: Id, *texts: tuple[str, str]) -> list[StoredEvent]:
    """Return the rows of a stream, each of which is given by its topic and its state."""
    return [
        StoredEvent(stream, position, topic, f"{{{TIME}{state}}}", f"{stream}-{position}")
        for position, (topic, state) in enumerate(texts)
    ]


class EvolutionContract:
    """The rows of the past are read as events of the present, and stay as they are."""

    @pytest.fixture
    def app(self, place: Place) -> Iterator[SimpleApplication]:
        with SimpleApplication(record_manager=place.open()) as app:
            yield app

    # -- names

    @pytest.fixture
    def renamed(self, app: SimpleApplication) -> Id:
        stored = rows(
            "renamed",
            ("money#Wallet.Created", ',"originator_topic":"money#Wallet","owner":"Ann"'),
            ("money#Wallet.PutIn", ',"coins":3'),
            ("purse.Filled@3", ',"cents":400,"currency":"USD"'),
        )
        app.event_store.record_manager.record(stored)
        return "renamed"

    def test_an_aggregate_is_made_of_rows_with_its_former_names(
        self, app: SimpleApplication, renamed: Id
    ) -> None:
        purse = app.repository.get(renamed, Purse)
        assert (purse.owners, purse.cents, purse.version) == (["Ann"], 700, 3)

    def test_what_follows_them_is_stored_under_the_present_name(
        self, app: SimpleApplication, renamed: Id
    ) -> None:
        purse = app.repository.get(renamed, Purse)
        purse.fill(500, "USD")
        purse.save()
        topics = [item[2] for item in app.event_store.record_manager.get_items(renamed)]
        assert topics == ["money#Wallet.Created", "money#Wallet.PutIn", *["purse.Filled@3"] * 2]
        assert app.repository.get(renamed, Purse).cents == 1200

    def test_the_feed_is_filtered_by_former_names_too(
        self, app: SimpleApplication, renamed: Id
    ) -> None:
        filled = app.notification_log.select(event_types=getattr(Purse, "Filled"))  # noqa: B009
        assert [n.topic for n in filled] == ["money#Wallet.PutIn", "purse.Filled@3"]
        assert len(list(app.notification_log.select(aggregate_class=Purse))) == 3

    # -- versions

    @pytest.fixture
    def old(self, app: SimpleApplication) -> Id:
        """A stream with rows of each version, each class under each of its names."""
        stored = rows(
            "old",
            ("purse.Created", ',"originator_topic":"purse","owner":"Ann"'),
            ("purse.Filled", ',"coins":3'),
            ("money#Wallet.PutIn@2", ',"cents":40'),
            ("purse.Filled@3", ',"cents":5,"currency":"USD"'),
            ("purse.Spent", ',"coins":1,"$":{"rate":2}'),
            ("purse.Spent@2", ',"cents":2,"rate":0.5'),
            ("purse.Remarked", ',"words":{"$tuple":[1,2]}'),
            ("purse.Remarked@2", ',"text":"x"'),
        )
        app.event_store.record_manager.record(stored)
        return "old"

    def test_events_of_each_version_are_events_of_the_present(
        self, app: SimpleApplication, old: Id
    ) -> None:
        found = [
            {k: v for k, v in vars(event).items() if k not in ("originator_id", "timestamp")}
            for event in app.event_store.get_domain_events(old)
        ]
        assert found == [
            {"originator_version": 0, "originator_topic": "purse", "owners": ["Ann"]},
            {"originator_version": 1, "cents": 300, "currency": "EUR"},
            {"originator_version": 2, "cents": 40, "currency": "EUR"},
            {"originator_version": 3, "cents": 5, "currency": "USD"},
            {"originator_version": 4, "cents": 100, "rate": 2},
            {"originator_version": 5, "cents": 2, "rate": 0.5},
            {"originator_version": 6, "text": [1, 2]},
            {"originator_version": 7, "text": "x"},
        ]

    def test_an_aggregate_is_made_of_rows_of_all_versions(
        self, app: SimpleApplication, old: Id
    ) -> None:
        purse = app.repository.get(old, Purse)
        assert (purse.owners, purse.cents, purse.version) == (["Ann"], 243, 8)

    def test_an_aggregate_never_takes_an_old_value_for_a_present_one(
        self, app: SimpleApplication
    ) -> None:
        stored = rows(
            "weighed",
            ("purse.Created@2", ',"originator_topic":"purse","owners":[]'),
            *[("purse.Filled@3", ',"cents":5,"currency":"USD"')] * 3,
            ("purse.Weighed", ',"weight":2'),
        )
        app.event_store.record_manager.record(stored)
        assert app.repository.get("weighed", Purse).weight == 2000

    def test_the_feed_shows_them_at_their_places(self, app: SimpleApplication, old: Id) -> None:
        spent = app.notification_log.select(event_types=Purse.Spent)
        assert [(n.originator_version, n.topic, n.event) for n in spent] == [
            (n, topic, e)
            for n, topic, e in zip(
                (4, 5),
                ("purse.Spent", "purse.Spent@2"),
                app.event_store.get_domain_events(old, gte=4, lte=5),
                strict=True,
            )
        ]

    def test_rows_are_never_rewritten(self, app: SimpleApplication, old: Id) -> None:
        before = list(app.event_store.record_manager.get_items(old))
        purse = app.repository.get(old, Purse)
        purse.fill(1, "EUR")
        purse.save()
        after = list(app.event_store.record_manager.get_items(old))
        assert after[:-1] == before
        assert after[-1][2] == "purse.Filled@3"

    def test_a_new_event_comes_back_as_it_was(self, app: SimpleApplication) -> None:
        purse = Purse.create(owners=["Ann", "Bob"])
        purse._trigger(Purse.Spent, cents=7, rate=2)
        purse._trigger(Purse.Remarked, text=(1, 2))
        made: list[DomainEvent] = list(purse.pending_events)
        purse.save()
        assert list(app.event_store.get_domain_events(purse.id)) == made

    def test_a_row_of_a_later_version_has_an_error_of_its_own(
        self, app: SimpleApplication, old: Id
    ) -> None:
        later = StoredEvent(old, 8, "purse.Filled@4", "damaged", "old-8")
        app.event_store.record_manager.record([later])
        for read in (
            lambda: app.repository[old],
            lambda: list(app.event_store.get_domain_events(old)),
            lambda: list(app.notification_log.select()),
        ):
            with pytest.raises(
                NewerSchemaVersion, match=r"event 8 of 'old'.*'purse.Filled@4'"
            ) as e:
                read()
            error = e.value
            assert (error.topic, error.stored_version, error.known_version) == (
                "purse.Filled@4",
                4,
                3,
            )
            assert (error.originator_id, error.originator_version) == (old, 8)
        assert error.position is not None

    def test_a_row_that_an_upcaster_cannot_take_is_named(self, app: SimpleApplication) -> None:
        stored = rows("bad", ("purse.Created", ',"originator_topic":"purse","secret":"Ann"'))
        app.event_store.record_manager.record(stored)
        for read in (
            lambda: app.repository["bad"],
            lambda: list(app.event_store.get_domain_events("bad")),
        ):
            with pytest.raises(DataIntegrityError, match="upcaster from version 1 raised KeyError"):
                read()

    # -- splitting and dropping

    @pytest.fixture
    def reordered(self, app: SimpleApplication) -> Id:
        stored = rows(
            "reordered",
            ("corpus.shop.Created", ',"originator_topic":"corpus.shop","owner":"Ann"'),
            ("corpus.shop.PaidAndMoved", ',"amount":"5","to":"Rome"'),
            ("corpus.shop.Audited", ',"findings":[1]'),
            ("corpus.shop.Paid", ',"amount":"6"'),
        )
        app.event_store.record_manager.record(stored)
        return "reordered"

    def test_an_event_that_was_split_is_both_at_its_one_position(
        self, app: SimpleApplication, reordered: Id
    ) -> None:
        select = app.notification_log.select
        paid, moved = select(event_types=Shop.Paid), select(event_types=Shop.Moved)
        assert [(n.originator_version, vars(n.event)["amount"]) for n in paid] == [(1, 5), (3, 6)]
        assert [(n.originator_version, vars(n.event)["to"]) for n in moved] == [(1, "Rome")]

    def test_an_event_that_was_dropped_keeps_its_position(
        self, app: SimpleApplication, reordered: Id
    ) -> None:
        events = list(app.event_store.get_domain_events(reordered))
        assert [vars(event)["originator_version"] for event in events] == [0, 1, 2, 3]
        assert vars(events[2]).keys() == {"originator_id", "originator_version", "timestamp"}
        assert [n.originator_version for n in app.notification_log.select()] == [0, 1, 2, 3]

    def test_the_next_event_follows_those_that_were_dropped_and_split(
        self, app: SimpleApplication, reordered: Id
    ) -> None:
        first, second = app.repository.get(reordered, Shop), app.repository.get(reordered, Shop)
        first._trigger(Shop.Paid, amount=Decimal(7))
        first.save()
        second._trigger(Shop.Paid, amount=Decimal(8))
        with pytest.raises(ConcurrencyError, match="expected at version 4, and is at 5"):
            second.save()
        assert app.repository.get(reordered, Shop).version == 5

    # -- together with encryption, compression and snapshots

    def test_a_sealed_stream_of_a_renamed_class_with_a_snapshot_is_read_through_its_versions(
        self, place: Place
    ) -> None:
        protection = Protection(Keyring(CipherKey.new("k1")), store_id="s", compression="zlib")
        stored = rows(
            "sealed",
            ("money#Wallet.Created", ',"originator_topic":"money#Wallet","owner":"Ann"'),
            ("money#Wallet.PutIn", ',"coins":3'),
            ("purse.Weighed", ',"weight":2'),
        )
        sealed = [r._replace(state=protection.seal(r.state, *r[:3])) for r in stored]
        assert all("coins" not in row.state for row in sealed)
        with SimpleApplication(
            record_manager=place.open(),
            protection=protection,
            snapshotting_policy=SnapshottingPolicy(every=None),
        ) as app:
            app.event_store.record_manager.record(sealed)
            app.take_snapshot("sealed")
            purse = app.repository.get("sealed", Purse)
            assert (purse.owners, purse.cents, purse.weight) == (["Ann"], 300, 2000)
            purse.fill(1, "EUR")
            purse.save()
            assert app.repository.get("sealed", Purse).cents == 301
