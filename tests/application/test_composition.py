"""What the library does to states composes: a stream of a renamed class, of several versions,
plain, encrypted and compressed under several keys, with personal data, and loaded from a snapshot.
"""

from typing import Annotated, Any

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import make_checkpoint, verify
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.personal import personal
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection, key_id_of
from eventsourcing.infrastructure.sequenceditem import ChainedEvent, StoredEvent
from eventsourcing.infrastructure.sqlalchemy.resealing import reseal
from eventsourcing.utils.cipher import CipherKey, Keyring
from eventsourcing.utils.signing import SigningKey
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


class Person(AggregateRoot, topic="composed-person", aliases=("composed-human",)):
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


def old_streams(app: SimpleApplication) -> None:
    """Store a purse and a person as they were stored when their classes had other names and
    versions, under the old key.
    """
    old, store, erasure = sealing(OLD), app.event_store, app.event_store.mapper.erasure
    assert store.chain is not None
    assert erasure is not None
    created = '"originator_topic":"composed-'
    purse = [f'{TIME},{created}wallet"}}', *[f'{TIME},"coins":1,"note":"{"x" * 99}"}}'] * COINS]
    place = ("ann", 1, "composed-human.Named")
    marks, values = {"called": personal("(erased)")}, {"originator_id": "ann"}
    named = erasure.seal(TIME + ',"called":"Ann"}', marks, values, place)
    person = [f'{TIME},{created}human"}}', named]
    for stream, kind, name, states in (
        ("purse", "wallet", "Filled", purse),
        ("ann", "human", "Named", person),
    ):
        places = [
            (stream, n, f"composed-{kind}.{name if n else 'Created'}") for n in range(len(states))
        ]
        rows = [
            ChainedEvent(*place, old.seal(state, *place), f"{stream} {n}", None, None, None)
            for n, (place, state) in enumerate(zip(places, states, strict=True))
        ]
        store.record_manager.record(store.chain.linked(rows))


def names_in(app: SimpleApplication) -> set[str]:
    """Return the names of the person, by all ways to read them."""
    feed: Any = [each.event for each in app.notification_log.select(aggregate_class=Person)]
    history = [state.name for _, state in app.repository.history("ann")]
    loaded = [app.repository.get("ann", Person, version=version).name for version in (2, None)]
    return {feed[-1].name, history[-1], *loaded}


def test_all_of_it_at_once(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    manager = None if backend.is_sql else MemoryRecordManager(ChainedEvent)
    policy, signing = SnapshottingPolicy(every=50), SigningKey.new()

    def application(*keys: CipherKey) -> SimpleApplication:
        app = SimpleApplication(
            backend.uri,
            record_manager=manager,
            chained=True,
            protection=sealing(*keys, refuse_plain=True),
            snapshotting_policy=policy,
            cache_size=5,
        )
        if manager is not None:
            app.event_store.close = lambda: None  # type: ignore[method-assign]
        return app

    with application(NEW, OLD) as app:
        old_streams(app)
        checkpoint = make_checkpoint(app, signing)
        purse, person = app.repository.get("purse", Purse), app.repository.get("ann", Person)
        purse.fill(5, "now")
        app.save(purse)
        assert (purse.cents, names_in(app)) == (100 * COINS + 5, {"Ann"})
        person.rename("Ann B.")
        app.save(person)
        app.forget("ann")
        assert names_in(app) == {"(erased)"}
        assert verify(app, [checkpoint], key=signing.public).found == 0
        snapshots = app.event_store.record_manager.snapshots()
        assert [snapshots.newest(name, None) is None for name in ("purse", "ann")] == [False, True]
        if backend.is_sql:
            stored: Any = app.event_store.record_manager
            assert reseal(stored, sealing(NEW, OLD)).written == COINS + 3
    warned = [each.getMessage() for each in caplog.records]
    assert {text.partition(":")[0] for text in warned} == {"Person is not cached"}

    with application(*((NEW,) if backend.is_sql else (NEW, OLD))) as app:
        assert app.repository.get("purse", Purse).cents == 100 * COINS + 5
        assert names_in(app) == {"(erased)"}
        assert verify(app, [checkpoint], key=signing.public).found == 0
