"""The power fails under a SQLite file: what was not synced is lost, in part or whole.

All that SQLite asks of the disk while several threads save is recorded, together with what the
savers were told. At random points of the recording, the files are made that may be left if the
power fails there (see `tests.faults.disk`), and the library goes on with them. Which thread comes
first is not in the seed's hands, so a run is not repeated by it: files with which something is
wrong are kept in ``build/power-loss``, as the power loss left them.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.event import listen, remove

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError, EventSourcingError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from tests.contracts.eventstore import happened
from tests.faults.disk import Disk
from tests.faults.recording import (
    Create,
    Mark,
    Open,
    Operation,
    Recording,
    Sync,
    SyncDirectory,
    recording,
)
from tests.faults.saving import entries_of
from tests.faults.scenario import Case, Outcome, Scenario
from tests.races.checker import Answer, Entry, Save, anomalies

__all__ = ["SCENARIOS"]

WRITERS, SAVES, CUTS = 4, 25, 50  # of one recording; saves of each writer
LARGEST = 12_000  # characters of an event: a few pages
CHECKPOINT = 60  # pages of the log: often
AGAIN = 0.3  # of the cuts are followed by another one, while SQLite recovers
KEPT = Path(__file__).parents[3] / "build" / "power-loss"
MOST_KEPT = 10  # cuts of a run
ROWS = "SELECT event_id, originator_id, originator_version FROM stored_events ORDER BY id"


class Mode(NamedTuple):
    """Settings of a SQLite file, and whether they promise that acknowledged saves last."""

    journal: Literal["WAL", "DELETE", "TRUNCATE", "PERSIST"]
    synchronous: Literal["EXTRA", "FULL", "NORMAL", "OFF"]
    lasts: bool = True


class Traffic(NamedTuple):
    """A recording, and what came of each save: times are places in the recording."""

    operations: Sequence[Operation]
    saves: Sequence[Save]
    stored: Sequence[Entry]


class Cut(NamedTuple):
    """What is left of a file after a power loss.

    Attributes:
        point: the place in the recording.
        files: as the power loss left them, by their paths.
        problems: what is wrong, in words.
        lost: how many acknowledged saves are lost.
    """

    point: int
    files: Mapping[str, bytes]
    problems: Sequence[str]
    lost: int


def lose_power(case: Case, modes: Sequence[Mode], kept: Path | None = None) -> Outcome:
    """Let the power fail ``case.count`` times, in each of the modes as often as in the others.

    Args:
        kept: where to keep files with which something is wrong.
    """
    chance = random.Random(case.seed)
    found: list[str] = []
    lost = done = bad = 0
    while done < case.count:
        mode = modes[done // CUTS % len(modes)] if case.count > CUTS else modes[done % len(modes)]
        cuts = min(CUTS, case.count - done) if case.count > CUTS else -(-case.count // len(modes))
        traffic = _record(case.directory / "before", mode, chance)
        for number, cut in enumerate(_cut(case.directory / "after", mode, traffic, cuts, chance)):
            problems = [f"{mode.journal} {mode.synchronous}: {what}" for what in cut.problems]
            lost = max(lost, cut.lost)
            bad += bool(problems)
            if problems and kept and bad <= MOST_KEPT:
                name = f"{mode.journal}-{mode.synchronous}-{case.seed}-{done + number}"
                _keep(kept / name, traffic, cut)
                problems[0] += f" (kept in {kept.name}/{name})"
            found += problems
        done += cuts
    figures = {"modes": ", ".join(f"{mode.journal} {mode.synchronous}" for mode in modes)}
    if not all(mode.lasts for mode in modes):
        figures["acknowledged saves lost at most"] = str(lost)
    return Outcome(done, found, figures)


def _keep(folder: Path, traffic: Traffic, cut: Cut) -> None:
    """Have the files in a folder, and in words what is wrong with them and what was saved."""
    _put(folder, cut.files)
    saves = [f"{_as_of(save, cut.point)}" for save in traffic.saves if save.invoked < cut.point]
    about = [f"power loss at {cut.point} of {len(traffic.operations)}", *cut.problems, *saves]
    (folder / "about.txt").write_text("\n".join(about))


# -- before ------------------------------------------------------------------------------


def _record(directory: Path, mode: Mode, chance: random.Random) -> Traffic:
    directory.mkdir()
    path = directory / "events.db"
    seeds = [chance.randbytes(8) for _ in range(WRITERS)]
    with recording() as record, _early_checkpoints():
        with closing(_open(path, mode, record)) as app, ThreadPoolExecutor(WRITERS) as threads:
            write = partial(_write, app.event_store, record)
            logs = list(threads.map(write, range(WRITERS), seeds))
            record.mark("close")
        with closing(_open(path, mode, record)) as app:  # the log of before is gone
            logs.append(_write(app.event_store, record, WRITERS, seeds[0]))
    stored = _rows(path)
    shutil.rmtree(directory)
    return Traffic(record.operations, _placed(record, [s for log in logs for s in log]), stored)


def _open(path: Path, mode: Mode, record: Recording | None = None) -> SimpleApplication:
    vfs = f"vfs={record.vfs}&" if record else ""
    return SimpleApplication(
        settings=SQLAlchemySettings(
            uri=f"sqlite:///file:{path}?{vfs}uri=true",
            sqlite_journal_mode=mode.journal,
            sqlite_synchronous=mode.synchronous,
        )
    )


@contextmanager
def _early_checkpoints() -> Iterator[None]:
    """Have every connection write the log back when it is still small."""

    def prepare(connection: Any, record: object) -> None:
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}").close()

    listen(Engine, "connect", prepare)
    try:
        yield
    finally:
        remove(Engine, "connect", prepare)


def _write(store: EventStore, record: Recording, number: int, seed: bytes) -> list[Save]:
    """Save to a stream of this writer's and to one that all share, and mark before and after."""
    chance = random.Random(seed)
    own, shared, log = 0, 0, []
    for n in range(SAVES):
        note = chance.randbytes(chance.randrange(LARGEST) // 2).hex()
        events = [happened(f"own {number}", own + i, note) for i in range(chance.randint(1, 2))]
        if chance.random() < 0.5:
            events.append(happened("shared", shared, note[:100]))
        answer: Answer = "ok"
        record.mark((number, n, "invoke"))
        try:
            store.store(events)
        except ConcurrencyError as error:
            answer, shared = "fail", error.actual_version or shared
        else:
            own += sum(event.originator_id != "shared" for event in events)
            shared += events[-1].originator_id == "shared"
        record.mark((number, n, "answer"))
        log.append(Save(entries_of(events), answer, number, n))
    return log


def _placed(record: Recording, saves: Sequence[Save]) -> list[Save]:
    """Return the saves with the places of their marks in the recording as their times."""
    places = {
        operation.note: place
        for place, operation in enumerate(record.operations)
        if isinstance(operation, Mark)
    }
    return [
        save._replace(
            invoked=places[(save.invoked, save.answered, "invoke")],
            answered=places[(save.invoked, save.answered, "answer")],
        )
        for save in saves
    ]


# -- after -------------------------------------------------------------------------------


def _cut(
    directory: Path, mode: Mode, traffic: Traffic, cuts: int, chance: random.Random
) -> Iterator[Cut]:
    """Yield what each power loss has left."""
    disk = Disk()
    # Before the first answer, there may be no file at all.
    first = min(save.answered for save in traffic.saves)
    points = sorted(chance.randrange(first, len(traffic.operations)) for _ in range(cuts))
    at = 0
    for point in points:
        while at < point:
            disk.do(traffic.operations[at])
            at += 1
        files, new = _put(directory, disk.after_power_loss(chance)), 0
        if chance.random() < AGAIN:
            files, new = _power_loss_while_recovering(directory, mode, files, chance)
            files = _put(directory, files)
        yield Cut(point, files, *_look(directory / "events.db", mode, traffic, point, new))


def _put(directory: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Have these files in the directory, and nothing else; return them by their new paths."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    moved = {str(directory / Path(path).name): content for path, content in files.items()}
    for path, content in moved.items():
        Path(path).write_bytes(content)
    return moved


def _power_loss_while_recovering(
    directory: Path, mode: Mode, files: dict[str, bytes], chance: random.Random
) -> tuple[dict[str, bytes], int]:
    """Return what is left, and how many saves that were new have to be in it."""
    with (
        recording() as record,
        suppress(EventSourcingError),  # it is found out when all is looked at
        closing(_open(directory / "events.db", mode, record)) as app,
    ):
        _save_something(app)
        record.mark("answer")
    disk = Disk(files)
    done = record.operations[: chance.randint(0, len(record.operations))]
    for operation in done:
        disk.do(operation)
    new = sum(isinstance(each, Mark) for each in done[: _lasting(mode, done)])
    return disk.after_power_loss(chance), new


def _lasting(mode: Mode, done: Sequence[Operation]) -> int:
    """Return the place up to which what was answered has to last, if the power fails now.

    Where a save does not wait for a sync, that is the last one of the log, as a checkpoint makes
    it: what was in the log before is safe in it, and then in the database. The first sync of a file
    is of no use until the directory is synced too.
    """
    if mode.lasts:
        return len(done)
    log, entered, place, lasting = None, False, 0, 0
    for at, operation in enumerate(done):
        match operation:
            case Create() | Open() if operation.path.endswith("-wal"):
                log, entered, place = operation.file, isinstance(operation, Open), 0
            case Sync() if operation.file == log:
                place = at
            case SyncDirectory():
                entered = True
        if entered:
            lasting = max(lasting, place)
    return lasting


def _look(path: Path, mode: Mode, traffic: Traffic, point: int, new: int) -> tuple[list[str], int]:
    begun = [_as_of(save, point) for save in traffic.saves if save.invoked < point]
    try:
        with closing(_open(path, mode)) as app:
            found = [*_use(app, begun, new)]
        with closing(sqlite3.connect(path)) as connection:
            ((verdict,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            found.append(f"corrupt: {verdict}")
        left = [entry for entry in _rows(path) if entry.stream != "new"]
    except (EventSourcingError, sqlite3.Error) as error:
        return [f"unusable: {type(error).__name__}: {str(error)[:200]}"], 0
    if list(left) != list(traffic.stored[: len(left)]):
        found.append("what is left is not the beginning of what was stored")
    events = {entry.event_id for entry in left}
    lost = [
        s for s in begun if s.answer == "ok" and any(e.event_id not in events for e in s.events)
    ]
    lasting = _lasting(mode, traffic.operations[:point])
    for index, save in enumerate(begun):
        if save in lost and save.answered >= lasting:  # it counts as not answered
            begun[index] = save._replace(answer="unknown")
    return found + anomalies(begun, left), len(lost)


def _as_of(save: Save, point: int) -> Save:
    return save if save.answered < point else save._replace(answer="unknown")


def _use(app: SimpleApplication, begun: Sequence[Save], new: int) -> Iterator[str]:
    """Read every stream, and save something new.

    Args:
        new: how many such saves have to be there.
    """
    for stream in {event.stream for save in begun for event in save.events}:
        events: Iterator[Any] = app.event_store.get_domain_events(stream)
        for position, event in enumerate(events):
            if event.originator_version != position:
                yield f"{stream} has {event.originator_version} at {position}"
    if _save_something(app) < new:
        yield "what was acknowledged during recovery is lost"


def _save_something(app: SimpleApplication) -> int:
    """Return how many such saves were there before."""
    count = len(list(app.event_store.get_domain_events("new")))
    app.event_store.store(happened("new", count))
    return count


def _rows(path: Path) -> list[Entry]:
    with closing(sqlite3.connect(path)) as connection:
        return [Entry(*row) for row in connection.execute(ROWS)]


WAL_FULL = Mode("WAL", "FULL")
WAL_NORMAL = Mode("WAL", "NORMAL", lasts=False)
JOURNALS = (Mode("DELETE", "EXTRA"), Mode("TRUNCATE", "FULL"), Mode("PERSIST", "FULL"))

SCENARIOS = (
    Scenario(
        name="power-loss-full",
        title="the power fails under SQLite with WAL and FULL: nothing acknowledged is lost",
        unit="power losses",
        backends=("sqlite",),
        short=50,
        long=500,
        run=partial(lose_power, modes=[WAL_FULL], kept=KEPT),
        control=partial(lose_power, modes=[Mode("WAL", "OFF")]),
    ),
    Scenario(
        name="power-loss-normal",
        title="the power fails under SQLite with WAL and NORMAL: only the last saves may be lost",
        unit="power losses",
        backends=("sqlite",),
        short=50,
        long=500,
        run=partial(lose_power, modes=[WAL_NORMAL], kept=KEPT),
        control=partial(lose_power, modes=[Mode("WAL", "OFF", lasts=False)]),
        control_count=100,
    ),
    Scenario(
        name="power-loss-journal",
        title="the power fails under SQLite without WAL: nothing acknowledged is lost",
        unit="power losses",
        backends=("sqlite",),
        short=51,
        long=501,
        run=partial(lose_power, modes=JOURNALS, kept=KEPT),
        control=partial(lose_power, modes=[Mode("DELETE", "OFF")]),
    ),
)
