"""Forks in the middle of traffic, exits with saves in flight, and interrupts at random points."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.recovery import Left, Recovery
from tests.backends import Backend
from tests.faults.client import Orders
from tests.faults.exits import WAYS, Exits
from tests.faults.history import audit, read_logs, read_rows, wait_until_alone
from tests.faults.interrupted import Breaker, begin, fork_in_traffic, interrupt_saves
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened

__all__ = ["SCENARIOS"]

THREADS, CLIENTS, STREAMS = 3, 4, 5
HANGS = 60.0  # seconds after which a client hangs
HANGS_IN_CONTROL = 10.0
REFUSED = "ApplicationClosedError"


def _orders(case: Case, backend: Backend, number: int, seconds: float = HANGS) -> Orders:
    return Orders(
        uri=str(backend.uri),
        log=str(case.directory / f"{number}.log"),
        seed=f"{case.seed}-{number}",
        streams=tuple(f"{number // CLIENTS}-{n}" for n in range(STREAMS)),
        threads=THREADS,
        seconds=seconds,
        stop=str(case.directory / f"{number}.stop"),
        settings={"group_commit": True},
    )


def _in_one_process(
    case: Case, seconds: float, work: Callable[..., None], *arguments: object
) -> Outcome:
    """Have one client do the work to its end, and look at what is stored."""
    with opened(case) as backend:
        orders = _orders(case, backend, 0, seconds)
        process = begin(work, orders, *arguments)
        process.join()
        wait_until_alone(backend)
        logged, rows = read_logs([Path(orders.log)]), read_rows(backend)
    found = audit(logged, rows)
    if process.exitcode:
        found.append(f"the client hung, or broke off: it exited with {process.exitcode}")
    return Outcome(case.count, found, {"saves": f"{logged.count('ok'):,}"})


# -- forks -------------------------------------------------------------------------------


def fork(case: Case) -> Outcome:
    """Fork ``case.count`` times."""
    return _in_one_process(case, HANGS + case.count, fork_in_traffic, case.count)


def fork_unprotected(case: Case) -> Outcome:
    """The same, where the child goes on with its parent's connections."""
    return _in_one_process(case, HANGS_IN_CONTROL, fork_in_traffic, case.count, _inherit)


def _inherit() -> None:
    for name in ("before_fork", "after_fork_in_parent", "after_fork_in_child"):
        setattr(OwnEngine, name, lambda self: None)


# -- interrupts --------------------------------------------------------------------------


def interrupt(case: Case, breaker: Breaker | None = None) -> Outcome:
    """Interrupt ``case.count`` times."""
    result = case.directory / "result"
    seconds = HANGS_IN_CONTROL if breaker else HANGS + case.count
    outcome = _in_one_process(case, seconds, interrupt_saves, case.count, str(result), breaker)
    if result.exists():
        for name, value in json.loads(result.read_text()).items():
            outcome.figures[name] = f"{value:,}"
    return outcome


def _leave_as_it_is() -> None:
    """Have an interrupted connection stay lent, in whatever state it is."""
    recover, kept = Recovery.recover, list[Left]()

    def keep(self: Recovery, left: Left, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            kept.append(left)
        else:
            recover(self, left, error)

    Recovery.recover = keep  # type: ignore[method-assign]


# -- exits -------------------------------------------------------------------------------


def leave(case: Case, application: str = "right") -> Outcome:
    """Have the interpreter exit ``case.count`` times."""
    chance = random.Random(case.seed)
    found: list[str] = []
    done = saves = last = 0
    with opened(case) as backend, Exits() as exits:
        while done < case.count:
            batch = [
                (replace(_orders(case, backend, done + n), application=application), way)
                for n, way in enumerate(chance.choices(WAYS, k=CLIENTS))
            ]
            found += exits.run(batch)
            wait_until_alone(backend)
            logged, rows = (
                read_logs(Path(orders.log) for orders, _ in batch),
                read_rows(backend, last),
            )
            # who saves while another thread closes the application is told so
            expected = [what for what in logged.errors if what.startswith(REFUSED)]
            logged = logged._replace(errors=[w for w in logged.errors if w not in expected])
            found += audit(logged, rows)
            last = rows.last
            done += len(batch)
            saves += logged.count("ok")
    return Outcome(done, found, {"saves": f"{saves:,}"})


SCENARIOS = (
    Scenario(
        name="fork",
        title="fork in the middle of traffic: parent and children go on",
        unit="forks",
        backends=SQL,
        short=50,
        long=500,
        run=fork,
        control=fork_unprotected,
        control_count=20,
    ),
    Scenario(
        name="exit",
        title="the interpreter exits with saves in flight: nothing acknowledged is lost, no hang",
        unit="exits",
        backends=SQL,
        short=40,
        long=500,
        run=leave,
        control=partial(leave, application="write behind"),
        control_count=12,
    ),
    Scenario(
        name="interrupt",
        title="KeyboardInterrupt at random points: nothing acknowledged is lost, no hang",
        unit="interrupts",
        backends=SQL,
        short=200,
        long=2_000,
        run=interrupt,
        control=partial(interrupt, breaker=_leave_as_it_is),
        control_count=100,
    ),
)
