"""The commands by which docs/reliability.md backs up and restores databases do so."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from eventsourcing.application.simple import SimpleApplication
from tests.backends import Backend, mariadb_backend, postgresql_backend, sqlite_backend
from tests.faults.bank import Account
from tests.faults.client import Orders, start
from tests.faults.history import Tail, audit, read_logs, read_rows
from tests.faults.stores import make_table
from tests.servers.address import Address
from tests.servers.locate import Program, mariadb_client, postgres

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
STREAMS = ("a", "b", "c")
SAVES_BEFORE = 20
SECONDS_TO_SAVE = 60.0
RESTORED = "eventsourcing_test_restored"


def commands_of_page(first: str, database: str) -> list[list[str]]:
    """Return the commands of the block that begins with a program, with databases of ours."""
    (block,) = (block for block in BLOCKS.findall(PAGE.read_text()) if block.startswith(first))
    named = re.sub(r"\brestored\b", RESTORED, re.sub(r"\bbank\b", database, block))
    return [shlex.split(line) for line in named.splitlines()]


def run(program: Program, commands: list[list[str]], folder: Path, **variables: str) -> None:
    """Run a database's own programs as somebody who has set these variables."""
    for name, *arguments in commands:
        command = program.command(*arguments, name=name)
        subprocess.run(command, cwd=folder, env=os.environ | variables, check=True)


def of_sqlite(backend: Backend, folder: Path) -> Backend:
    with closing(backend.connect()) as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "backup.db")])
    return sqlite_backend(folder / "backup.db")


def of_postgresql(backend: Backend, folder: Path) -> Backend:
    address, database = _place(backend)
    commands = commands_of_page("pg_dump", database)
    to = {"PGHOST": address.host, "PGPORT": str(address.port), "PGUSER": address.user}
    run(postgres(), commands, folder, **to)
    return postgresql_backend(address, RESTORED)


def of_mariadb(backend: Backend, folder: Path) -> Backend:
    address, database = _place(backend)
    lines = (f"{key}={getattr(address, key)}" for key in ("host", "port", "user", "password"))
    (folder / "my.cnf").write_text("\n".join(["[client]", *lines, ""]))
    commands = commands_of_page("mariadb-dump", database)
    run(mariadb_client(), commands, folder, MYSQL_HOME=str(folder))
    return mariadb_backend(address, RESTORED)


def _place(backend: Backend) -> tuple[Address, str]:
    assert backend.server
    database = backend.connect_arguments.get("dbname") or backend.connect_arguments["database"]
    return backend.server.address, database


BACKUPS: dict[str, Callable[[Backend, Path], Backend]] = {
    "sqlite_file": of_sqlite,
    "private_postgresql": of_postgresql,
    "private_mariadb": of_mariadb,
}


@pytest.mark.parametrize("name", BACKUPS)
def test_a_backup_holds_whole_saves_and_can_be_continued(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backend: Backend = request.getfixturevalue(name)
    make_table(backend)
    folder = tmp_path / "backup"
    folder.mkdir()
    orders = Orders(
        uri=str(backend.uri),
        log=str(tmp_path / "log"),
        seed="1",
        streams=STREAMS,
        threads=2,
        stop=str(tmp_path / "stop"),
    )
    client = start(orders)
    try:
        _wait_for_saves(Path(orders.log))
        began = time.monotonic_ns()
        restored = BACKUPS[name](backend, folder)
    finally:
        Path(orders.stop).touch()
        client.join()

    found = read_rows(restored)
    logged = read_logs([Path(orders.log)])
    # whatever was answered later may be in the backup or not
    saves = [s if s.answered < began else s._replace(answer="unknown") for s in logged.saves]
    assert audit(logged._replace(saves=saves), found) == []
    assert len(found.entries) >= SAVES_BEFORE
    _go_on(restored, STREAMS)
    assert len(read_rows(restored).entries) == len(found.entries) + len(STREAMS)


def test_a_copy_is_put_in_the_place_of_a_file_that_was_not_closed(
    sqlite_file: Backend, tmp_path: Path
) -> None:
    make_table(sqlite_file)
    path, copy = Path(str(sqlite_file.connect_arguments["database"])), tmp_path / "copy.db"
    beside = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    _begin(sqlite_file, "before")
    with closing(sqlite_file.connect()) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])
        _begin(sqlite_file, "after")
        left = [file.read_bytes() for file in beside]
    for file, content in zip(beside, left, strict=True):  # as if it had been killed
        file.write_bytes(content)

    copy.replace(path)
    for file in beside:
        file.unlink()

    assert [entry.stream for entry in read_rows(sqlite_file).entries] == ["before"]
    _go_on(sqlite_file, ["before"])


def _wait_for_saves(log: Path) -> None:
    tail, saved, deadline = Tail(log), 0, time.monotonic() + SECONDS_TO_SAVE
    while saved < SAVES_BEFORE:
        saved += sum(line.kind == "ok" for line in tail.lines())
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _begin(backend: Backend, stream: str) -> None:
    with SimpleApplication(uri=backend.uri) as app:
        app.save(Account.create(id=stream))


def _go_on(backend: Backend, streams: Sequence[str]) -> None:
    with SimpleApplication(uri=backend.uri) as app:
        for stream in streams:
            account = app.repository.get(stream, Account)
            account.move(0, mark=1)
            app.save(account)
