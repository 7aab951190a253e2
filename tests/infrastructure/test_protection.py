"""What is sealed can be read in its place, with its key, as it was written, and in no other way."""

import base64
import io
import logging
import random
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion
from eventsourcing.exceptions import (
    CipherKeyMissing,
    ConcurrencyError,
    DataIntegrityError,
    OpenerMissing,
    ProgrammingError,
)
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection, key_id_of
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.cipher import CipherKey, Keyring

OLD, NEW = CipherKey("old", bytes(range(32))), CipherKey("new", bytes(range(32, 64)))
STATE = '{"note":"' + "canary-4711" * 5 + '"}'
PLACE = ("stream", 3, "shop.Ordered")
MUTATIONS = 10_000
Item = tuple[Any, ...]


class Noted(EventWithOriginatorID, EventWithOriginatorVersion, topic="sealed-noted"):
    note: str


class Secret(EventWithOriginatorID, EventWithOriginatorVersion, topic="sealed-secret"):
    note: str


class Diary(AggregateRoot, topic="sealed-diary"):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notes: list[str] = []

    @event("Written")
    def write(self, note: str) -> None:
        self.notes.append(note)


def protection(*keys: CipherKey, **options: Any) -> Protection:
    ring = Keyring(*keys) if keys else Keyring(OLD)
    return Protection(ring, **{"store_id": "events", **options})


@pytest.fixture
def sealed() -> str:
    return protection().seal(STATE, *PLACE)


def test_what_was_sealed_can_be_opened(sealed: str) -> None:
    assert protection().open(sealed, *PLACE) == STATE


def test_sealed_text_names_its_format_and_key_and_nothing_of_the_state(sealed: str) -> None:
    head, _, body = sealed.rpartition(":")

    assert head == "~a1:old"
    assert len(base64.b64decode(body, validate=True)) == 12 + 1 + len(STATE) + 16
    assert "canary" not in sealed
    assert key_id_of(sealed) == "old"


@pytest.mark.parametrize("text", ["{}", STATE, "", "[1]", None, 7, b"{}"])
def test_what_is_plain_stays_as_it_is(text: object) -> None:
    assert protection().open(text, *PLACE) is text


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_states_are_compressed_within_the_cipher(sealed: str, compression: str) -> None:
    smaller = protection(compression=compression).seal(STATE, *PLACE)

    assert len(smaller) < len(sealed)
    assert protection().open(smaller, *PLACE) == STATE


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_states_can_be_compressed_without_a_cipher(compression: Any) -> None:
    compressing = Protection(None, store_id="events", compression=compression)
    text = compressing.seal(STATE, *PLACE)

    assert text.startswith("~z1:")
    assert (compressing.seal("{}", *PLACE), len(text) < len(STATE)) == ("{}", True)
    assert [p.open(text, *PLACE) for p in (compressing, protection())] == [STATE] * 2


@pytest.mark.parametrize("keys", [None, Keyring(OLD)])
def test_what_unpacks_to_too_much_is_refused(keys: Keyring | None) -> None:
    bomb = Protection(keys, store_id="events", compression="zlib").seal("x" * 10_001, *PLACE)

    careful = Protection(keys, store_id="events", max_unpacked=10_000)
    with pytest.raises(DataIntegrityError, match="more than 10000 bytes"):
        careful.open(bomb, *PLACE)


