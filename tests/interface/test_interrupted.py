"""A command that is interrupted says whether it has done its work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eventsourcing.application.projections.status import ProjectionMonitor
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy import resealing
from eventsourcing.infrastructure.sqlalchemy.feed import SQLAlchemyFeed
from eventsourcing.utils.cipher import CipherKey
from eventsourcing.utils.signing import SigningKey
from tests.backends import Backend
from tests.contracts.model import Account

ROOT = Path(__file__).parents[2]
# The command, in a process that heeds Ctrl-C even if this one was begun in the background, and
# that is found in the middle of its work: in the method that is named first.
PROGRAM = """
import importlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from eventsourcing.interface.commands import main

def work(*arguments):
    print("working", file=sys.stderr, flush=True)
    time.sleep(60)

module, owner, method = sys.argv[1:4]
setattr(getattr(importlib.import_module(module), owner), method, work)
sys.exit(main(sys.argv[4:]))
"""
Method = tuple[str, str, str]

FEED: Method = (SQLAlchemyFeed.__module__, "SQLAlchemyFeed", "high_water_mark")
ROWS: Method = (resealing.__name__, "_Rows", "last")
MONITOR: Method = (ProjectionMonitor.__module__, "ProjectionMonitor", "read")
SERVER: Method = ("eventsourcing.interface.server", "SectionsServer", "serve_forever")


@pytest.mark.parametrize(
    ("method", "command", "status"),
    [
        (FEED, ("verify",), 130),
        (FEED, ("verify", "--json"), 130),
        (FEED, ("checkpoint", "sign", "--key-file", "KEY"), 130),
        (ROWS, ("keys", "reseal"), 130),
        (MONITOR, ("projections", "--times", "2"), 130),
        (MONITOR, ("projections",), 0),
        (SERVER, ("feed",), 0),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else str(given),
)
def test_only_what_serves_until_it_is_interrupted_ends_well(
    sqlite_file: Backend, tmp_path: Path, method: Method, command: tuple[str, ...], status: int
) -> None:
    cipher_key, key_file = CipherKey.new().text, tmp_path / "key"
    key_file.write_text(SigningKey.new().text)
    with SimpleApplication(sqlite_file.uri, cipher_key=cipher_key) as app:
        app.save(Account.create(owner="Ann"))
    arguments = [str(key_file) if each == "KEY" else each for each in command]

    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *method, *arguments, "--uri", str(sqlite_file.uri)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CIPHER_KEY": cipher_key},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        while process.stderr.readline() not in ("working\n", ""):
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert (process.returncode, "the work is not done" in said) == (status, status != 0)
