"""A store is walked, and what is wrong with it is named."""

import json
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventsourcing.application import verifying
from eventsourcing.application.checkpoints import Checkpoint, Proof
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import Report, make_checkpoint, prove, verify
from eventsourcing.exceptions import (
    CipherKeyMissing,
    DataIntegrityError,
    DecodeError,
    OpenerMissing,
    ProgrammingError,
)
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.resealing import reseal
from eventsourcing.utils.cipher import CipherKey, Keyring
from eventsourcing.utils.signing import PublicKey, SigningKey
from tests.backends import Backend
from tests.contracts.model import Account
from tests.infrastructure.sqlalchemy.helpers import causes, run, shown

KEY = SigningKey(bytes(range(32)))
CIPHER = CipherKey("mine", bytes(range(32)))
STREAMS, DEPOSITS = 5, 6
TRIALS = 1_000


@pytest.fixture
def app(backend: Backend) -> Iterator[SimpleApplication]:
    with opened(backend) as app:
        yield app


@pytest.fixture
def sql_app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    with opened(sql_backend) as app:
        yield app


@contextmanager
def opened(backend: Backend) -> Iterator[SimpleApplication]:
    """An application with some accounts, whose events alternate in the feed."""
    manager = None if backend.is_sql else MemoryRecordManager()
    with SimpleApplication(uri=backend.uri, record_manager=manager) as app:
        fill(app)
        yield app


def fill(app: SimpleApplication, first: int = 0) -> None:
    names = range(first, first + STREAMS)
    accounts = [Account.create(id=f"A-{n}", owner=f"owner {n}") for n in names]
    app.save(*accounts)
    for amount in range(1, DEPOSITS):
        for account in accounts:
            account.deposit(amount)
            app.save(account)


def kinds(report: Report) -> list[tuple[str, object, object]]:
    return [(f.kind, f.originator_id, f.originator_version) for f in report.findings]


