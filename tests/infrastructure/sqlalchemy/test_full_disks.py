"""The disk is full: a typed error, nothing half stored, and on it goes when there is room again."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from eventsourcing.exceptions import DiskFull
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import Note, application, run, saved_note, stored
from tests.servers.tmpfs import run_in_tmpfs

ROOT = Path(__file__).parents[3]
BATCH = 300


@pytest.mark.parametrize("name", ["small_disk_postgresql", "small_disk_mariadb"])
def test_a_server_whose_disk_is_full_takes_events_again_when_there_is_room(
    name: str, request: pytest.FixtureRequest
) -> None:
    backend: Backend = request.getfixturevalue(name)
    run(backend, "CREATE TABLE ballast (s text)")
    rows = ", ".join(f"('{os.urandom(30_000).hex()}')" for _ in range(60))
    run(backend, f"INSERT INTO ballast VALUES {rows}")
    with application(backend) as app:
        note = saved_note(app)
        acknowledged = 1
        with pytest.raises(DiskFull):
            while True:
                for _ in range(BATCH):
                    # In the page: MariaDB 10.11 crashes when it has no room for a page of its own.
                    note.edit(os.urandom(3_000).hex())
                app.save(note)
                acknowledged += BATCH
        assert stored(backend) == acknowledged
        assert len(note.pending_events) == BATCH

        run(backend, "DROP TABLE ballast")
        app.save(note)

        assert app.repository.get(note.id, Note).version == acknowledged + BATCH


FILL_A_FILE = """
import os, sys
from eventsourcing.exceptions import DiskFull
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from eventsourcing.application.simple import SimpleApplication
from tests.infrastructure.sqlalchemy.helpers import Note, saved_note

directory, mode = sys.argv[1:]
settings = SQLAlchemySettings(uri=f"sqlite:///{directory}/events.db", sqlite_journal_mode=mode)
with SimpleApplication(settings=settings) as app:
    note = saved_note(app)
    with open(f"{directory}/ballast", "wb") as ballast:
        ballast.write(bytes(1_000_000))
    acknowledged = 1
    try:
        while True:
            for _ in range(3):
                note.edit(os.urandom(20_000).hex())
            app.save(note)
            acknowledged += 3
    except DiskFull:
        pass
    assert len(list(app.event_store.get_domain_events(note.id))) == acknowledged
    assert len(note.pending_events) == 3

    os.remove(f"{directory}/ballast")
    app.save(note)

    assert app.repository.get(note.id, Note).version == acknowledged + 3
print("went on after", acknowledged)
"""


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_file_whose_disk_is_full_takes_events_again_when_there_is_room(
    tmp_path: Path, mode: str
) -> None:
    program = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{textwrap.dedent(FILL_A_FILE)}"

    done = run_in_tmpfs(
        4_000_000, tmp_path, [sys.executable, "-W", "error", "-c", program, str(tmp_path), mode]
    )

    assert (done.stderr, done.stdout.partition("after")[0]) == ("", "went on ")


def test_a_disk_with_no_room_for_the_database_is_a_full_disk(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from eventsourcing.exceptions import DiskFull
        from eventsourcing.application.simple import SimpleApplication
        for size in range(0, 100_000, 4096):
            with open({str(tmp_path / "ballast")!r}, "wb") as ballast:
                ballast.write(bytes(100_000 - size))
            try:
                SimpleApplication(uri="sqlite:///{tmp_path}/events.db").close()
                print("room")
            except DiskFull:
                print("full")
        """)

    done = run_in_tmpfs(106_496, tmp_path, [sys.executable, "-W", "error", "-c", program])

    assert done.stderr == ""
    assert set(done.stdout.split()) == {"full", "room"}
