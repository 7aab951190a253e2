"""What the library does to states composes: a stream of a renamed class, of several versions,
plain, encrypted and compressed under several keys, with personal data, and loaded from a snapshot.
"""

from typing import Annotated, Any

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.personal import personal
from eventsourcing.infrastructure.protection import Protection, key_id_of
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.cipher import Keyring
from tests.backends import Backend
from tests.contracts.sealing import NEW, OLD

STORE = "stored_events"
TIME = '{"timestamp":"2026-01-02T03:04:05Z"'
COINS = 250


def in_cents(state: dict[str, Any]) -> dict[str, Any]:
    state["cents"] = state.pop("coins") * 100
    return state


class Purse(AggregateRoot, topic="composed-purse", aliases=("composed-wallet",)):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cents = 0

    @event("Filled", upcasters={1: in_cents})
    def fill(self, cents: int, note: str = "") -> None:
        self.cents += cents


def named(state: dict[str, Any]) -> dict[str, Any]:
    state["name"] = state.pop("called")
    return state


class Person(AggregateRoot, topic="composed-person"):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = ""

    @event("Named", upcasters={1: named})
    def rename(self, name: Annotated[str, personal("(erased)")]) -> None:
        self.name = name


def sealing(*keys: Any, **options: Any) -> Protection:
    return Protection(Keyring(*keys), store_id=STORE, compression="zlib", **options)


def test_a_stream_that_has_seen_everything_is_loaded(sqlite_file: Backend) -> None:
    old = sealing(OLD)
    states = [TIME + ',"originator_topic":"composed-wallet"}']
    states += [TIME + f',"coins":1,"note":"{"x" * n}"}}' for n in range(COINS)]
    topics = ["composed-wallet.Created", *["composed-wallet.Filled"] * COINS]
    rows = [
        # every third one is plain
        StoredEvent("s", n, topic, state if n % 3 == 0 else old.seal(state, "s", n, topic), f"{n}")
        for n, (topic, state) in enumerate(zip(topics, states, strict=True))
    ]
    with SimpleApplication(
        sqlite_file.uri,
        protection=sealing(NEW, OLD),
        snapshotting_policy=SnapshottingPolicy(every=50),
    ) as app:
        manager: Any = app.event_store.record_manager
        manager.record(rows)

        purse = app.repository.get("s", Purse)
        purse.fill(5, "now")
        app.save(purse)
        loaded = app.repository.get("s", Purse)

        snapshot = manager.snapshots().newest("s", None)
        assert (key_id_of(snapshot.state), snapshot.originator_version) == ("new", COINS + 1)
        assert (loaded.cents, loaded.version) == (100 * COINS + 5, COINS + 2)
        assert {key_id_of(item[3]) for item in manager.get_items("s")} == {None, "old", "new"}
        assert len(list(app.notification_log.select(aggregate_class=Purse))) == COINS + 2


def test_personal_data_of_an_older_version_is_read_and_erased(sqlite_file: Backend) -> None:
    with SimpleApplication(sqlite_file.uri, protection=sealing(NEW, OLD)) as app:
        person = Person.create(id="ann")
        person.rename("Ann")
        created, renamed = map(app.event_store.mapper.item_from_event, person.pending_events)
        erasure = app.event_store.mapper.erasure
        assert erasure is not None
        place = ("ann", 1, "composed-person.Named")
        marks = {"called": personal("(erased)")}
        state = erasure.seal(TIME + ',"called":"Ann"}', marks, {"originator_id": "ann"}, place)
        first: Any = renamed
        row = first._replace(topic=place[2], state=sealing(OLD).seal(state, *place))
        app.event_store.record_manager.record([created, row])

        assert app.repository.get("ann", Person).name == "Ann"
        app.forget("ann")
        assert app.repository.get("ann", Person).name == "(erased)"
