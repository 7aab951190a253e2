"""Writers that compete for the positions of the same streams, in threads and in processes."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from threading import Barrier
from typing import Any, NamedTuple

from eventsourcing.exceptions import ConcurrencyError, OutcomeUnknown
from eventsourcing.infrastructure.eventstore import EventStore
from tests.contracts.eventstore import event_store, happened
from tests.contracts.model import Happened
from tests.contracts.places import SQLAlchemyPlace
from tests.races.checker import Answer, Entry, Save

PATIENCE = 60
"""Seconds until a writer gives up waiting for those that never come."""

_clock = time.monotonic_ns  # one clock for all processes


class Race(NamedTuple):
    """What every writer does.

    Attributes:
        saves: how often it saves: one or two events of one or two of the streams.
    """

    streams: tuple[str, ...]
    saves: int


def in_threads(race: Race, store: EventStore, writers: int) -> list[Save]:
    """Return what all writers did, each in a thread, on one event store."""
    start = Barrier(writers, timeout=PATIENCE)
    with ThreadPoolExecutor(writers) as threads:
        logs = threads.map(lambda seed: _write(race, store, seed, start), range(writers))
        return [save for log in logs for save in log]


@contextmanager
def processes(writers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that begin together."""
    spawn = get_context("spawn")
    start = spawn.Barrier(writers, timeout=PATIENCE)
    with ProcessPoolExecutor(writers, spawn, _take_barrier, (start,)) as pool:
        yield pool


def in_processes(race: Race, uri: str, pool: ProcessPoolExecutor, writers: int) -> list[Save]:
    """Return what all writers did, each in a process with an event store of its own.

    Args:
        pool: has as many processes as there are writers. Each takes one writer, as it waits for
            the others to begin.
    """
    tasks = [pool.submit(_write_in_process, race, uri, seed) for seed in range(writers)]
    return [save for task in tasks for save in task.result()]


_start: Any = None


def _take_barrier(barrier: object) -> None:
    global _start
    _start = barrier


def _write_in_process(race: Race, uri: str, seed: int) -> list[Save]:
    store = event_store(SQLAlchemyPlace(uri, setup_table=False))
    try:
        return _write(race, store, seed, _start)
    finally:
        store.close()


def _write(race: Race, store: EventStore, seed: int, start: Any) -> list[Save]:
    """Save again and again, at the positions that were last heard of: 0 in the beginning."""
    chance = random.Random(seed)
    versions = dict.fromkeys(race.streams, 0)
    log: list[Save] = []
    start.wait()
    for _ in range(race.saves):
        chosen = chance.sample(race.streams, min(len(race.streams), chance.choice((1, 2))))
        events = [
            happened(stream, versions[stream] + n)
            for stream in chosen
            for n in range(chance.choice((1, 2)))
        ]
        log.append(_save(store, events, versions))
    return log


def _save(store: EventStore, events: Sequence[Happened], versions: dict[str, int]) -> Save:
    entries = tuple(
        Entry(event.context.event_id, str(event.originator_id), event.originator_version)
        for event in events
    )
    invoked = _clock()
    answer: Answer = "ok"
    try:
        store.store(events)
    except ConcurrencyError as error:
        answer = "fail"
        if error.actual_version is not None:
            versions[str(error.originator_id)] = error.actual_version
    except OutcomeUnknown:
        answer = "unknown"
    else:
        for entry in entries:
            versions[entry.stream] = entry.position + 1
    return Save(entries, answer, invoked, _clock())
