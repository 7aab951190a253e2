"""The feed is served on the command line."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.interface.commands import main
from eventsourcing.interface.notificationlog import NotificationLogReader
from eventsourcing.interface.remotelog import RemoteSections
from tests.backends import Backend
from tests.contracts.model import Account

ROOT = Path(__file__).parents[2]
# The command, in a process that heeds Ctrl-C even if this one was begun in the background.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from eventsourcing.interface.commands import main
sys.exit(main())
"""


def run(*arguments: object) -> tuple[int, str]:
    """Return the status and what was written."""
    output = io.StringIO()
    return main([str(argument) for argument in arguments], output), output.getvalue()


@contextmanager
def serving(*arguments: object) -> Iterator[str]:
    """A process that serves until it is interrupted, as Ctrl-C does; gives its URL."""
    command = [sys.executable, "-c", PROGRAM, "feed", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                status = process.wait(30)
            finally:
                process.kill()
    assert status == 0


def test_a_remote_reader_reads_what_it_serves(sql_backend: Backend) -> None:
    with SimpleApplication(sql_backend.uri) as app:
        account = Account.create(id="A-1", owner="Ann")
        account.deposit(1)
        account.save()
        with serving("--uri", sql_backend.uri, "--section-size", 2) as url:
            reader = NotificationLogReader(RemoteSections(url), section_size=2)
            assert list(reader.read()) == list(app.notification_log.select())
            account.deposit(2)
            account.save()
            assert [each.originator_version for each in reader.read(start=3)] == [2]


def test_other_machines_are_not_served(sqlite_file: Backend) -> None:
    SimpleApplication(sqlite_file.uri).close()
    status, text = run("feed", "--uri", sqlite_file.uri, "--host", "0.0.0.0")
    assert (status, text[:17]) == (1, "ProgrammingError:")


def test_a_port_that_is_taken_is_told(sqlite_file: Backend) -> None:
    SimpleApplication(sqlite_file.uri).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, text = run("feed", "--uri", sqlite_file.uri, "--port", port)
    assert (status, text.startswith(f"nothing can be served on port {port}")) == (1, True)


def test_a_table_that_is_not_there_is_told(sqlite_file: Backend) -> None:
    status, text = run("feed", "--uri", sqlite_file.uri)
    assert (status, text[:14]) == (1, "TableNotFound:")
