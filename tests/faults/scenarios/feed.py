"""The feed is read while writers keep transactions open, roll back, are stopped and killed."""

import itertools
import math
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.notificationlog import Notification
from eventsourcing.infrastructure.sqlalchemy import feed
from tests.backends import Backend
from tests.faults.feedwriter import LONGEST, FeedOrders, start
from tests.faults.history import Log, Logged, Rows, audit, read_logs, read_rows, wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SERVERS, opened
from tests.infrastructure.sqlalchemy.helpers import engine_of
from tests.infrastructure.sqlalchemy.helpers import run as execute
from tests.infrastructure.sqlalchemy.interleavings import PlainWriter, Writers, plain_id
from tests.infrastructure.sqlalchemy.rejected import REJECTED, Place
from tests.races.checker import Entry, feed_anomalies

CLIENTS, THREADS = 4, 4
HELD = 0.2  # of the transactions are kept open
STREAMS = 40  # of a generation of writers
MOST_EVENTS = 12  # of a save
MOST_SAVES = 50_000  # that a run needs about; a long one has larger saves instead
LONGEST_STOP = 1.0  # seconds
SECONDS_BETWEEN_BLOWS = 1.5
SECONDS_TO_CATCH_UP = 60.0
SECONDS_IN_CONTROL = 15.0  # where some never do
READ_AGAIN = 2_000  # events
PAUSE = 0.02


class Reader(Protocol):
    """What reads the feed: the library, or one of the ways that were rejected."""

    found: list[Any]

    def read(self) -> int:
        """Read on, and return how many events that were."""
        ...

    def passed(self, stored: Sequence[Place]) -> Sequence[Place]:
        """Return of what is stored all that it should have read by now."""
        ...

    def close(self) -> None:
        """Close it."""


class LibraryReader:
    """Follows the notification log. Now and then it begins anew, where it was, or reads again what
    it has read, in many pages.
    """

    def __init__(self, backend: Backend, chance: random.Random) -> None:
        self.found: list[Place] = []
        self._uri, self._chance = backend.uri, chance
        self._app = SimpleApplication(uri=self._uri, setup_table=False)

    def read(self) -> int:
        """Read on, and return how many events that were."""
        if self._chance.random() < 0.02:
            self._app.close()
            self._app = SimpleApplication(uri=self._uri, setup_table=False)
        if self._chance.random() < 0.02:
            self._read_again(self._chance.randint(0, len(self.found)))
        before = len(self.found)
        position = self.found[-1][0] if self.found else 0
        for n in self._app.notification_log.select(position + 1):
            self.found.append(_place(n))
        return len(self.found) - before

    def passed(self, stored: Sequence[Place]) -> Sequence[Place]:
        """Return all, for it has to come to the end."""
        return stored

    def _read_again(self, index: int) -> None:
        """Who does not know of a gap yet may not come as far as before."""
        if earlier := self.found[index : index + READ_AGAIN]:
            log = self._app.notification_log
            now = [_place(n) for n in log.select(earlier[0][0], stop=earlier[-1][0])]
            if now != earlier[: len(now)]:
                raise AssertionError(f"what is behind {earlier[0][0]} is otherwise now: {now}")

    def close(self) -> None:
        """Close the application."""
        self._app.close()


def _place(n: Notification) -> Place:
    return n.position, str(n.originator_id), n.originator_version


class Find(NamedTuple):
    """What a reader has brought to light.

    Attributes:
        events: how many it has read.
        errors: what it has raised, which it should not.
        anomalies: what is wrong with what it has read.
    """

    name: str
    events: int
    errors: Sequence[str]
    anomalies: Sequence[str]


