"""Forks in the middle of traffic, exits with saves in flight, and interrupts at random points."""

import json
import math
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from eventsourcing.exceptions import ApplicationClosedError, ConcurrencyError, OutcomeUnknown
from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.recovery import Left, Recovery
from tests.backends import Backend
from tests.faults.client import PATIENT, Orders
from tests.faults.exits import WAYS, Exits
from tests.faults.history import (
    Line,
    Logged,
    Tail,
    audit,
    hindered,
    read_logs,
    read_rows,
    too_few,
    wait_until_alone,
)
from tests.faults.interrupted import CHILD, Breaker, begin, fork_in_traffic, interrupt_saves
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened

__all__ = ["SCENARIOS"]

THREADS, CLIENTS, STREAMS = 3, 4, 5
HANGS = 60.0  # seconds after which a client hangs
STANDS_STILL = 15.0  # seconds without a save, from the first one on, after which a control ends
AT_A_TIME = 2  # children of a fork that live at the same time
CONFLICT, CLOSED = ConcurrencyError.__name__, ApplicationClosedError.__name__
UNKNOWN = OutcomeUnknown.__name__

Probe = Callable[[Logged, Iterable[Line]], Iterable[str]]
"""Says what else is wrong with what a client has logged."""


def _orders(case: Case, backend: Backend, number: int, seconds: float = HANGS) -> Orders:
    return Orders(
        uri=str(backend.uri),
        log=str(case.directory / f"{number}.log"),
        seed=f"{case.seed}-{number}",
        streams=tuple(f"{number // CLIENTS}-{n}" for n in range(STREAMS)),
        threads=THREADS,
        seconds=seconds,
        stop=str(case.directory / f"{number}.stop"),
        # or the default
        settings={**PATIENT, **({"group_commit": True} if (case.seed + number) % 2 else {})},
    )


def _in_one_process(
    case: Case, work: Callable[..., None], *arguments: object, probe: Probe | None
) -> Outcome:
    """Have one client do the work to its end, and look at what is stored.

    Args:
        probe: None in a control.
    """
    with opened(case) as backend:
        orders = _orders(case, backend, 0, HANGS + case.count)
        process = begin(work, orders, *arguments)
        if probe is None:
            _end_when_nothing_is_saved(process, Tail(Path(orders.log)))
        process.join()
        wait_until_alone(backend)
        logged, rows = read_logs([Path(orders.log)]), read_rows(backend)
    found = audit(logged, rows)
    if probe is not None:
        found += probe(logged, Tail(Path(orders.log)).lines())
    if process.exitcode:
        found.append(f"the client hung, or broke off: it exited with {process.exitcode}")
    return Outcome(case.count, found, {"saves": f"{logged.count('ok'):,}"})


def _end_when_nothing_is_saved(process: BaseProcess, log: Tail) -> None:
    """End a client that hangs, and its children, long before its time is over."""
    last = math.inf
    while process.is_alive():
        if "ok" in [line.kind for line in log.lines()]:
            last = time.monotonic()
        if time.monotonic() - last > STANDS_STILL:
            with suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
        process.join(0.1)


# -- forks -------------------------------------------------------------------------------


def fork(case: Case) -> Outcome:
    """Fork ``case.count`` times."""
    return _in_one_process(case, fork_in_traffic, case.count, probe=partial(_forked, case.count))


def fork_unprotected(case: Case) -> Outcome:
    """The same, where the child goes on with its parent's connections."""
    return _in_one_process(case, fork_in_traffic, case.count, _inherit, probe=None)


def _forked(forks: int, logged: Logged, lines: Iterable[Line]) -> Iterator[str]:
    yield from hindered(logged)
    yield from too_few(logged, THREADS + AT_A_TIME)
    tried = {line.key.partition(".")[0] for line in lines if _has_met_rows(line)}
    children = {str(CHILD + n) for n in range(forks)}
    if idle := children - tried:
        yield f"{len(idle)} children of {forks} forks have neither saved nor met a rival's save"


def _has_met_rows(line: Line) -> bool:
    return line.kind == "ok" or (line.kind == "fail" and line.detail == CONFLICT)


def _inherit() -> None:
    for name in ("before_fork", "after_fork_in_parent", "after_fork_in_child"):
        setattr(OwnEngine, name, lambda self: None)


# -- interrupts --------------------------------------------------------------------------


def interrupt(case: Case, breaker: Breaker | None = None) -> Outcome:
    """Interrupt ``case.count`` times."""
    result = case.directory / "result"
    probe = partial(_interrupted, case.count) if breaker is None else None
    work = (interrupt_saves, case.count, str(result), breaker)
    outcome = _in_one_process(case, *work, probe=probe)
    if result.exists():
        for name, value in json.loads(result.read_text()).items():
            outcome.figures[name] = f"{value:,}"
    return outcome


def _interrupted(interrupts: int, logged: Logged, lines: Iterable[Line]) -> Iterator[str]:
    # whose save was in the hands of a thread that was interrupted is told so
    yield from hindered(logged, UNKNOWN)
    yield from too_few(logged, THREADS + 1)
    yield from _many_unknown(logged, THREADS * interrupts)


def _many_unknown(logged: Logged, most: int) -> Iterator[str]:
    unknown = logged.refusals[UNKNOWN] + logged.repeats[UNKNOWN]
    if unknown > most:
        yield f"{unknown} saves of unknown outcome, where {most} could be"


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
    is_control = application != "right"
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
            logged = read_logs(Path(orders.log) for orders, _ in batch)
            rows = read_rows(backend, last)
            # Who saves while another thread closes the application is told so; or, if a position
            # was taken before, and by whom cannot be looked up any more, that this is unknown.
            each = [
                (read_logs([Path(orders.log)]), (CLOSED, UNKNOWN) if way == "close" else ())
                for orders, way in batch
            ]
            errors = [
                what
                for own, forgiven in each
                for what in own.errors
                if not what.startswith(forgiven)
            ]
            found += audit(logged._replace(errors=errors), rows)
            if not is_control:
                found += [what for own, forgiven in each for what in hindered(own, *forgiven)]
                found += [what for own, _ in each for what in _many_unknown(own, THREADS)]
                found += too_few(logged, CLIENTS * THREADS)
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
