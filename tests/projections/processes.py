"""Workers in processes of their own, to kill and to stop."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.stores import activate
from tests.projections.model import Account, Sharded, Statement, expected

LEASE = 0.5  # seconds
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.projections.model"])

Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
Show = Callable[[], Rows]


def work(uri: str, projection: type[Statement], page_size: int) -> None:
    """Run a worker until it is killed."""
    with SimpleApplication(uri) as app:
        options: dict[str, Any] = {"page_size": page_size, "poll_seconds": 0.01}
        ProjectionRunner(app, projection(), lease_seconds=LEASE, **options).run()


@contextmanager
def workers(
    uri: str, projection: type[Statement], count: int, page_size: int = 5
) -> Iterator[Sequence[BaseProcess]]:
    """Workers, which are killed at the end."""
    processes = [
        PROCESSES.Process(target=work, args=(uri, projection, page_size), daemon=True)
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid or 0, signal.SIGKILL)
            process.join()


def open_accounts(app: SimpleApplication, count: int) -> list[Account]:
    activate(app.persistence_policy)
    accounts = [Account.create(id=f"a{number}") for number in range(count)]
    app.save(*accounts)
    return accounts


def pay_at_random(app: SimpleApplication, accounts: Sequence[Account], chance: Any) -> None:
    """Save a few payments of a few accounts."""
    for account in chance.sample(list(accounts), min(3, len(accounts))):
        for _ in range(chance.randrange(1, 6)):
            account.pay(chance.randrange(100))
        app.save(account)


def killed_runs(
    uri: str, show: Show, kills: int, seed: int, projection: type[Statement] = Statement
) -> list[str]:
    """Kill workers of a projection at random while events are saved, and compare its tables with
    a fold of the events.

    Args:
        show: Returns the tables' rows, as `tests.projections.model.shown` does.

    Returns:
        What is wrong, in words.
    """
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        accounts = open_accounts(app, 8)
        for _ in range(kills):
            with workers(uri, projection, 1, page_size=3) as (worker,):
                until = time.monotonic() + chance.uniform(0.05, 2.5 * LEASE)
                while time.monotonic() < until:
                    pay_at_random(app, accounts, chance)
                    time.sleep(0.01)
                os.kill(worker.pid or 0, signal.SIGKILL)
        return compare(app, show, projection, seed)


def compare(
    app: SimpleApplication, show: Show, projection: type[Statement], seed: object
) -> list[str]:
    """Catch up with all events, and return what is wrong."""
    with ProjectionRunner(app, projection(), lease_seconds=LEASE) as runner:
        end = app.notification_log.high_water_mark().position
        deadline = time.monotonic() + 60
        while min(each.position for each in runner._store.checkpoints()) < end:
            if time.monotonic() > deadline:
                return [f"seed {seed}: it does not catch up"]
            runner.catch_up()
            time.sleep(0.02)
    found, wanted = show(), expected(app)
    return [
        f"seed {seed}: {row} is there {rows.count(row)} times, not {right.count(row)}"
        for rows, right in zip(found, wanted, strict=True)
        for row in sorted({*rows, *right})
        if rows.count(row) != right.count(row)
    ]


def stopped_worker(uri: str, show: Show, seed: int) -> list[str]:
    """Let three workers share a projection, and stop one of them for longer than its lease."""
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        accounts = open_accounts(app, 12)
        with workers(uri, Sharded, 3) as running:
            for _ in running:
                pay_at_random(app, accounts, chance)
                time.sleep(chance.uniform(0.05, LEASE))
            stopped = running[0].pid or 0
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(2.5 * LEASE)
            os.kill(stopped, signal.SIGCONT)
            for _ in range(5):
                pay_at_random(app, accounts, chance)
                time.sleep(0.05)
        return compare(app, show, Sharded, seed)