def run(case: Case) -> Outcome:
    """Follow with the library, in small pages: two readers, one of which is slow."""
    chance = random.Random(f"{case.seed} readers")
    with patch.multiple(feed, FIRST_PAGE=10, LARGEST_PAGE=100, LARGEST_PAGE_AHEAD=100):
        outcome, _ = _run(
            case,
            HELD,
            lambda backend: [LibraryReader(backend, chance) for _ in range(2)],
            SECONDS_TO_CATCH_UP,
        )
    return outcome


def control(case: Case) -> Outcome:
    """Follow in all ways that were rejected: each of them has to fail.

    All transactions are kept open: that a bound is too low shows only if no other transaction ends
    before the bound is taken. What a reader has not come to, being slow or having raised, is not
    what it gets wrong.
    """

    def readers(backend: Backend) -> Sequence[Reader]:
        return [made(backend) for made in REJECTED[case.backend]]

    outcome, finds = _run(case, 1.0, readers, SECONDS_IN_CONTROL)
    if errors := [f"{find.name}: {error}" for find in finds for error in find.errors]:
        raise AssertionError(f"what was rejected cannot be tried: {errors[0]}")
    if silent := [f"{find.name} ({find.events:,} events)" for find in finds if not find.anomalies]:
        raise AssertionError(f"nothing went wrong with {', '.join(silent)}")
    return outcome


def _run(
    case: Case,
    held: float,
    readers_on: Callable[[Backend], Sequence[Reader]],
    patience: float,
) -> tuple[Outcome, Sequence[Find]]:
    """Return the outcome, and what is in it of each reader."""
    with opened(case) as backend:
        execute(backend, "CREATE TABLE elsewhere (n INT)")
        readers = readers_on(backend)
        errors: list[list[str]] = [[] for _ in readers]
        try:
            with _following(readers, errors):
                logs = _write(case, backend, held)
                seconds = _catch_up(backend, readers, patience)
        finally:
            for reader in readers:
                reader.close()
        wait_until_alone(backend)
        logged, rows = read_logs(logs), read_rows(backend)
    finds = [_find(*each, logged, rows) for each in zip(readers, errors, strict=True)]
    anomalies = audit(logged, rows)
    for find in finds:
        anomalies += (f"{find.name}: {what}" for what in (*find.errors, *find.anomalies))
    if math.isnan(seconds):
        anomalies.append(f"a reader did not come to the end within {patience:.0f} s")
    figures = {
        "acknowledged saves": f"{logged.count('ok'):,}",
        "refused or rolled back": f"{logged.count('fail'):,}",
        "unknown": f"{logged.count('unknown'):,}",
        "seconds until all was read": f"{seconds:.2f}",
    }
    return Outcome(len(rows.entries), anomalies, figures), finds


def _find(reader: Reader, errors: Sequence[str], logged: Logged, rows: Rows) -> Find:
    found = feed_anomalies(logged.saves, reader.passed(_places(rows)), reader.found)
    return Find(type(reader).__name__, len(reader.found), errors, found)


def _places(rows: Rows) -> list[Place]:
    return [
        (number, entry.stream, entry.position)
        for number, entry in zip(rows.numbers, rows.entries, strict=True)
    ]