@pytest.mark.parametrize("keys", [None, Keyring(OLD)])
def test_a_row_that_nothing_here_unpacks_is_named(
    keys: Keyring | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = MemoryRecordManager()
    packing = Protection(keys, store_id="events", compression="zstd")
    with SimpleApplication(record_manager=records, protection=packing) as app:
        diary = Diary.create(id="diary")
        diary.write("a" * 1_000)
        app.save(diary)
        for module in ("backports", "compression"):
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(OpenerMissing, match="Zstandard is not installed") as caught:
            app.repository["diary"]
        assert (caught.value.originator_id, caught.value.originator_version) == ("diary", 1)
    with pytest.raises(ProgrammingError, match="Zstandard is not installed"):
        Protection(keys, store_id="events", compression="zstd")


# -- what is changed


def mutations(sealed: str, rng: random.Random) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yields changed texts in their place, and the text in changed places; all are different."""
    for at in range(len(sealed)):
        for bit in range(7):
            yield (sealed[:at] + chr(ord(sealed[at]) ^ 1 << bit) + sealed[at + 1 :], *PLACE)
    for length in range(1, len(sealed)):
        yield (sealed[:length], *PLACE)
    stream, version, topic = PLACE
    for number in range(version):
        yield (sealed, stream, number, topic)
    yield from ((sealed, other, version, topic) for other in ("Stream", "stream3", 3, "strea"))
    yield from ((sealed, stream, version, t) for t in ("shop.Ordered ", "3shop.Ordered", "", "{}"))
    yield from ((sealed, stream, v, topic) for v in (4, -3, 3.0, None, "3", True))
    yield from ((sealed, stream, version, None), (sealed, "", version, topic))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:~"
    while True:
        at, other = rng.randrange(len(sealed)), rng.choice(alphabet)
        length = rng.choice((0, 0, 1, 2, 5))
        changed = sealed[:at] + other * rng.choice((0, 1, 1, 3)) + sealed[at + length :]
        if changed != sealed:
            yield (changed, *PLACE)


def test_each_of_many_mutations_is_refused(sealed: str) -> None:
    opening = protection(OLD, NEW, refuse_plain=True)
    tried = 0
    for tried, (text, *place) in enumerate(mutations(sealed, random.Random(1)), 1):
        with pytest.raises(DataIntegrityError) as caught:
            opening.open(text, *place)
        assert (caught.value.originator_id, caught.value.originator_version) == tuple(place[:2])
        if tried == MUTATIONS:
            break

    assert tried == MUTATIONS
    assert opening.open(sealed, *PLACE) == STATE


def test_each_flipped_bit_of_what_is_encrypted_is_refused(sealed: str) -> None:
    head, _, body = sealed.rpartition(":")
    data = bytearray(base64.b64decode(body))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataIntegrityError):
            protection().open(f"{head}:{base64.b64encode(data).decode()}", *PLACE)
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_what_is_sealed_is_text_that_no_mutation_makes_plain(compression: Any) -> None:
    sealed = protection(compression=compression).seal(STATE, *PLACE)

    assert all(chr(ord(sealed[0]) ^ 1 << bit) != "{" for bit in range(7))


def test_the_row_of_another_store_is_refused(sealed: str) -> None:
    with pytest.raises(DataIntegrityError):
        protection(store_id="archive").open(sealed, *PLACE)


def test_a_wrong_key_is_refused(sealed: str) -> None:
    with pytest.raises(DataIntegrityError, match="another key") as caught:
        protection(CipherKey("old", NEW.secret)).open(sealed, *PLACE)
    assert not isinstance(caught.value, CipherKeyMissing)


def test_a_missing_key_is_named(sealed: str) -> None:
    with pytest.raises(
        CipherKeyMissing, match=r"event 3 of 'stream' .*'shop.Ordered'.* 'old'"
    ) as e:
        protection(NEW).open(sealed, *PLACE)

    found = e.value
    assert (found.originator_id, found.originator_version, found.key_id) == ("stream", 3, "old")


def test_a_retired_key_still_opens_and_the_current_one_seals(sealed: str) -> None:
    both = protection(NEW, OLD)

    assert both.open(sealed, *PLACE) == STATE
    assert key_id_of(both.seal(STATE, *PLACE)) == "new"


def test_plain_rows_are_refused_where_that_is_asked_for(sealed: str) -> None:
    strict = protection(refuse_plain=True)
    compressed = Protection(None, store_id="events", compression="zlib").seal(STATE, *PLACE)

    assert strict.open(sealed, *PLACE) == STATE
    for text in (STATE, compressed, "", None):
        with pytest.raises(DataIntegrityError, match="not encrypted"):
            strict.open(text, *PLACE)


def test_nonces_never_repeat() -> None:
    sealing = protection()

    bodies = [base64.b64decode(sealing.seal("{}", *PLACE)[8:]) for _ in range(20_000)]

    assert len({body[:12] for body in bodies}) == len({body[12:] for body in bodies}) == 20_000


@pytest.mark.parametrize(
    "options",
    [
        {"store_id": ""},
        {"store_id": None},
        {"compression": "lzma"},
        {"max_unpacked": 0},
        {"max_unpacked": 1.5},
        {"event_types": [int]},
        {"event_types": Noted, "refuse_plain": True},
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ProgrammingError):
        protection(**options)


@pytest.mark.parametrize("keys", [b"x", "x", OLD, None])
def test_what_is_no_keyring_is_refused(keys: Any) -> None:
    with pytest.raises(ProgrammingError):
        Protection(keys, store_id="events", refuse_plain=True)


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_a_variable_that_is_set_and_empty_does_not_mean_plain_text(
    monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("CIPHER_KEY", empty)
    with pytest.raises(ProgrammingError, match="CIPHER_KEY is set, and empty"):
        SimpleApplication(record_manager=MemoryRecordManager())

    with SimpleApplication(record_manager=MemoryRecordManager(), cipher_key=OLD.text) as app:
        assert app.event_store.mapper.protection is not None  # it is asked for no default then


# -- the mapper and the store


def test_chosen_classes_are_sealed_and_others_are_not() -> None:
    mapper = SequencedItemMapper(protection=protection(event_types=Secret))
    noted, secret = (
        cls(originator_id="s", originator_version=0, note="x") for cls in (Noted, Secret)
    )

    items = [mapper.item_from_event(each) for each in (noted, secret)]

    assert [key_id_of(item[3]) for item in items] == [None, "old"]
    assert list(mapper.events_from_items(items)) == [noted, secret]


def test_a_sealed_row_is_a_missing_key_to_who_has_no_protection() -> None:
    secret = Secret(originator_id="s", originator_version=0, note="x")
    item = SequencedItemMapper(protection=protection()).item_from_event(secret)

    with pytest.raises(CipherKeyMissing, match="'old'"):
        SequencedItemMapper().event_from_item(item)


def test_a_compressed_row_says_so_to_who_has_no_protection() -> None:
    compressing = Protection(None, store_id="events", compression="zlib")
    secret = Secret(originator_id="s", originator_version=0, note="x" * 200)
    item = SequencedItemMapper(protection=compressing).item_from_event(secret)

    with pytest.raises(DataIntegrityError, match="compressed"):
        SequencedItemMapper().event_from_item(item)


@pytest.mark.parametrize("item_class", [StoredEvent, SequencedItem])
def test_a_repeated_save_finds_its_own_rows_though_their_texts_differ(
    item_class: type[Item],
) -> None:
    manager = MemoryRecordManager(item_class)
    event = Secret(originator_id="s", originator_version=0, note="x")
    store = EventStore(manager, SequencedItemMapper(item_class, protection=protection(OLD, NEW)))
    store.store(event)

    EventStore(manager, SequencedItemMapper(item_class, protection=protection(NEW, OLD))).store(
        event
    )

    assert list(store.get_domain_events("s")) == [event]


@pytest.mark.parametrize("keys", [(OLD,), (NEW,)], ids=["equal key", "no key"])
def test_control_the_row_of_another_save_is_a_conflict(keys: tuple[CipherKey, ...]) -> None:
    manager = MemoryRecordManager(SequencedItem)
    mapper = SequencedItemMapper(SequencedItem, protection=protection())
    EventStore(manager, mapper).store(Secret(originator_id="s", originator_version=0, note="x"))
    rival = EventStore(manager, SequencedItemMapper(SequencedItem, protection=protection(*keys)))

    with pytest.raises(ConcurrencyError):
        rival.store(Secret(originator_id="s", originator_version=0, note="y"))


# -- the application


def test_an_application_takes_its_keys_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = MemoryRecordManager()
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    with SimpleApplication(record_manager=manager) as app:
        diary = Diary.create()
        app.save(diary)
        (item,) = manager.get_items(diary.id)

        assert key_id_of(item[3]) == "new"


@pytest.mark.parametrize(
    ("arguments", "store_id"),
    [
        ({}, "stored_events"),
        ({"table_name": "orders"}, "orders"),
        ({"protection": protection(store_id="mine")}, "mine"),
    ],
    ids=["by default", "table", "store id"],
)
def test_rows_are_bound_to_the_name_of_the_store(arguments: dict[str, Any], store_id: str) -> None:
    if "protection" not in arguments:
        arguments = {**arguments, "cipher_key": OLD.text}
    with SimpleApplication(uri="sqlite:///:memory:", **arguments) as app:
        diary = Diary.create()
        app.save(diary)
        (item,) = app.event_store.record_manager.get_items(diary.id)

    opened = protection(store_id=store_id).opened(item)
    assert opened[3].startswith("{")
    assert type(opened) is StoredEvent


@pytest.mark.parametrize(
    "arguments",
    [
        {"cipher_key": OLD.text, "protection": protection()},
        {"cipher_key": "secret-4711"},
        {"cipher_key": b"secret-4711"},
        {"protection": "secret-4711"},
    ],
    ids=["both", "text", "bytes", "no protection"],
)
def test_keys_that_cannot_be_used_are_refused_and_not_shown(arguments: dict[str, Any]) -> None:
    with pytest.raises(ProgrammingError) as caught:
        SimpleApplication(record_manager=MemoryRecordManager(), **arguments)

    assert "4711" not in "".join(traceback.format_exception(caught.value)[-1:])


def test_a_canary_appears_in_no_row_error_repr_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    manager = MemoryRecordManager()
    canary = "canary-4711"
    ring = Keyring(OLD)
    with SimpleApplication(record_manager=manager, cipher_key=ring, name="app") as app:
        diary = Diary.create(id="diary")
        for _ in range(150):
            diary.write(canary)
        app.save(diary)
        rows = [item[3] for item in manager.get_items("diary")]
        errors = list(_errors(app, manager))
        shown = io.StringIO()
        for each in (app, app.event_store, app.event_store.mapper, ring, OLD):
            shown.write(f"{each!r} {each}")
        shown.write(repr(app.event_store.mapper.protection))

    text = f"{rows} {errors} {shown.getvalue()} {caplog.text}"
    assert len(errors) > 100
    for secret in (
        canary,
        base64.b64encode(OLD.secret).decode()[:40],
        OLD.secret.hex(),
        "\\x01\\x02",
    ):
        assert secret not in text


def _errors(app: SimpleApplication, manager: MemoryRecordManager) -> Iterator[str]:
    """Yields what is said of rows that are damaged, with all causes and contexts."""
    (item,) = (item for item in manager.get_items("diary") if item[1] == 7)
    for at in range(len(item[3])):
        damaged = item[3][:at] + chr(ord(item[3][at]) ^ 1) + item[3][at + 1 :]
        manager._sequences["diary"][7] = item._replace(state=damaged)  # type: ignore[attr-defined]
        try:
            app.repository["diary"]
        except DataIntegrityError as error:
            yield "".join(traceback.format_exception(error))
    manager._sequences["diary"][7] = item
