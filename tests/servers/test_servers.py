"""The servers that other tests rely on."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.backends import BACKENDS, SQL_BACKENDS, Backend
from tests.servers.guard import Orders
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.process import Server
from tests.servers.templates import templates
from tests.servers.tmpfs import run_in_tmpfs


@pytest.fixture(params=["private_postgresql", "private_mariadb"])
def private(request: pytest.FixtureRequest) -> Backend:
    backend = request.getfixturevalue(request.param)
    assert isinstance(backend, Backend)
    return backend


def run(backend: Backend, *statements: str) -> list[Any]:
    """Run statements in one transaction and return the last one's rows."""
    connection = backend.connect()
    try:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        rows = list(cursor.fetchall()) if cursor.description else []
        connection.commit()
        return rows
    finally:
        connection.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_finds_its_database_empty(sql_backend: Backend, turn: int) -> None:
    run(sql_backend, "CREATE TABLE t (n integer)", f"INSERT INTO t VALUES ({turn})")

    assert [tuple(row) for row in run(sql_backend, "SELECT n FROM t")] == [(turn,)]


@pytest.mark.parametrize("turn", [1, 2])
def test_a_forgotten_transaction_does_not_hold_up_the_next_test(
    sql_backend: Backend, turn: int
) -> None:
    run(sql_backend, "CREATE TABLE t (n integer)")
    forgotten = sql_backend.connect()
    forgotten.cursor().execute("INSERT INTO t VALUES (1)")
    keep.append(forgotten)
    if turn == 2:
        while keep:
            keep.pop().close()


keep: list[Any] = []


def test_backends_come_in_all_kinds(backend: Backend, sql_backend: Backend) -> None:
    assert backend.name in BACKENDS
    assert sql_backend.name in SQL_BACKENDS
    assert backend.is_sql == (backend.name != "memory")


def test_rows_survive_kill_and_stop(private: Backend) -> None:
    server = private.server
    assert server
    run(private, "CREATE TABLE t (n integer)", "INSERT INTO t VALUES (7)")

    for end in (server.kill, server.stop):
        end()
        with pytest.raises((psycopg.OperationalError, pymysql.err.OperationalError)):
            private.connect()
        server.start()

        assert [tuple(row) for row in run(private, "SELECT n FROM t")] == [(7,)]
    assert "ready" in server.log_tail()


def test_a_server_that_ended_by_itself_can_be_killed_and_started(private: Backend) -> None:
    server = private.server
    assert server
    assert server.pid
    process = os.pidfd_open(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)

    server.kill()
    assert not server.is_running
    server.start()

    assert [tuple(row) for row in run(private, "SELECT 1")] == [(1,)]


@pytest.mark.parametrize("kind", [PostgresqlServer, MariadbServer])
def test_a_server_begins_with_a_copy_where_many_are_started(
    monkeypatch: pytest.MonkeyPatch, kind: type[PostgresqlServer] | type[MariadbServer]
) -> None:
    class NotCopied(Exception):
        pass

    def initialise(self: Server) -> None:
        raise NotCopied

    with templates():
        with kind():
            pass
        monkeypatch.setattr(kind, "initialise", initialise)
        with kind() as server:
            server.ping()

    with pytest.raises(NotCopied), kind():  # control
        pass


def test_what_a_killed_run_left_of_its_copies_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    for process in (ended.pid, os.getppid()):
        Path(tmp_path, f"eventsourcing-templates-{process}-x").mkdir()

    with templates():
        pass

    assert [left.name for left in tmp_path.iterdir()] == [
        f"eventsourcing-templates-{os.getppid()}-x"
    ]


@pytest.mark.parametrize("ended", ["running", "stopped", "killed"])
def test_a_closed_server_leaves_nothing(private: Backend, ended: str) -> None:
    server = private.server
    assert server
    assert server.pid
    pid = server.pid
    if ended == "stopped":
        server.stop()
    elif ended == "killed":
        server.kill()

    server.close()

    assert not server.directory.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert [created_by for created_by in shared_memory() if created_by == pid] == []


def shared_memory() -> list[int]:
    """Return the ids of the processes that made the System V shared memory segments there are."""
    _, *segments = Path("/proc/sysvipc/shm").read_text().splitlines()
    return [int(segment.split()[4]) for segment in segments]


def test_a_server_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    other = tmp_path / "server that is down"
    other.mkdir()
    orders = Orders(
        command=["sleep", "1000"],
        directory=str(directory),
        uid=os.getuid(),
        gid=os.getgid(),
        quit_signal=signal.SIGTERM,
        test_run=[],
        small_disk=None,
        others=[str(other)],
    )
    test_run = subprocess.Popen(
        [sys.executable, "-c", KILLED_TEST_RUN, orders.to_json()],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert test_run.stdout
    with test_run.stdout as output:
        server = os.pidfd_open(int(output.readline()))
        test_run.kill()
        output.read()  # ends when the guard, which holds the other end too, has exited

    test_run.wait()
    assert not directory.exists()
    assert not other.exists()
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(server, 0)
    os.close(server)


KILLED_TEST_RUN = """
import json, os, subprocess, sys
orders = json.loads(sys.argv[1]) | {"test_run": [os.getpid()]}
subprocess.run([sys.executable, "-m", "tests.servers.guard", json.dumps(orders)])
"""


def fill(backend: Backend, error: type[Exception]) -> Exception:
    run(backend, "CREATE TABLE t (s text)")
    with pytest.raises(error) as raised:
        for _ in range(200):
            rows = ", ".join(f"('{os.urandom(30_000).hex()}')" for _ in range(20))
            run(backend, f"INSERT INTO t VALUES {rows}")
    return raised.value


def test_a_postgresql_table_can_run_out_of_disk(small_disk_postgresql: Backend) -> None:
    fill(small_disk_postgresql, psycopg.errors.DiskFull)

    assert run(small_disk_postgresql, "SELECT 1") == [(1,)]


def test_a_mariadb_table_can_run_out_of_disk(small_disk_mariadb: Backend) -> None:
    error = fill(small_disk_mariadb, pymysql.err.OperationalError)

    assert error.args[0] == 1114  # the table is full
    assert run(small_disk_mariadb, "SELECT 1") == [(1,)]


def test_a_python_child_can_run_out_of_disk(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'file')!r}, 'wb').write(bytes(100_000))"

    assert run_in_tmpfs(1_000_000, tmp_path, [sys.executable, "-c", program]).returncode == 0
    full = run_in_tmpfs(50_000, tmp_path, [sys.executable, "-c", program])

    assert "No space left on device" in full.stderr
    assert list(tmp_path.iterdir()) == []
