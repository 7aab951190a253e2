"""A store of very many events: is it as quick as a small one, and can it be read in little memory?

Saves and loads of a small and of the large store take turns, so that both have the same machine.
"""

import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

from benchmarks.bench import in_child
from benchmarks.databases import database_for
from benchmarks.measure import memory_growth
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from tests.backends import Backend
from tests.faults.scenario import LOOSELY, Case, Outcome, Scenario
from tests.faults.stores import opened
from tests.infrastructure.sqlalchemy.helpers import Note, run, saved_note

__all__ = ["SCENARIOS"]

TABLE = "stored_events"
SMALL = 10_000
STREAM = 100  # events of most streams
CLONED_AT_ONCE = 500_000
SAVES, LOADS = 400, 150
WARM_UP = 20
MOST_TIMES_SLOWER = 1.25
SCANNED = 3  # times slower is more than a busy machine makes a load that has its key
MOST_MB = 32  # by which reading all may raise the peak, whatever the size


class Store(NamedTuple):
    """A store that has been filled.

    Attributes:
        streams: some of those of `STREAM` events.
        long: a stream of a tenth of all events.
    """

    app: SimpleApplication
    streams: list[UUID]
    long: UUID


@contextmanager
def _filled(case: Case, size: int, has_key: bool, chance: random.Random) -> Iterator[Store]:
    with opened(case.within(str(size)), has_key) as backend:
        settings = SQLAlchemySettings(uri=backend.uri)
        with SimpleApplication(settings=settings, setup_table=False, name=str(size)) as app:
            template, long = _note(app), _note(app)
            _grow(backend, template.id, long.id, size)
            positions = [chance.randrange(1, size // 2) for _ in range(LOADS + WARM_UP)]
            chosen = run(
                backend,
                f"SELECT originator_id FROM {TABLE} WHERE id IN"
                f" ({', '.join(map(str, positions))}) AND originator_id <> '{long.id}'",
            )
            yield Store(app, [UUID(found) for (found,) in chosen], long.id)


def _note(app: SimpleApplication) -> Note:
    """Return a note with as many events as most streams have."""
    note = saved_note(app)
    for number in range(STREAM - 1):
        note.edit(f"the text of edition {number}, which is as long as such texts are")
    app.save(note)
    return note


def _grow(backend: Backend, template: UUID, long: UUID, size: int) -> None:
    database = database_for(str(backend.uri))
    left = size - size // 10
    while left > 0:
        database.clone(TABLE, "text", template, min(left, CLONED_AT_ONCE) // STREAM)
        left -= CLONED_AT_ONCE
    database.stretch(TABLE, "text", long, STREAM, size // 10)
    if backend.is_server:
        database.execute(f"VACUUM (ANALYZE) {TABLE}")
        database.execute("CHECKPOINT")
    ((least, most),) = run(
        backend,
        f"SELECT min(n), max(n) FROM (SELECT count(*) AS n FROM {TABLE} GROUP BY originator_id) c",
    )
    assert (least, most) == (STREAM, size // 10), f"streams of {least} to {most} events"


def _in_turn(stores: Sequence[Store], act: Callable[[Store, int], object], n: int) -> list[float]:
    """Do something `n` times in each store, by turns; return each one's median, in seconds."""
    seconds: list[list[float]] = [[] for _ in stores]
    for number in range(WARM_UP + n):
        for store, times in zip(stores, seconds, strict=True):
            began = perf_counter()
            act(store, number)
            times.append(perf_counter() - began)
    return [statistics.median(times[WARM_UP:]) for times in seconds]


def _save(store: Store, number: int) -> None:
    saved_note(store.app, f"number {number}")


def _load(store: Store, number: int) -> None:
    note = store.app.repository.get(store.streams[number % len(store.streams)], Note)
    assert note.version == STREAM


def _read_long(store: Store) -> int:
    return sum(1 for _ in store.app.event_store.get_domain_events(store.long))


def _read_feed(store: Store) -> int:
    return sum(1 for _ in store.app.event_store.record_manager.feed().get_items())


def _hold_feed(store: Store) -> int:
    return len(deque(store.app.event_store.record_manager.feed().get_items()))


def _run(
    case: Case,
    has_key: bool = True,
    read_feed: Callable[[Store], int] = _read_feed,
    most_late: float = LOOSELY * MOST_TIMES_SLOWER,
) -> Outcome:
    """Compare a small store and the large one.

    Args:
        most_late: times slower that are only late; more is an anomaly.
    """
    chance = random.Random(case.seed)
    found: list[str] = []
    late: list[str] = []
    figures: dict[str, str] = {}
    with ExitStack() as stack:
        stores = [
            stack.enter_context(_filled(case, size, has_key, chance))
            for size in (SMALL, case.count)
        ]
        for name, act, n in (("save", _save, SAVES), ("load", _load, LOADS)):
            few, many = _in_turn(stores, act, n)
            figures[name] = f"{few * 1e6:,.0f} and {many * 1e6:,.0f} µs, {many / few:.2f} times"
            if many / few > MOST_TIMES_SLOWER:
                told = found if many / few > most_late else late
                told.append(f"a {name} takes {many / few:.2f} times as long: {figures[name]}")
        for name, read, least in (
            ("a long stream", _read_long, case.count // 10),
            ("all events", read_feed, case.count),
        ):
            count, grown = in_child(partial(memory_growth, partial(read, stores[-1])))
            figures[f"memory for {name}"] = f"{grown} MB"
            if grown > MOST_MB:
                found.append(f"to read {name} takes {grown} MB")
            if count < least:
                found.append(f"only {count:,} were read of {name}, which are {least:,}")
    return Outcome(case.count, found, figures, late)


def _without_key_and_pages(case: Case) -> Outcome:
    """The same in a table without its unique key, and reading all events at once. Both must be
    found: a slow load, and much memory.
    """
    outcome = _run(case, has_key=False, read_feed=_hold_feed, most_late=SCANNED)
    found = [
        what
        for sign in ("a load", "to read all")
        for what in outcome.anomalies
        if what.startswith(sign)
    ]
    return Outcome(outcome.count, found if len(found) == 2 else [], outcome.figures)


SCENARIOS = (
    Scenario(
        name="ten-million",
        title=f"save, load and read in a store of many events, compared with {SMALL:,}",
        unit="events",
        backends=("sqlite", "postgresql"),
        short=200_000,
        long=10_000_000,
        run=_run,
        control=_without_key_and_pages,
        control_count=100_000,
    ),
)