def test_nothing_is_wrong_with_what_was_saved(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    report = verify(app, [checkpoint], key=KEY.public)
    assert (report.events, report.found) == (STREAMS * DEPOSITS, 0)
    assert (checkpoint.size, checkpoint.root) == (report.events, report.root)


def test_a_checkpoint_holds_when_there_are_more_events(app: SimpleApplication) -> None:
    first = make_checkpoint(app, KEY)
    account = app.repository.get("A-1", Account)
    account.deposit(1)
    app.save(account)
    second = make_checkpoint(app, KEY)
    assert second.root != first.root
    assert verify(app, [second, first], key=KEY.public).found == 0


def test_an_empty_store_is_fine() -> None:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        checkpoint = make_checkpoint(app, KEY)
        assert verify(app, [checkpoint], key=KEY.public).events == 0


def test_missing_events_are_named(sql_backend: Backend, sql_app: SimpleApplication) -> None:
    where = "WHERE originator_id = 'A-1' AND originator_version"
    run(sql_backend, f"DELETE FROM stored_events {where} IN (0, 2, 3)")
    report = verify(sql_app)
    assert kinds(report) == [("missing", "A-1", 0), ("missing", "A-1", 2)]
    assert "events 2 to 3 are missing in the stream of 'A-1'" in report.findings[1].message


def test_whole_streams_are_missed_by_a_checkpoint_only(
    sql_backend: Backend, sql_app: SimpleApplication
) -> None:
    checkpoint = make_checkpoint(sql_app, KEY)
    run(sql_backend, "DELETE FROM stored_events WHERE originator_id = 'A-1'")
    assert verify(sql_app).found == 0
    (finding,) = verify(sql_app, [checkpoint], key=KEY.public).findings
    assert (finding.kind, finding.position) == ("changed", checkpoint.position)


def test_a_feed_that_has_a_stream_in_another_order_is_found(
    sql_backend: Backend, sql_app: SimpleApplication
) -> None:
    where = "WHERE originator_id = 'A-1' AND originator_version"
    run(sql_backend, f"UPDATE stored_events SET id = 1000 {where} = 2")
    assert kinds(verify(sql_app)) == [("disordered", "A-1", 3)]


def test_rows_that_cannot_be_read_are_named_and_the_walk_goes_on(
    sql_backend: Backend, sql_app: SimpleApplication
) -> None:
    where = "WHERE originator_id = 'A-1' AND originator_version"
    run(sql_backend, f"UPDATE stored_events SET state = '{{' {where} = 2")
    run(sql_backend, f"UPDATE stored_events SET topic = 'no#Class' {where} = 4")
    report = verify(sql_app)
    assert kinds(report) == [("unreadable", "A-1", 2), ("unreadable", "A-1", 4)]
    assert report.events == STREAMS * DEPOSITS


def test_rows_that_nothing_here_unpacks_are_named_and_the_walk_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    protection = Protection(None, store_id="stored_events", compression="zlib")
    manager = MemoryRecordManager()
    with SimpleApplication(record_manager=manager, protection=protection) as app:
        manager.record([StoredEvent("A-0", 0, "t", "~z1:AmFiYw==", "0" * 32)])  # zstd, it says
        fill(app, first=1)
        for module in ("backports", "compression"):
            monkeypatch.setitem(sys.modules, module, None)
        report = verify(app)
        assert kinds(report) == [("unreadable", "A-0", 0)]
        assert "Zstandard is not installed" in report.findings[0].message
        assert report.events == STREAMS * DEPOSITS + 1


def test_a_row_whose_id_is_none_is_named_and_the_walk_goes_on(
    sql_backend: Backend, sql_app: SimpleApplication
) -> None:
    run(sql_backend, "UPDATE stored_events SET originator_id = '#x' WHERE originator_id = 'A-1'")
    report = verify(sql_app)
    assert [f.kind for f in report.findings] == ["unreadable"] * DEPOSITS
    assert report.events == STREAMS * DEPOSITS


def edit(table: sqlite3.Connection, chance: random.Random) -> None:
    column = chance.choice(["state", "topic", "event_id", "correlation_id", "originator_version"])
    table.execute(
        f"UPDATE stored_events SET {column} = ? WHERE id = ?",
        (f"{chance.random()}", chance.randint(1, STREAMS * DEPOSITS)),
    )


def swap(table: sqlite3.Connection, chance: random.Random) -> None:
    one, other = chance.sample(range(1, STREAMS * DEPOSITS + 1), 2)
    for before, after in ((one, -1), (other, one), (-1, other)):
        table.execute("UPDATE stored_events SET id = ? WHERE id = ?", (after, before))


def delete(table: sqlite3.Connection, chance: random.Random) -> None:
    number = chance.randint(1, STREAMS * DEPOSITS)
    table.execute("DELETE FROM stored_events WHERE id = ?", (number,))


def insert(table: sqlite3.Connection, chance: random.Random) -> None:
    number = chance.randint(1, STREAMS * DEPOSITS)
    names = "topic, state, event_id"
    table.execute(
        f"INSERT INTO stored_events (id, originator_id, originator_version, {names})"
        f" SELECT ?, 'A-x', 0, {names} FROM stored_events WHERE id = ?",
        (chance.choice([-1, 0]), number),
    )
    table.execute("UPDATE stored_events SET id = id + 1000 WHERE id >= ?", (number,))
    table.execute("UPDATE stored_events SET id = id - 999 WHERE id >= 1000")
    table.execute("UPDATE stored_events SET id = ? WHERE id < 1", (number,))


def truncate(table: sqlite3.Connection, chance: random.Random) -> None:
    number = chance.randint(1, STREAMS * DEPOSITS)
    table.execute("DELETE FROM stored_events WHERE id >= ?", (number,))


@pytest.mark.parametrize("damage", [edit, swap, delete, insert, truncate])
def test_whatever_was_done_to_the_store_is_found(
    tmp_path: Path, damage: Callable[..., Any]
) -> None:
    original, copy = tmp_path / "original.db", tmp_path / "copy.db"
    with SimpleApplication(uri=f"sqlite:///{original}") as app:
        fill(app)
        checkpoint = make_checkpoint(app, KEY)

    def found_in_copy(harm: Callable[[sqlite3.Connection], Any]) -> int:
        shutil.copy(original, copy)
        with closing(sqlite3.connect(copy)) as table, table:
            harm(table)
        with SimpleApplication(uri=f"sqlite:///{copy}", setup_table=False) as app:
            return verify(app, [checkpoint], key=KEY.public).found

    assert found_in_copy(lambda table: None) == 0
    for seed in range(TRIALS // 5):
        chance = random.Random(seed)
        assert found_in_copy(partial(damage, chance=chance)) > 0, seed


def test_a_checkpoint_that_was_changed_is_refused(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    other = SigningKey.new()
    for forged in (
        replace(checkpoint, size=checkpoint.size - 1),
        replace(checkpoint, position=checkpoint.position - 1),
        replace(checkpoint, at=checkpoint.at + timedelta(days=1)),
        replace(checkpoint, root=bytes(32)),
        replace(checkpoint, signature=bytes(64)),
        make_checkpoint(app, other),
        replace(make_checkpoint(app, other), key=KEY.public),
    ):
        with pytest.raises(DataIntegrityError, match="was not signed with"):
            verify(app, [forged], key=KEY.public)
    with pytest.raises(ProgrammingError, match="the key that signed"):
        verify(app, [checkpoint])


def test_a_key_of_the_wrong_kind_is_refused_and_not_shown(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    wrong: Any = KEY
    for use in (lambda: verify(app, [checkpoint], key=wrong), lambda: checkpoint.check(wrong)):
        with pytest.raises(ProgrammingError, match="checked with the public key") as caught:
            use()
        assert "SigningKey" in str(caught.value)
        assert KEY.text[15:] not in repr(causes(caught.value))
    for wrong in (KEY.public, KEY.text, None):
        with pytest.raises(ProgrammingError, match="is signed with a SigningKey") as caught:
            make_checkpoint(app, wrong)
        assert KEY.text[15:] not in repr(causes(caught.value))


def test_checkpoints_and_keys_are_texts(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    assert Checkpoint.from_text(checkpoint.text) == checkpoint
    assert SigningKey.from_text(KEY.text) == KEY
    assert PublicKey.from_text(KEY.public.text) == KEY.public
    assert KEY.text[15:] not in repr(KEY)
    for text in ("", "{}", checkpoint.text.replace('"format": 1', '"format": 2'), "[1]"):
        with pytest.raises(DataIntegrityError, match="not a checkpoint"):
            Checkpoint.from_text(text)
    with pytest.raises(ProgrammingError, match="a public key is"):
        PublicKey.from_text(KEY.text)
    with pytest.raises(ProgrammingError, match="a signing key is"):
        SigningKey.from_text(KEY.public.text)


def test_arguments_of_the_wrong_type_are_refused(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    wrong: Any
    for wrong in ("1", 1.0, None, True):
        with pytest.raises(ProgrammingError, match="position= takes an int"):
            prove(app, checkpoint, wrong)
    for wrong in (checkpoint, checkpoint.text, 7):
        with pytest.raises(ProgrammingError, match="takes a sequence of Checkpoints"):
            verify(app, wrong, key=KEY.public)
    proof = prove(app, checkpoint, 1)
    for wrong in (checkpoint.text, None):
        for use in (
            partial(verify, app, [checkpoint, wrong], key=KEY.public),
            partial(prove, app, wrong, 1),
            partial(proof.check, wrong),
        ):
            with pytest.raises(ProgrammingError, match="reads its text"):
                use()


def test_each_phase_is_shown_as_it_begins(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "EVENTS", STREAMS * DEPOSITS // 2)
    seen: list[tuple[str, int]] = []
    done = verify(app, on_progress=lambda report: seen.append((report.phase, report.events)))
    half, whole = STREAMS * DEPOSITS // 2, STREAMS * DEPOSITS
    walk = [("events", 0), ("events", half), ("events", whole)]
    assert seen == [*walk, ("gaps", whole), ("order", whole)]
    assert done.phase == "done"


def test_an_event_is_proved_to_be_among_those_of_a_checkpoint(app: SimpleApplication) -> None:
    checkpoint = make_checkpoint(app, KEY)
    for position in (1, 7, checkpoint.position):
        proof = prove(app, checkpoint, position)
        proof.check(checkpoint)
        assert b"timestamp" in proof.entry
        assert "timestamp" not in repr(proof)  # nor is anything else of the state
        for forged in (
            replace(proof, entry=proof.entry + b"x"),
            replace(proof, index=proof.index + 1),
            replace(proof, hashes=proof.hashes[1:]),
            replace(proof, hashes=(bytes(32), *proof.hashes[1:])),
        ):
            with pytest.raises(DataIntegrityError, match="does not prove"):
                forged.check(checkpoint)
        assert Proof.from_text(proof.text) == proof
        assert proof.values[0] == str(position)
        assert "originator_topic" not in repr(proof)
    for position in (0, checkpoint.position + 1):
        with pytest.raises(ProgrammingError, match="covers no event"):
            prove(app, checkpoint, position)


def test_what_is_no_proof_is_refused_and_not_shown(app: SimpleApplication) -> None:
    proof = prove(app, make_checkpoint(app, KEY), 1)
    assert "owner 0" in str(proof.values)
    made = json.loads(proof.text)
    for changed in (
        {"format": 2},
        {"index": "owner 0"},
        {"index": True},
        {"entry": "owner 0"},
        {"hashes": ["owner 0"]},
        {"hashes": ["00" * 31]},
        {"hashes": None},
    ):
        with pytest.raises(DataIntegrityError, match="this is not a proof") as caught:
            Proof.from_text(json.dumps(made | changed))
        assert "owner 0" not in shown(caught.value)
    for text in ("", "[]", "owner 0", proof.text[:-1]):
        with pytest.raises(DataIntegrityError, match="this is not a proof"):
            Proof.from_text(text)
    for entry in (proof.entry[:-1], b"\0" * 7 + b"\1\xff", b"\0"):
        with pytest.raises(DecodeError, match="a part is"):
            _ = replace(proof, entry=entry).values


def test_a_checkpoint_outlives_another_cipher_key(sqlite_file: Backend) -> None:
    old, new = CipherKey.new("old"), CipherKey.new("new")
    with SimpleApplication(uri=sqlite_file.uri, cipher_key=old.text) as app:
        fill(app)
        checkpoint = make_checkpoint(app, KEY)
    with SimpleApplication(uri=sqlite_file.uri, cipher_key=Keyring(new, old)) as app:
        manager, protection = app.event_store.record_manager, app.event_store.mapper.protection
        assert isinstance(manager, SQLAlchemyRecordManager)
        assert protection is not None
        assert reseal(manager, protection).written == STREAMS * DEPOSITS
        assert verify(app, [checkpoint], key=KEY.public).found == 0
    with SimpleApplication(uri=sqlite_file.uri) as app:
        assert {f.kind for f in verify(app).findings} == {"unreadable"}


SEALED = {
    "encrypted": Protection(CIPHER.text, store_id="stored_events"),
    "compressed": Protection(None, store_id="stored_events", compression="zlib"),
}


Opened = Callable[[Protection | None], SimpleApplication]


@pytest.fixture
def apps() -> Iterator[Opened]:
    """Opens applications on one store."""
    manager = MemoryRecordManager()
    with ExitStack() as stack:
        yield lambda protection: stack.enter_context(
            SimpleApplication(record_manager=manager, protection=protection)
        )


@pytest.mark.parametrize("how", list(SEALED))
def test_what_nothing_is_there_to_open_is_neither_signed_nor_compared(
    how: str, apps: Opened
) -> None:
    app = apps(SEALED[how])
    account = Account.create(id="A-1", owner="Ann" * 100)
    account.deposit(1)
    app.save(account)
    early = make_checkpoint(app, KEY)
    app.save(Account.create(id="A-2", owner="Ann" * 100))
    checkpoint = make_checkpoint(app, KEY)
    assert verify(app, [checkpoint], key=KEY.public).found == 0
    openers: list[Protection | None] = [None]
    if how == "encrypted":  # nor does a protection without the key open it
        other = Protection(CipherKey.new("other").text, store_id="stored_events")
        openers += [SEALED["compressed"], other]
    for protection in openers:
        closed = apps(protection)
        error = CipherKeyMissing if how == "encrypted" else OpenerMissing
        for use in (
            partial(make_checkpoint, closed, KEY),
            partial(prove, closed, checkpoint, 1),
            partial(verify, closed, [checkpoint], key=KEY.public),
            partial(verify, closed, [checkpoint, early], key=KEY.public),
        ):
            with pytest.raises(error, match="'A-1'") as caught:
                use()
            assert isinstance(caught.value, error)
        report = verify(closed)  # names each row
        assert {f.kind for f in report.findings} == {"unreadable"}


def test_what_comes_behind_all_checkpoints_need_not_be_opened_to_compare_them(
    apps: Opened,
) -> None:
    plain = apps(None)
    plain.save(Account.create(id="A-1", owner="Ann"))
    checkpoint = make_checkpoint(plain, KEY)
    apps(SEALED["encrypted"]).save(Account.create(id="A-2", owner="Ann"))
    report = verify(plain, [checkpoint], key=KEY.public)
    assert kinds(report) == [("unreadable", "A-2", 0)]
