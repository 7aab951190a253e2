"""Stores are verified on the command line, and checkpoints made."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.interface.commands import main
from eventsourcing.utils.cipher import CipherKey
from tests.backends import Backend
from tests.contracts.model import Account
from tests.infrastructure.sqlalchemy.helpers import run as execute

ROOT = Path(__file__).parents[2]
BANK = """
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot

class Savings(AggregateRoot, topic="savings"):
    pass

class Ledger(AggregateRoot, aliases=("formerly#Account",)):
    pass

if __name__ == "__main__":
    import bank.accounts
    with SimpleApplication() as app:
        app.save(bank.accounts.Savings.create(id="s"), bank.accounts.Ledger.create(id="l"))
"""


def run(*arguments: object) -> tuple[int, str]:
    """Return the status and what was written."""
    output = io.StringIO()
    return main([str(argument) for argument in arguments], output), output.getvalue()


def deposit(backend: Backend) -> None:
    with SimpleApplication(backend.uri) as app:
        account = Account.create(id="A-1", owner="Ann")
        account.deposit(1)
        account.deposit(2)
        app.save(account)


def test_a_store_is_verified(sql_backend: Backend) -> None:
    deposit(sql_backend)
    assert run("verify", "--uri", sql_backend.uri) == (
        0,
        "3 events up to position 3: 0 findings\n",
    )
    execute(sql_backend, "DELETE FROM stored_events WHERE originator_version = 1")
    status, output = run("verify", "--uri", sql_backend.uri)
    assert status == 1
    assert "missing: event 1 is missing in the stream of 'A-1'" in output


def test_each_phase_is_shown(sqlite_file: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    deposit(sqlite_file)
    run("verify", "--uri", sqlite_file.uri)
    shown = capsys.readouterr().err.splitlines()
    assert shown == [
        "events: 0 events, 0 findings",
        "gaps: 3 events, 0 findings",
        "order: 3 events, 0 findings",
    ]


def test_the_report_can_be_had_in_json(sqlite_file: Backend) -> None:
    deposit(sqlite_file)
    execute(sqlite_file, "DELETE FROM stored_events WHERE originator_version = 1")
    status, output = run("verify", "--uri", sqlite_file.uri, "--json")
    report = json.loads(output)
    assert (status, report["events"], report["found"]) == (1, 2, 1)
    assert report["findings"][0]["originator_version"] == 1


def test_a_checkpoint_is_signed_and_compared(
    sqlite_file: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deposit(sqlite_file)
    key, checkpoint = tmp_path / "key", tmp_path / "checkpoint"
    _, text = run("checkpoint", "new-key")
    key.write_text(text)
    public = text.splitlines()[1]
    status, text = run("checkpoint", "sign", "--uri", sqlite_file.uri, "--key-file", key)
    checkpoint.write_text(text)
    assert status == 0
    compare = ("verify", "--uri", sqlite_file.uri, "--checkpoint", checkpoint, "--public-key")
    assert run(*compare, public)[0] == 0
    execute(sqlite_file, "DELETE FROM stored_events WHERE originator_version = 2")
    status, output = run(*compare, public)
    assert status == 1
    assert "changed: up to position 3 of the feed there are 2 events, where there were 3" in output


def test_an_event_is_proved_and_the_proof_checked_without_the_store(
    sqlite_file: Backend, tmp_path: Path
) -> None:
    deposit(sqlite_file)
    key, checkpoint, proof = (tmp_path / name for name in ("key", "checkpoint", "proof"))
    key.write_text(run("checkpoint", "new-key")[1])
    store = ("--uri", sqlite_file.uri)
    checkpoint.write_text(run("checkpoint", "sign", *store, "--key-file", key)[1])
    prove = ("checkpoint", "prove", *store, "--checkpoint", checkpoint, "--position")
    status, text = run(*prove, 2)
    proof.write_text(text)
    assert (status, run(*prove, 4)[0]) == (0, 1)
    check = ("checkpoint", "check", "--checkpoint", checkpoint, "--proof", proof, "--public-key")
    public = key.read_text().splitlines()[1]
    status, text = run(*check, public)
    position, stream, version, topic, state, *_ = json.loads(text)
    assert (status, position, stream, version) == (0, "2", "A-1", "1")
    assert (topic.endswith("Deposited"), '"amount":1' in state) == (True, True)
    other = run("checkpoint", "new-key")[1].splitlines()[1]
    assert run(*check, other)[0] == 1
    proof.write_text(proof.read_text().replace('"index": 1', '"index": 2'))
    assert run(*check, public)[0] == 1


def test_what_cannot_be_found_out_is_neither_fine_nor_damaged(
    sqlite_file: Backend, tmp_path: Path
) -> None:
    status, output = run("verify", "--uri", sqlite_file.uri)
    assert (status, output.partition(":")[0]) == (2, "TableNotFound")
    status, output = run("verify", "--uri", sqlite_file.uri, "--json")
    assert (status, json.loads(output)["error"]["type"]) == (2, "TableNotFound")
    assert "no such table" in json.loads(output)["error"]["message"]
    status, output = run("verify", "--checkpoint", tmp_path / "none", "--uri", sqlite_file.uri)
    assert (status, output.partition(":")[0]) == (2, "ProgrammingError")


def test_chains_are_verified_where_that_is_asked_for(sql_backend: Backend) -> None:
    with SimpleApplication(sql_backend.uri, chained=True) as app:
        account = Account.create(id="A-1", owner="Ann")
        account.deposit(1)
        app.save(account)
    assert run("verify", "--uri", sql_backend.uri, "--chained")[0] == 0
    execute(sql_backend, "UPDATE stored_events SET causation_id = 'x' WHERE originator_version = 1")
    assert run("verify", "--uri", sql_backend.uri)[0] == 0
    status, output = run("verify", "--uri", sql_backend.uri, "--chained")
    assert status == 1
    assert "broken chain: event 1 of 'A-1' is not what was stored there" in output


def test_modules_are_imported_for_topics_that_do_not_name_them(
    sqlite_file: Backend, tmp_path: Path
) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "__init__.py").touch()
    (tmp_path / "bank" / "accounts.py").write_text(BANK)

    def python(*arguments: str) -> tuple[int, str]:
        path = f"{ROOT}{os.pathsep}{tmp_path}"
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env=os.environ | {"PYTHONPATH": path, "DB_URI": str(sqlite_file.uri)},
            cwd=tmp_path,
            text=True,
            capture_output=True,
            timeout=60,
        )
        return done.returncode, done.stdout

    assert python("bank.accounts") == (0, "")
    execute(
        sqlite_file,
        "UPDATE stored_events SET topic = replace(topic, 'bank.accounts#Ledger',"
        " 'formerly#Account')",
    )
    fine = "2 events up to position 2: 0 findings\n"
    assert python("eventsourcing", "verify", "bank.accounts") == (0, fine)
    status, output = python("eventsourcing", "verify")  # control: nobody knows these topics
    assert (status, output.count("unreadable")) == (1, 2)
    status, output = python("eventsourcing", "verify", "bank.nothing")
    assert (status, "the module 'bank.nothing' cannot be imported" in output) == (2, True)


@pytest.mark.parametrize("has_key", [True, False])
def test_a_store_with_a_protection_of_its_own_is_verified_and_signed(
    sqlite_file: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_key: bool
) -> None:
    key = CipherKey.new().text
    protection = Protection(key if has_key else None, store_id="bank", compression="zlib")
    with SimpleApplication(sqlite_file.uri, protection=protection) as app:
        app.save(Account.create(id="A-1", owner="Ann" * 100))
    if has_key:
        monkeypatch.setenv("CIPHER_KEY", key)
    (tmp_path / "key").write_text(run("checkpoint", "new-key")[1])
    sign = ("checkpoint", "sign", "--key-file", tmp_path / "key", "--uri", sqlite_file.uri)
    verify = ("verify", "--uri", sqlite_file.uri)
    assert [run(*each, "--store-id", "bank")[0] for each in (sign, verify)] == [0, 0]
    without = [run(*each)[0] for each in (sign, verify)]
    assert without == ([1, 1] if has_key else [0, 0])
    assert run(*verify, "--store-id", "")[0] == 2