@contextmanager
def _following(readers: Sequence[Reader], errors: Sequence[list[str]]) -> Iterator[None]:
    """Have all readers follow inside the block.

    Args:
        errors: get what each of them raises.
    """
    is_over = threading.Event()

    def follow(reader: Reader, errors: list[str], pause: float) -> None:
        while not is_over.is_set():
            try:
                if not reader.read():
                    is_over.wait(pause)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                is_over.wait(pause)

    threads = [
        threading.Thread(target=follow, args=(*each, PAUSE * (1 + 10 * (i % 2))))
        for i, each in enumerate(zip(readers, errors, strict=True))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _write(case: Case, backend: Backend, held: float) -> Sequence[Path]:
    """Have clients write until there are enough events, while some of them are stopped and
    killed; return their logs.
    """
    stop = case.directory / "stop"
    logs = [case.directory / "provoked.log"]

    def begin() -> BaseProcess:
        logs.append(case.directory / f"{len(logs)}.log")
        generation = len(logs) // (4 * CLIENTS)
        return start(
            FeedOrders(
                uri=str(backend.uri),
                log=str(logs[-1]),
                seed=f"{case.seed}-{len(logs)}",
                streams=tuple(f"{generation}-{n}" for n in range(STREAMS)),
                threads=THREADS,
                held=held,
                events=max(MOST_EVENTS, 2 * case.count // MOST_SAVES),
                stop=str(stop),
            )
        )

    clients = [begin() for _ in range(CLIENTS)]
    with _provoking(backend, logs[0]):
        _strike(case, backend, clients, begin)
    stop.touch()
    for client in clients:
        client.join()
    return logs


def _strike(
    case: Case, backend: Backend, clients: list[BaseProcess], begin: Callable[[], BaseProcess]
) -> None:
    """Stop clients, and kill them and begin others, until there are enough events."""
    chance = random.Random(case.seed)
    while _highest(backend) < case.count or _count(backend) < case.count:
        time.sleep(SECONDS_BETWEEN_BLOWS * chance.random())
        victim = chance.randrange(CLIENTS)
        if chance.random() < 0.5:
            clients[victim].kill()
            clients[victim].join()
            clients[victim] = begin()
        else:
            _pause(clients[victim], LONGEST_STOP * chance.random())


@contextmanager
def _provoking(backend: Backend, path: Path) -> Iterator[None]:
    """Inside the block, have a writer take its transaction id first and its number last, while
    another one that began later takes a number in between, and stays.
    """
    is_over = threading.Event()

    def provoke() -> None:
        log = Log(path)
        with engine_of(backend) as engine:
            for turn in itertools.count():
                if is_over.is_set():
                    break
                with closing(Writers(engine)) as writers:
                    _provoke(log, writers, turn, is_over)
        log.close()

    thread = threading.Thread(target=provoke)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _provoke(log: Log, writers: Writers, turn: int, is_over: threading.Event) -> None:
    early, late = writers.writer(cls=PlainWriter), writers.writer(cls=PlainWriter)
    for name in ("early", "late"):
        event = (f"{name}-{turn}", 0)
        log.write("invoke", event[0], [Entry(plain_id(event), *event)])
    early.writes_elsewhere()
    late.stores((f"late-{turn}", 0))
    early.stores((f"early-{turn}", 0))
    early.commits()
    log.write("ok", f"early-{turn}")
    is_over.wait(LONGEST)
    late.commits()
    log.write("ok", f"late-{turn}")


def _pause(client: BaseProcess, seconds: float) -> None:
    assert client.pid is not None
    os.kill(client.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(client.pid, signal.SIGCONT)


def _highest(backend: Backend) -> int:
    ((count,),) = execute(backend, "SELECT max(id) FROM stored_events WHERE topic <> ''")
    return int(count or 0)


def _count(backend: Backend) -> int:
    ((count,),) = execute(backend, "SELECT count(*) FROM stored_events WHERE topic <> ''")
    return int(count)


def _catch_up(backend: Backend, readers: Sequence[Reader], patience: float) -> float:
    """Wait until all readers have come to the end, or to where they stay; return for how long."""
    began = time.monotonic()
    end = _highest(backend)
    last = math.nan
    while time.monotonic() - began < patience:
        if all(reader.found and reader.found[-1][0] >= end for reader in readers):
            last = time.monotonic() - began
            break
        time.sleep(PAUSE)
    return last


SCENARIOS = (
    Scenario(
        name="feed",
        title="16 writers with one in five transactions held open for up to 2 s, rolled back,"
        " stopped and killed, while the feed is read",
        unit="events",
        backends=SERVERS,
        short=20_000,
        long=1_000_000,
        run=run,
        control=control,
        control_count=3_000,
        is_idle=True,
    ),
)
