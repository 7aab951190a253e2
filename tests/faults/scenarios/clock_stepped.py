"""The clock is stepped by a day, forwards and backwards, or stands still, while clients save."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.backends import Backend
from tests.faults.client import PATIENT, Orders
from tests.faults.clock import FakeClock
from tests.faults.history import Tail, audit, hindered, read_logs, read_rows, wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened
from tests.races.checker import Entry, anomalies

__all__ = ["SCENARIOS"]

CLIENTS, THREADS, STREAMS = 2, 3, ("a", "b", "c", "d")
SAVES = 4  # of each client, from step to step
SECONDS_TO_SAVE = 120.0
WEEK = 7 * 86_400.0  # seconds: servers time locks by the clock that is stepped
A_LOT = 12 * 3600  # seconds, of a step by a day
STAMPED = "SELECT event_id, originator_id, originator_version, state FROM stored_events ORDER BY id"
ROOT = Path(__file__).parents[3]
CLIENT = """
import sys, threading, time
# Python sleeps by clock_nanosleep, which is broken in libfaketime 0.9.10
time.sleep = lambda seconds: bool(threading.Event().wait(seconds)) or None
from tests.faults.client import Orders, run
run(Orders.from_json(sys.argv[1]))
"""


class Stamped(NamedTuple):
    """An event, and when it happened, by its own account."""

    entry: Entry
    when: datetime


def run(case: Case) -> Outcome:
    """Look at what was stored, in the order of the feed."""
    return _run(case, lambda stamped: stamped, is_control=False)


def control(case: Case) -> Outcome:
    """Look at it in the order of the clock."""
    return _run(case, partial(sorted, key=lambda event: event.when), is_control=True)


def _run(
    case: Case, order: Callable[[Sequence[Stamped]], Sequence[Stamped]], is_control: bool
) -> Outcome:
    chance = random.Random(case.seed)
    with FakeClock(case.directory) as clock, opened(case, environment=clock.environment) as backend:
        with _clients(case, backend, clock) as logs:
            tails = [Tail(log) for log in logs]
            for _ in range(case.count):
                change = chance.choice((clock.step, clock.stop))
                change(chance.choice((-1, 0, 1)))
                _wait_for_saves(tails)
        wait_until_alone(backend)
        logged, stamped = read_logs(logs), _stamped(backend)
        found = audit(logged, read_rows(backend))
        found += [] if is_control else hindered(logged)
    found += anomalies(logged.saves, [event.entry for event in order(stamped)])
    seconds = [(b.when - a.when).total_seconds() for a, b in pairwise(stamped)]
    back, still = sum(s < -A_LOT for s in seconds), sum(s == 0 for s in seconds)
    if not (back and still):
        # no anomaly, for it would be one of the control too
        raise RuntimeError(f"the clock has not changed: {back} times back, {still} times still")
    figures = {
        "acknowledged": f"{logged.count('ok'):,}",
        "a day before the event before": f"{back:,}",
        "at the same microsecond": f"{still:,}",
    }
    return Outcome(case.count, found, figures)


@contextmanager
def _clients(case: Case, backend: Backend, clock: FakeClock) -> Iterator[Sequence[Path]]:
    """Have clients save by the clock, and give their logs."""
    stop = case.directory / "stop"
    orders = [
        Orders(
            uri=str(backend.uri),
            log=str(case.directory / f"{client}.log"),
            seed=f"{case.seed}-{client}",
            streams=STREAMS,
            threads=THREADS,
            seconds=8 * 3600,
            stop=str(stop),
            settings={**PATIENT, "lock_timeout": WEEK},
        )
        for client in range(CLIENTS)
    ]
    with ExitStack() as stack:
        for order in orders:
            command = [sys.executable, "-c", CLIENT, order.to_json()]
            environment = os.environ | clock.environment
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment))
        stack.callback(stop.touch)
        yield [Path(order.log) for order in orders]


def _wait_for_saves(tails: Sequence[Tail]) -> None:
    """Wait until each client has saved a few times more."""
    deadline = time.monotonic() + SECONDS_TO_SAVE
    for tail in tails:
        saved = 0
        while saved < SAVES:
            saved += sum(line.kind == "ok" for line in tail.lines())
            if time.monotonic() > deadline:
                raise TimeoutError(f"a client has not saved within {SECONDS_TO_SAVE} s")
            time.sleep(0.002)


def _stamped(backend: Backend) -> list[Stamped]:
    """Read what is stored in the order of the feed, with the events' own times."""
    with closing(backend.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(STAMPED)
        return [
            Stamped(Entry(*place), datetime.fromisoformat(json.loads(state)["timestamp"]))
            for *place, state in cursor.fetchall()
        ]


SCENARIOS = (
    Scenario(
        name="clock-stepped",
        title="the clock steps by a day, both ways, or stands still, under clients and server:"
        " order and versions are what they would be",
        unit="changes",
        backends=SQL,
        short=50,
        long=500,
        run=run,
        control=control,
        control_count=20,
    ),
)
