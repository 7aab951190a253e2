"""Many writers compete for the positions of few streams, in threads and in processes."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from eventsourcing.application.simple import SimpleApplication
from tests.backends import Backend
from tests.faults.bank import Account
from tests.faults.client import PATIENT, Orders, start
from tests.faults.history import (
    Logged,
    Rows,
    audit,
    hindered,
    read_logs,
    read_rows,
    too_few,
    wait_until_alone,
)
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened

MOST_SAVES = 1_500  # of a round: in a long run, streams are no longer and loads no slower
SECONDS = 600.0


class Round(NamedTuple):
    """So many clients, each with so many threads, on so many streams."""

    clients: int
    threads: int
    streams: int


ROUNDS = [
    round
    for writers, streams in itertools.product((16, 32, 64), (1, 10, 100))
    for round in (Round(1, writers, streams), Round(writers, 1, streams))
]


def run(case: Case) -> Outcome:
    """Write with the unique key that decides who was first."""
    return _run(case, ROUNDS, has_key=True)


def control(case: Case) -> Outcome:
    """Write where a position may be taken twice."""
    return _run(case, ROUNDS[:4], has_key=False)


def _run(case: Case, rounds: Sequence[Round], has_key: bool) -> Outcome:
    anomalies: list[str] = []
    answers: Counter[str] = Counter()
    saves = last = 0
    with opened(case, has_key) as backend:
        share = min(MOST_SAVES, case.count / len(rounds))
        for number, round in enumerate(itertools.cycle(rounds)):
            logs = _write(case, backend, round, number, share)
            wait_until_alone(backend)
            logged, rows = read_logs(logs), read_rows(backend, last)
            anomalies += audit(logged, rows)
            if has_key:
                anomalies += [*_kept_out(logged, round), *_replay(backend, rows)]
            last = rows.last
            answers.update({"acknowledged": logged.count("ok")} | logged.refusals)
            saves += len(logged.saves)
            for log in logs:
                log.unlink()
            if saves >= case.count:
                break
    figures = {name: f"{count:,}" for name, count in sorted(answers.items())}
    return Outcome(saves, anomalies, figures)


def _write(case: Case, backend: Backend, round: Round, number: int, saves: float) -> Sequence[Path]:
    """Have the writers of a round save, all beginning at once, and return their logs."""
    go = case.directory / f"go-{number}"
    orders = [
        Orders(
            uri=str(backend.uri),
            log=str(case.directory / f"{number}-{client}.log"),
            seed=f"{case.seed}-{number}-{client}",
            streams=tuple(f"{number}-{n}" for n in range(round.streams)),
            threads=round.threads,
            saves=math.ceil(saves / round.clients / round.threads),
            seconds=SECONDS,
            go=str(go),
            settings=PATIENT,
        )
        for client in range(round.clients)
    ]
    clients = [start(order) for order in orders]
    go.touch()
    for client in clients:
        client.join()
    if failed := sum(client.exitcode != 0 for client in clients):
        raise RuntimeError(f"{failed} clients did not end well")
    return [Path(order.log) for order in orders]


def _kept_out(logged: Logged, round: Round) -> Iterable[str]:
    """Yield what kept writers from saving, beside each other."""
    writers = round.clients * round.threads
    return itertools.chain(hindered(logged), too_few(logged, writers))


def _replay(backend: Backend, rows: Rows) -> Iterable[str]:
    """Yield what the library reads otherwise than it was written."""
    last = {moved.account: (moved.balance, moved.mark) for moved in rows.movements}
    with SimpleApplication(uri=backend.uri, setup_table=False) as app:
        for name, left in last.items():
            account = app.repository.get(name, Account)
            if (read := (account.balance, account.mark)) != left:
                yield f"{name} is read with {read}, where {left} should be"


SCENARIOS = (
    Scenario(
        name="hot-streams",
        title="16, 32 and 64 writers, threads and processes, on 1, 10 and 100 hot streams",
        unit="saves",
        backends=SQL,
        short=10_000,
        long=1_000_000,
        run=run,
        control=control,
        control_count=500,
    ),
)
