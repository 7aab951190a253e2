"""Clients are killed at random instants, and at failpoints around INSERT and COMMIT."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.backends import Backend
from tests.faults.client import Orders, start
from tests.faults.failpoints import Failpoint
from tests.faults.history import Tail, audit, read_logs, read_rows, wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened

CLIENTS = 4  # at once
THREADS = 4
STREAMS = 6
LONGEST_WAIT = 0.15  # seconds from a client's first save to a random instant
SECONDS_TO_BEGIN = 60.0
TEXTS = ("INSERT", "COMMIT")
KILLED = "killed"  # at a failpoint
PATIENCE = 2.0  # seconds until a client is killed that has not come to its failpoint


def run(case: Case) -> Outcome:
    """Kill clients that save as they should."""
    outcome = _run(case, "right")
    reached = {figure.split()[-1] for figure in outcome.figures if figure.startswith(KILLED)}
    outcome.anomalies.extend(f"no client was killed at {text}" for text in {*TEXTS} - reached)
    return outcome


def control(case: Case) -> Outcome:
    """Kill clients that commit each event by itself."""
    return _run(case, "row by row")


def _run(case: Case, application: str) -> Outcome:
    chance = random.Random(case.seed)
    anomalies: list[str] = []
    answers: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    kills = last = 0
    with opened(case) as backend:
        while kills < case.count:
            batch = _batch(case, backend, chance, kills, application)
            logs = _kill_some(batch, chance, reached)
            kills += len(logs)
            wait_until_alone(backend)
            logged, rows = read_logs(logs), read_rows(backend, last)
            anomalies += audit(logged, rows)
            last = rows.last
            answers.update(save.answer for save in logged.saves)
            for log in logs:
                log.unlink(missing_ok=True)
    figures = {f"{answer} saves": f"{answers[answer]:,}" for answer in ("ok", "fail", "unknown")}
    figures |= {f"{KILLED} {place}": f"{count:,}" for place, count in sorted(reached.items())}
    return Outcome(kills, anomalies, figures)


def _batch(
    case: Case, backend: Backend, chance: random.Random, kills: int, application: str
) -> Iterator[Orders]:
    """Yield the orders of clients that compete for accounts which nobody else has."""
    streams = tuple(f"{kills}-{n}" for n in range(STREAMS))
    settings: dict[str, Any] = chance.choice(({"group_commit": True}, {}))  # or the default
    for client in range(CLIENTS):
        failpoint = _failpoint(chance) if client % 2 else None
        yield Orders(
            uri=str(backend.uri),
            log=str(case.directory / f"{kills}-{client}.log"),
            seed=f"{case.seed}-{kills}-{client}",
            streams=streams,
            threads=THREADS,
            settings=settings,
            has_transactions=failpoint is not None and failpoint.text == "COMMIT",
            failpoint=failpoint,
            application=application,
        )


def _failpoint(chance: random.Random) -> Failpoint:
    return Failpoint(
        text=chance.choice(TEXTS),
        when=chance.choice(("before", "during", "after")),
        nth=chance.randint(1, 12),
        delay=chance.uniform(0, 0.002),
    )


def _kill_some(
    batch: Iterator[Orders], chance: random.Random, reached: Counter[str]
) -> Sequence[Path]:
    """Start clients, see to it that all are killed, and return their logs.

    Args:
        reached: counts those that were killed at their failpoints.
    """
    clients = [(orders, start(orders)) for orders in batch]
    for orders, _ in clients:
        _wait_for(orders, "invoke", SECONDS_TO_BEGIN)
    deadline = time.monotonic() + PATIENCE
    for orders, process in clients:
        if orders.failpoint is None:
            _wait_for(orders, chance.choice(("invoke", "ok")), deadline - time.monotonic())
            time.sleep(chance.uniform(0, LONGEST_WAIT))  # and so the next one lives longer
            process.kill()
    for orders, process in clients:
        is_dead = wait([process.sentinel], deadline - time.monotonic())
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a client was not killed, and ended with {process.exitcode}")
        if is_dead and orders.failpoint:
            reached[f"{orders.failpoint.when} {orders.failpoint.text}"] += 1
    return [Path(orders.log) for orders, _ in clients]


def _wait_for(orders: Orders, kind: str, seconds: float) -> None:
    """Wait until a client has logged a line of this kind, or for so long."""
    tail, until = Tail(Path(orders.log)), time.monotonic() + seconds
    while all(line.kind != kind for line in tail.lines()) and time.monotonic() < until:
        time.sleep(0.002)


SCENARIOS = (
    Scenario(
        name="client-killed",
        title="client killed at random instants and around INSERT and COMMIT, threads and"
        " processes, group commit on",
        unit="kills",
        backends=SQL,
        short=100,
        long=3_000,
        run=run,
        control=control,
        control_count=20,
    ),
)
