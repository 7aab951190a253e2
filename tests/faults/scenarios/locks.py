"""Another program holds a lock for too long."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import NamedTuple

from eventsourcing.exceptions import LockTimeout
from eventsourcing.infrastructure.eventstore import EventStore
from tests.backends import Backend
from tests.contracts.eventstore import event_store, happened
from tests.contracts.model import Happened
from tests.contracts.places import SQLAlchemyPlace
from tests.faults.history import read_rows
from tests.faults.saving import entries_of
from tests.faults.scenario import LOOSELY, Case, Outcome, Scenario, each_of
from tests.faults.stores import SQL, opened
from tests.races.checker import Answer, Save, anomalies

__all__ = ["SCENARIOS"]

SAVERS = 8  # at once
LOCK_TIMEOUTS = (2.0, 5.0)  # seconds, by turns
ALLOWED = 1.2  # times the time-out
EARLIEST = 0.7  # times it: who shares a transaction with an earlier one is refused with that
LATEST = 0.2  # times the time-out, by which a saver may come later than others
LONGEST_HOLD = 60.0  # seconds: the lock is not let go before all are answered
RELEASED = 1.5  # times the time-out: when it is let go in the control
INSERT = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state, event_id)"
    " VALUES ('{}', 0, '', '{{}}', '{}')"
)


class Attempt(NamedTuple):
    """What came of a save, and after how many seconds."""

    save: Save
    error: Exception | None
    seconds: float


def hold(case: Case, given: float | None = None) -> Outcome:
    """Have ``case.count`` saves wait for a lock that is not let go in time.

    Args:
        given: the time-out that is given to the library in truth; for the control.
    """
    chance = random.Random(case.seed)
    saves: list[Save] = []
    found: list[str] = []
    late: list[str] = []
    longest = dict.fromkeys(LOCK_TIMEOUTS, 0.0)
    rounds = -(-case.count // SAVERS)
    with opened(case) as backend:
        place = SQLAlchemyPlace(str(backend.uri), setup_table=False)
        for turn in range(rounds):
            timeout = LOCK_TIMEOUTS[turn % len(LOCK_TIMEOUTS)]
            with closing(event_store(place, lock_timeout=given or timeout)) as store:
                _connect(store)
                hold_for = RELEASED * timeout if given else LONGEST_HOLD
                first, wrong, second = _round(
                    backend, store, turn, LATEST * timeout, hold_for, chance
                )
            saves += [attempt.save for attempt in first + second]
            found += wrong
            found += [what for attempt in first for what in _not_refused(attempt, timeout)]
            found += [what for attempt in first for what in _late(attempt, timeout * LOOSELY)]
            late += [what for attempt in first for what in _late(attempt, timeout * ALLOWED)]
            found += [f"not saved afterwards: {a.error!r}" for a in second if a.error]
            longest[timeout] = max(longest[timeout], *(attempt.seconds for attempt in first))
        rows = read_rows(backend)
    found += anomalies(_last_answers(saves), rows.entries)
    figures = {
        f"longest wait for a time-out of {timeout:.0f} s": f"{seconds:.2f} s"
        for timeout, seconds in longest.items()
    }
    return Outcome(rounds * SAVERS, found, figures, late)


def control(case: Case) -> Outcome:
    """Give the library a time-out that is too long, and one that is too short. Both must be found
    out.
    """
    return each_of(*(hold(case.within(str(given)), given) for given in (60.0, 0.05)))


def _connect(store: EventStore) -> None:
    """Make a connection for each saver, which is nothing that the lock's time-out is to cover."""
    engine = store.record_manager.datastore.engine  # type: ignore[attr-defined]
    with ExitStack() as stack:
        for _ in range(SAVERS):
            stack.enter_context(engine.connect())


def _not_refused(attempt: Attempt, timeout: float) -> Iterator[str]:
    if type(attempt.error) is not LockTimeout:
        yield f"{attempt.error!r} instead of LockTimeout, after {attempt.seconds:.2f} s"
    elif attempt.seconds < timeout * EARLIEST:
        yield f"given up after {attempt.seconds:.2f} s, for a time-out of {timeout} s"


def _late(attempt: Attempt, limit: float) -> Iterator[str]:
    if attempt.seconds > limit:
        yield f"answered after {attempt.seconds:.2f} s, more than {limit:.1f} s"


def _round(
    backend: Backend,
    store: EventStore,
    turn: int,
    latest: float,
    hold_for: float,
    chance: random.Random,
) -> tuple[list[Attempt], list[str], list[Attempt]]:
    """Return what came of saves while the lock is held, what of them is stored that should not be,
    and what came of the same ones afterwards.
    """
    batches = [
        [happened(f"{turn}-{n}", i) for i in range(chance.choice((1, 3)))] for n in range(SAVERS)
    ]
    delays = [chance.uniform(0, latest) for _ in batches]
    before = read_rows(backend).last
    with ThreadPoolExecutor(SAVERS) as threads, _held(backend, turn) as release:
        patience = threading.Timer(hold_for, release)
        patience.start()
        first = list(threads.map(partial(_attempt, store), batches, delays))
        patience.cancel()
        release()
        # Before they are repeated: what is stored of them would be taken for a success then.
        wrong = anomalies([attempt.save for attempt in first], read_rows(backend, before).entries)
        second = list(threads.map(partial(_attempt, store), batches, [0.0] * SAVERS))
    return first, wrong, second


def _attempt(store: EventStore, events: Sequence[Happened], delay: float) -> Attempt:
    time.sleep(delay)
    error: Exception | None = None
    answer: Answer = "ok"
    began = time.monotonic()
    try:
        store.store(events)
    except Exception as caught:
        answer, error = "fail", caught
    seconds = time.monotonic() - began
    return Attempt(Save(entries_of(events), answer), error, seconds)


def _last_answers(saves: Sequence[Save]) -> list[Save]:
    """Return one save for each set of events, with its last answer."""
    return list({save.events: save for save in saves}.values())


@contextmanager
def _held(backend: Backend, turn: int) -> Iterator[Callable[[], None]]:
    """Have somebody else hold what all savers need, and give a function that lets go of it."""
    if backend.name == "sqlite":
        with _holding_program(backend) as release:
            yield release
        return
    with closing(backend.connect()) as connection, closing(connection.cursor()) as cursor:
        for n in range(SAVERS):
            cursor.execute(INSERT.format(f"{turn}-{n}", n))
        yield _once(connection.rollback)


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""


@contextmanager
def _holding_program(backend: Backend) -> Iterator[Callable[[], None]]:
    path = str(backend.connect_arguments["database"])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == b"held\n"
        requests, answers = program.stdin, program.stdout

        def let_go() -> None:
            requests.write(b"\n")
            requests.flush()
            assert answers.readline() == b"free\n"

        release = _once(let_go)
        yield release
        release()


def _once(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function that several threads may call, the first of them to any effect."""
    lock = threading.Lock()

    def call() -> None:
        if lock.acquire(blocking=False):
            function()

    return call


SCENARIOS = (
    Scenario(
        name="lock-held",
        title="another program holds a lock for too long: a LockTimeout, within the time-out + 20%",
        unit="saves",
        backends=SQL,
        short=16,
        long=80,
        run=hold,
        control=control,
        control_count=8,
        is_idle=True,
    ),
)
