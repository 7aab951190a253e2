"""Workers and savers in processes of their own, to kill and to stop."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.inline import project_inline
from eventsourcing.application.projections.rebuilding import rebuild
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.projections.stores import store_of
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.stores import activate
from eventsourcing.exceptions import DatabaseUnavailable, ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.projectionstore import PASSING
from tests.projections.broken import PAUSE, break_process
from tests.projections.model import Account, Sharded, Statement, expected

LEASE = 0.5  # seconds
LONGEST_STAND = 60.0  # seconds
ACCOUNTS = 12
Ready: TypeAlias = "Connection[bool, bool]"
PAGE = 3  # so few events that there are many transactions to be killed in
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.projections.model", "tests.projections.broken"])

Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
Show = Callable[[], Rows]
"""Returns what the tables show, as `tests.projections.model.shown` does."""


def work(ready: Ready, uri: str, page_size: int, projection: type[Statement], *broken: str) -> None:
    """Run a worker until it is killed."""
    break_process(*broken)
    with SimpleApplication(uri) as app:
        options: dict[str, Any] = {"page_size": page_size, "poll_seconds": 0.01}
        runner = ProjectionRunner(app, projection(), lease_seconds=LEASE, **options)
        ready.send(True)
        runner.run()


def build(ready: Ready, uri: str, page_size: int, *broken: str) -> None:
    """Rebuild the projection again and again until killed."""
    break_process(*broken)
    with SimpleApplication(uri) as app:
        ready.send(True)
        while True:
            with suppress(*PASSING, *((ProgrammingError,) if broken else ())):  # do it again
                rebuild(app, Statement(), page_size=page_size, lease_seconds=LEASE)


def save_inline(ready: Ready, uri: str, seed: str, *broken: str) -> None:
    """Save accounts and payments with an inline projection until killed."""
    break_process(*broken)
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        project_inline(app, Statement(), setup=False)
        accounts = open_accounts(app, ACCOUNTS, seed)
        ready.send(True)
        while True:
            pay_at_random(app, accounts, chance)


@contextmanager
def running(
    count: int, target: Callable[..., None], *arguments: Any
) -> Iterator[Sequence[BaseProcess]]:
    """Processes that are ready; they are killed at the end.

    Raises:
        RuntimeError: one was not killed, but ended by itself.
    """
    processes, ends = [], []
    for _ in range(count):
        end, ready = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=target, args=(ready, *arguments), daemon=True)
        process.start()
        ready.close()
        processes.append(process)
        ends.append(end)
    try:
        for end in ends:
            with end:
                end.recv()  # EOFError: it has died
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()
    ended = {process.exitcode for process in processes} - {-signal.SIGKILL}
    if ended:
        raise RuntimeError(f"what was to be killed has ended by itself, with {ended}")


def await_progress(
    workers: Sequence[BaseProcess], position: Callable[[], int], before: int
) -> None:
    """Wait until the workers have come further; or one has died, which `running` tells.

    Raises:
        TimeoutError: they live, and do not go on.
    """
    deadline = time.monotonic() + LONGEST_STAND
    while position() <= before and all(worker.is_alive() for worker in workers):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers stand at {before}")
        time.sleep(0.02)


def open_accounts(app: SimpleApplication, count: int, prefix: str = "a") -> list[Account]:
    activate(app.persistence_policy)
    accounts = [Account.create(id=f"{prefix}{number}") for number in range(count)]
    app.save(*accounts)
    return accounts


def pay_at_random(app: SimpleApplication, accounts: Sequence[Account], chance: Any) -> None:
    """Save a few payments of a few accounts."""
    for account in chance.sample(list(accounts), min(3, len(accounts))):
        for _ in range(chance.randrange(1, 6)):
            account.pay(chance.randrange(100))
        app.save(account)


def killed_workers(
    uri: str, show: Show, kills: int, seed: int, target: Callable[..., None], *arguments: Any
) -> list[str]:
    """Kill workers of a projection at random while events are saved, and compare its tables with
    a fold of the events.

    Args:
        target, arguments: what a worker does, and what it needs to know beside the URI and the
            size of a page.

    Returns:
        What is wrong, in words.
    """
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        accounts = open_accounts(app, ACCOUNTS)
        for _ in range(kills):
            with running(1, target, uri, PAGE, *arguments):
                until = time.monotonic() + chance.uniform(0.05, 2.5 * LEASE)
                while time.monotonic() < until:
                    pay_at_random(app, accounts, chance)
                    time.sleep(0.01)
        store_of(app, Statement).setup(Statement.tables)  # all may have been killed before that
        with running(1, target, uri, PAGE, *arguments) as workers:
            pay_and_see(app, Statement, workers, accounts, chance)
        catch_up(app, Statement)
    return differences(uri, show, seed)


def killed_savers(
    uri: str, show: Show, kills: int, seed: int, at_once: int, *broken: str
) -> list[str]:
    """Kill processes that save with an inline projection, and compare."""
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        project_inline(app, Statement())
        for number in range(0, kills, at_once):
            with ExitStack() as stack:
                for each in range(at_once):
                    order = (uri, f"{seed}-{number + each}-", *broken)
                    stack.enter_context(running(1, save_inline, *order))
                time.sleep(chance.uniform(0, 0.2))
        with running(1, save_inline, uri, f"{seed}-last-", *broken) as savers:
            await_progress(savers, partial(end_of, app), end_of(app))
    return differences(uri, show, seed)


def stopped_workers(
    uri: str, show: Show, stops: int, seed: int, pause: float, *broken: str
) -> list[str]:
    """Let three workers share a projection, and stop one after another for longer than its lease.

    Args:
        pause: for how long, in seconds.
    """
    chance = random.Random(seed)
    with SimpleApplication(uri) as app:
        accounts = open_accounts(app, ACCOUNTS)
        with running(3, work, uri, 5, Sharded, *broken) as workers:
            for _ in range(stops):
                for _ in workers:
                    pay_at_random(app, accounts, chance)
                    time.sleep(chance.uniform(0.05, LEASE / 2))
                stopped = chance.choice(workers).pid or 0
                for account in accounts:
                    account.pay(1)
                app.save(*accounts)
                time.sleep(chance.uniform(0, 2 * PAUSE))  # it is at work on that
                os.kill(stopped, signal.SIGSTOP)
                time.sleep(pause)
                os.kill(stopped, signal.SIGCONT)
            for _ in range(5):
                pay_at_random(app, accounts, chance)
                time.sleep(0.05)
            pay_and_see(app, Sharded, workers, accounts, chance)
        catch_up(app, Sharded)
    return differences(uri, show, seed)


def pay_and_see(
    app: SimpleApplication,
    projection: type[Statement],
    workers: Sequence[BaseProcess],
    accounts: Sequence[Account],
    chance: random.Random,
) -> None:
    """Save payments, and wait until the workers go on: it may not be `catch_up` that does all."""
    position = ProjectionControl(app, projection()).position
    before = position()
    pay_at_random(app, accounts, chance)
    await_progress(workers, position, before)


def end_of(app: SimpleApplication) -> int:
    """Return where the feed ends."""
    return app.notification_log.high_water_mark().position


def catch_up(app: SimpleApplication, projection: type[Statement]) -> None:
    """Catch up with all events, beside others that may do so too.

    Raises:
        TimeoutError: it does not go on.
    """
    with ProjectionRunner(app, projection(), lease_seconds=LEASE) as runner:
        end, before = end_of(app), -1
        deadline = time.monotonic() + LONGEST_STAND
        while (now := min(each.position for each in runner._store.checkpoints())) < end:
            if now > before:
                before, deadline = now, time.monotonic() + LONGEST_STAND
            if time.monotonic() > deadline:
                raise TimeoutError(f"the projection stands at {now}")
            with suppress(DatabaseUnavailable):  # it ended a transaction that stood still for long
                if runner.step():
                    continue
            time.sleep(0.02)


def differences(uri: str, show: Show, seed: object) -> list[str]:
    """Return in what the tables differ from a fold of the events, in words."""
    found, shown = [], show()
    with SimpleApplication(uri) as app:
        wanted = expected(app)
    for rows, right in zip(map(Counter, shown), map(Counter, wanted), strict=True):
        found += [
            f"seed {seed}: {row} is there {rows[row]} times, not {right[row]}"
            for row in sorted(rows | right)
            if rows[row] != right[row]
        ]
    return found
