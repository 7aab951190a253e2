"""The disk becomes full while several threads save, and has room again.

The disk is a small tmpfs: that of a server's tables, or of a SQLite file. It holds ballast, which
is thrown off when every writer has been refused. Then each saves again what was refused, over the
same application. A SQLite file is written to by a process of its own, which alone sees its disk:
``python -m tests.faults.scenarios.fulldisk CASE``.
"""

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from eventsourcing.exceptions import DiskFull
from eventsourcing.infrastructure.eventstore import EventStore
from tests import backends
from tests.backends import Backend
from tests.contracts.eventstore import happened
from tests.faults.applications import APPLICATIONS
from tests.faults.history import rows_over
from tests.faults.saving import entries_of
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, make_table
from tests.infrastructure.sqlalchemy.helpers import run as execute
from tests.races.checker import Answer, Save, anomalies
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.tmpfs import run_in_tmpfs

__all__ = ["SCENARIOS"]

WRITERS = 4
MOST_SAVES = 2_000  # of a writer, until it counts as endless
SERVER_DISK, FILE_DISK = 32 * 2**20, 4 * 2**20  # bytes
FILE_BALLAST = 10**6
RIGHT = "right"


class Place(NamedTuple):
    """Where a round takes place.

    Attributes:
        connection: made in time, for PostgreSQL may have no room on a full disk to begin another.
        fill, free: load the ballast, and throw it off.
        state: how many bytes an event has, about; twice as many characters.
        events: how many a save has at most.
        settings: of the connection.
    """

    backend: Backend
    connection: Any
    fill: Callable[[], object]
    free: Callable[[], object]
    state: int
    events: int
    settings: dict[str, Any]


def fill_up(case: Case, application: str = RIGHT) -> Outcome:
    """Fill the disk ``case.count`` times."""
    if case.backend == "sqlite":
        return _in_a_process(case, application)
    kind = {"postgresql": PostgresqlServer, "mariadb": MariadbServer}[case.backend]
    backend_of = getattr(backends, f"{case.backend}_backend")
    with kind(small_disk=SERVER_DISK) as server:
        backend = backend_of(server.address, server.small_database(), server)
        return _fill_up(case, partial(_on_a_server, backend), application)


def _fill_up(case: Case, prepared: Callable[[int], Any], application: str) -> Outcome:
    chance = random.Random(case.seed)
    found: list[str] = []
    saves = 0
    for turn in range(case.count):
        with prepared(turn) as place:
            uri = str(place.backend.uri)
            with APPLICATIONS[application](uri, place.settings) as app:
                log, problems = _round(app.event_store, place, chance)
        found += [f"round {turn}: {what}" for what in problems]
        saves += sum(save.answer == "ok" for save in log)
    return Outcome(case.count, found, {"saves": f"{saves:,}"})


# -- a round -----------------------------------------------------------------------------


def _round(store: EventStore, place: Place, chance: random.Random) -> tuple[list[Save], list[str]]:
    """Return the saves with their last answers, and what is wrong."""
    place.fill()
    writers = [Writer(store, place, n, chance.randbytes(8)) for n in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(Writer.save_until_refused, writers))
        found = _look(place, writers)
        place.free()
        list(threads.map(Writer.save_again, writers))
    found += _look(place, writers)
    return [save for writer in writers for save in writer.log], found


def _look(place: Place, writers: list["Writer"]) -> list[str]:
    surfaced = [what for writer in writers for what in writer.surfaced]
    for writer in writers:
        writer.surfaced.clear()
        surfaced += writer.read()
    log = [save for writer in writers for save in writer.log]
    return surfaced + anomalies(log, rows_over(place.connection).entries)


