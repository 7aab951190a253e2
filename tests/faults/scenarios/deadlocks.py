"""Two transactions of callers wait for each other, or one reads what has become old.

Each of the two takes a position that the other one wants next. On SQLite, where there are no locks
on rows, both read the file before one of them writes to it. The database gives one of them up.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import Engine

from eventsourcing.exceptions import (
    ConcurrencyError,
    LockTimeout,
    PersistenceError,
    TransactionConflict,
)
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.factory import construct_sqlalchemy_eventstore
from tests.contracts.eventstore import happened
from tests.contracts.model import Happened
from tests.faults.history import read_rows
from tests.faults.saving import entries_of
from tests.faults.scenario import LOOSELY, Case, Outcome, Scenario
from tests.faults.stores import SQL, opened
from tests.infrastructure.sqlalchemy.helpers import engine_of
from tests.races.checker import Answer, Save, anomalies

__all__ = ["SCENARIOS", "without_conflicts"]

LONGEST = 5.0  # seconds until one of the two has to be refused; no time-out for locks is as short
OPTIONS: Mapping[str, dict[str, Any]] = {
    "sqlite": {"connect_args": {"timeout": 60}},
    "postgresql": {"connect_args": {"options": "-c deadlock_timeout=100"}},  # milliseconds
    "mariadb": {},
}


class Part(NamedTuple):
    """One of the two transactions, when it is over."""

    save: Save
    error: Exception | None
    seconds: float


def run(case: Case) -> Outcome:
    """Have ``case.count`` pairs of transactions wait for each other."""
    chance = random.Random(case.seed)
    found: list[str] = []
    late: list[str] = []
    saves: list[Save] = []
    longest, both = 0.0, 0
    # SQLite does not let who has read wait for a lock, for that could be a deadlock.
    timeouts = (LockTimeout,) if case.backend == "sqlite" else ()
    with (
        opened(case) as backend,
        engine_of(backend, **OPTIONS[backend.name]) as engine,
        ThreadPoolExecutor(2) as threads,
    ):
        for turn in range(case.count):
            cross = _both_read if backend.name == "sqlite" else _crosswise
            parts = cross(engine, threads, [f"{turn}-{name}" for name in "ab"], chance)
            found += [
                f"turn {turn}: {what}"
                for what in _one_is_given_up(parts, (ConcurrencyError, *timeouts))
            ]
            for seconds in (part.seconds for part in parts if part.seconds > LONGEST):
                told = found if seconds > LOOSELY * LONGEST else late
                told.append(f"turn {turn}: {seconds:.1f} s")
            saves += [part.save for part in parts]
            longest = max(longest, *(part.seconds for part in parts))
            both += all(part.error for part in parts)
        rows = read_rows(backend)
    found += anomalies(saves, rows.entries)
    figures = {"longest wait": f"{longest:.2f} s", "both refused": f"{both}"}
    return Outcome(case.count, found, figures, late)


def control(case: Case) -> Outcome:
    """The same, where nobody tells the victim of a deadlock from other errors."""
    with without_conflicts():
        return run(case)


@contextmanager
def without_conflicts() -> Iterator[None]:
    """Have nobody tell the victim of a deadlock from other errors, in the block."""
    class_of = Translator.class_of

    def plain(self: Translator, error: BaseException) -> type[PersistenceError] | None:
        found = class_of(self, error)
        return PersistenceError if found is TransactionConflict else found

    with patch.object(Translator, "class_of", plain):
        yield


def _one_is_given_up(parts: Sequence[Part], refusals: Sequence[type]) -> Iterator[str]:
    errors = [part.error for part in parts if part.error is not None]
    for error in errors:
        if type(error) not in refusals:
            yield f"surfaced: {error!r}"
    if not any(_is_given_up(error) for error in errors):
        yield f"nobody was given up: {errors}"


def _is_given_up(error: Exception) -> bool:
    return isinstance(error, LockTimeout) or isinstance(error.__cause__, TransactionConflict)


# -- two transactions --------------------------------------------------------------------


class Transaction:
    """A transaction of a caller's, in which it saves."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        self._connection.exec_driver_sql("BEGIN")
        self._store = construct_sqlalchemy_eventstore(self._connection, setup_table=False)
        self._events: list[Happened] = []
        self._began = time.monotonic()

    def read(self) -> None:
        """Look at what is there, so that the transaction depends on it."""
        list(self._store.get_domain_events("anything"))

    def save(self, stream: str) -> None:
        """Take the first position of a stream."""
        self._events.append(happened(stream, 0))
        self._began = time.monotonic()
        self._store.store(self._events[-1])

    def finish(self, work: Callable[[], None]) -> Part:
        """Do the last piece of work, commit or else roll back, and say what came of it all."""
        error: Exception | None = None
        answer: Answer = "ok"
        try:
            work()
        except Exception as caught:
            error, answer = caught, "fail"
        seconds = time.monotonic() - self._began
        if error is None:
            self._connection.commit()
        else:
            self._connection.rollback()
        self._connection.close()
        return Part(Save(entries_of(self._events), answer), error, seconds)


def _crosswise(
    engine: Engine, threads: ThreadPoolExecutor, streams: Sequence[str], chance: random.Random
) -> list[Part]:
    """Have each take its own stream's position first, and then the other's."""
    pair = [Transaction(engine) for _ in streams]
    for transaction, stream in zip(pair, streams, strict=True):
        transaction.save(stream)
    delays = [chance.choice((0.0, 0.001, 0.01)) for _ in pair]

    def finish(transaction: Transaction, stream: str, delay: float) -> Part:
        time.sleep(delay)
        return transaction.finish(lambda: transaction.save(stream))

    return list(threads.map(finish, pair, reversed(streams), delays))


def _both_read(
    engine: Engine, threads: ThreadPoolExecutor, streams: Sequence[str], chance: random.Random
) -> list[Part]:
    """Have both read before one of them writes. The other one comes before or after its commit."""
    first, second = pair = [Transaction(engine) for _ in streams]
    for transaction in pair:
        transaction.read()
    if chance.random() < 0.5:
        one = first.finish(lambda: first.save(streams[0]))
        return [one, second.finish(lambda: second.save(streams[1]))]
    first.save(streams[0])
    other = second.finish(lambda: second.save(streams[1]))
    return [other, first.finish(lambda: None)]


SCENARIOS = (
    Scenario(
        name="deadlocks",
        title="two transactions wait for each other: one gets a ConcurrencyError (on SQLite"
        " it may be a LockTimeout), and soon",
        unit="deadlocks",
        backends=SQL,
        short=50,
        long=1_000,
        run=run,
        control=control,
    ),
)
