"""Stores are verified on the command line, and checkpoints made."""

import io
import json
from pathlib import Path

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.interface.commands import main
from tests.backends import Backend
from tests.contracts.model import Account
from tests.infrastructure.sqlalchemy.helpers import run as execute


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


def test_what_cannot_be_found_out_is_neither_fine_nor_damaged(
    sqlite_file: Backend, tmp_path: Path
) -> None:
    status, output = run("verify", "--uri", sqlite_file.uri)
    assert (status, output.partition(":")[0]) == (2, "TableNotFound")
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