class Writer:
    """Saves batches to a stream of its own, until one is refused."""

    def __init__(self, store: EventStore, place: Place, number: int, seed: bytes) -> None:
        self.log: list[Save] = []
        self.surfaced: list[str] = []
        self._store = store
        self._place = place
        self._stream = f"stream {number}"
        self._chance = random.Random(seed)
        self._version = 0
        self._batch: list[Any] = []

    def save_until_refused(self) -> None:
        """Save until the disk is full."""
        for _ in range(MOST_SAVES):
            self._batch = self._next_batch()
            if self._save() != "ok":
                return
        self.surfaced.append(f"the disk was not full after {MOST_SAVES} saves")

    def save_again(self) -> None:
        """Save what was refused, and something new."""
        self.log.pop()
        for _ in range(2):
            if self._save() != "ok":
                self.surfaced.append("there is room again, but nothing can be saved")
                return
            self._batch = self._next_batch()[:1]

    def read(self) -> Iterator[str]:
        """Look at what is stored, which is possible on a full disk too."""
        try:
            count = len(list(self._store.get_domain_events(self._stream)))
        except Exception as error:
            yield f"not to be read: {error!r}"
        else:
            if count != self._version:
                yield f"{count} events to be read, instead of {self._version}"

    def _next_batch(self) -> list[Any]:
        text = self._chance.randbytes(self._place.state).hex()
        count = self._chance.randint(1, self._place.events)
        return [happened(self._stream, self._version + n, text) for n in range(count)]

    def _save(self) -> Answer:
        answer: Answer = "fail"
        try:
            self._store.store(self._batch)
            answer = "ok"
            self._version += len(self._batch)
        except DiskFull:
            pass
        except Exception as error:
            self.surfaced.append(f"surfaced: {error!r}")
        self.log.append(Save(entries_of(self._batch), answer))
        return answer


# -- places ------------------------------------------------------------------------------


@contextmanager
def _on_a_server(backend: Backend, turn: int) -> Iterator[Place]:
    execute(backend, "DROP TABLE IF EXISTS stored_events")
    make_table(backend)
    with closing(backend.connect()) as connection:
        cursor = connection.cursor()

        def fill() -> None:
            cursor.execute("CREATE TABLE ballast (s text)")
            rows = ", ".join(f"('{os.urandom(30_000).hex()}')" for _ in range(60))
            cursor.execute(f"INSERT INTO ballast VALUES {rows}")
            connection.commit()

        def free() -> None:
            cursor.execute("DROP TABLE ballast")
            connection.commit()

        # An event fits into a page: MariaDB 10.11 crashes if it has no room for one of its own.
        yield Place(backend, connection, fill, free, state=3_000, events=60, settings={})


@contextmanager
def _in_a_file(directory: Path, turn: int) -> Iterator[Place]:
    backend = backends.sqlite_backend(directory / f"{turn}.db")
    make_table(backend)
    ballast = directory / "ballast"
    with closing(backend.connect()) as connection:
        yield Place(
            backend,
            connection,
            fill=lambda: ballast.write_bytes(bytes(FILE_BALLAST)),
            free=ballast.unlink,
            state=10_000,
            events=6,
            settings={"sqlite_journal_mode": ("WAL", "DELETE")[turn % 2]},
        )
    for file in directory.iterdir():
        file.unlink()


def _in_a_process(case: Case, application: str) -> Outcome:
    described = json.dumps(asdict(case) | {"directory": str(case.directory)})
    command = [sys.executable, "-m", "tests.faults.scenarios.fulldisk", described, application]
    done = run_in_tmpfs(FILE_DISK, case.directory, command)
    if done.returncode:
        # no anomaly, for it would be one of the control too
        raise RuntimeError(f"exited with {done.returncode}: {done.stderr[-2000:]}")
    return Outcome(**json.loads(done.stdout))


def _main(described: str, application: str) -> None:
    given = json.loads(described)
    case = Case(**given | {"directory": Path(given["directory"])})
    outcome = _fill_up(case, partial(_in_a_file, case.directory), application)
    sys.stdout.write(json.dumps(asdict(outcome)))


SCENARIOS = (
    Scenario(
        name="disk-full",
        title="the disk is full: DiskFull, nothing partial, and on it goes when there is room",
        unit="full disks",
        backends=SQL,
        short=5,
        long=50,
        run=fill_up,
        control=partial(fill_up, application="row by row"),
        control_count=4,
    ),
)

if __name__ == "__main__":
    _main(*sys.argv[1:])
