"""Keys are made on the command line, and states are written again under a new one."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.protection import Protection, key_id_of
from eventsourcing.interface.commands import main
from eventsourcing.utils.cipher import CipherKey, Keyring
from tests.backends import Backend
from tests.contracts.erasure import CANARY, Customer, saved_customer
from tests.contracts.model import Account

ROOT = Path(__file__).parents[2]
OLD, NEW = CipherKey.new("old"), CipherKey.new("new")
DEPOSITS = 2_000


def run(*arguments: str) -> tuple[int, str]:
    """Returns the status and what was written."""
    output = io.StringIO()
    return main(arguments, output), output.getvalue()


def fill(backend: Backend, *keys: CipherKey, deposits: int = 2) -> None:
    ring = Keyring(*keys) if keys else None
    with SimpleApplication(backend.uri, cipher_key=ring) as app:
        account = Account.create(id=keys[0].id if keys else "plain", owner="Ann")
        for _ in range(deposits):
            account.deposit(1)
        app.save(account)


def states(backend: Backend, table: str = "stored_events") -> list[str]:
    connection = backend.connect()
    try:
        return [row[0] for row in connection.execute(f"SELECT state FROM {table}")]
    finally:
        connection.close()


def change(backend: Backend, statement: str) -> None:
    connection = backend.connect()
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_new_key_is_printed() -> None:
    status, text = run("keys", "new", "--id", "mine")

    assert (status, CipherKey.from_text(text.strip()).id) == (0, "mine")


def test_an_id_of_another_form_is_refused() -> None:
    status, text = run("keys", "new", "--id", "a b")

    assert (status, text[:17]) == (1, "ProgrammingError:")


def test_states_are_written_again(sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite_file)
    fill(sqlite_file, OLD)
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert (status, text.splitlines()) == (
        0,
        [
            "position 6: 6 rows, 3 written",
            "3 states, 0 snapshots and 0 keys of subjects written, 0 could not be read",
        ],
    )
    assert [key_id_of(state) for state in states(sqlite_file)] == [None] * 3 + ["new"] * 3


def test_plain_states_are_encrypted(sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite_file)
    monkeypatch.setenv("CIPHER_KEY", NEW.text)

    run("keys", "reseal", "--uri", str(sqlite_file.uri), "--plain-too", "--compression", "zlib")

    assert [key_id_of(state) for state in states(sqlite_file)] == ["new"] * 3


def test_keys_of_subjects_are_written_again(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimpleApplication(sqlite_file.uri, cipher_key=OLD.text) as app:
        customer = saved_customer(app)
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert (status, "4 states, 0 snapshots and 2 keys of subjects written" in text) == (0, True)
    with SimpleApplication(sqlite_file.uri, cipher_key=NEW.text) as app:
        assert app.repository.get(customer.id, Customer).name == CANARY


def test_a_store_that_has_another_name_than_its_table_is_written_again(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimpleApplication(
        sqlite_file.uri, protection=Protection(OLD.text, store_id="shop")
    ) as app:
        customer = saved_customer(app)
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri), "--store-id", "shop")

    assert (status, "4 states, 0 snapshots and 2 keys of subjects written" in text) == (0, True)
    with SimpleApplication(
        sqlite_file.uri, protection=Protection(NEW.text, store_id="shop")
    ) as app:
        assert app.repository.get(customer.id, Customer).name == CANARY


def test_a_key_of_a_subject_that_cannot_be_read_keeps_no_other_from_being_written(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimpleApplication(sqlite_file.uri, cipher_key=OLD.text) as app:
        customer = saved_customer(app)
    change(sqlite_file, "UPDATE subject_keys SET subject_key = 'old:' WHERE subject = 'bob'")
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert (status, "and 1 keys of subjects written, 1 could not be read" in text) == (1, True)
    assert "the key of 'bob' cannot be read" in text
    with SimpleApplication(sqlite_file.uri, cipher_key=NEW.text) as app:
        assert app.notification_log.read(1, 1, 1, None)[0].originator_id == customer.id


def test_a_row_whose_stream_cannot_be_told_keeps_no_other_from_being_written(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_file, OLD)
    change(sqlite_file, "UPDATE stored_events SET originator_id = '#x' WHERE id = 2")
    monkeypatch.setenv("CIPHER_KEY", f"{NEW.text} {OLD.text}")

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert (status, "2 states, 0 snapshots" in text, "1 could not be read" in text) == (1, 1, 1)
    assert "position 2 of the feed: a stored id begins with '#'" in text
    assert [key_id_of(state) for state in states(sqlite_file)] == ["new", "old", "new"]


def test_what_cannot_be_read_is_said(sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite_file, OLD)
    monkeypatch.setenv("CIPHER_KEY", NEW.text)

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert status == 1
    assert "event 0 of 'old'" in text
    assert "0 states, 0 snapshots and 0 keys of subjects written, 3 could not be read" in text


def test_without_keys_it_is_refused(sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIPHER_KEY", raising=False)

    status, text = run("keys", "reseal", "--uri", str(sqlite_file.uri))

    assert (status, "CIPHER_KEY" in text) == (1, True)


def test_who_is_killed_is_started_again(sqlite_file: Backend) -> None:
    fill(sqlite_file, OLD, deposits=DEPOSITS)
    policy = SnapshottingPolicy(every=None)
    with SimpleApplication(sqlite_file.uri, cipher_key=OLD.text, snapshotting_policy=policy) as app:
        app.take_snapshot("old")
    command = [sys.executable, "-m", "eventsourcing", "keys", "reseal", f"--uri={sqlite_file.uri}"]
    environment = os.environ | {"CIPHER_KEY": f"{NEW.text} {OLD.text}"}
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    halfway = [key_id_of(state) for state in states(sqlite_file)]

    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    assert (len(halfway), "new" in halfway) == (DEPOSITS + 1, True)
    assert {key_id_of(state) for state in states(sqlite_file)} == {"new"}
    assert {key_id_of(state) for state in states(sqlite_file, "stored_snapshots")} == {"new"}
    with SimpleApplication(sqlite_file.uri, cipher_key=NEW.text, snapshotting_policy=policy) as app:
        assert app.repository.get("old", Account).balance == DEPOSITS
