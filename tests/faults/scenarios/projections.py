"""What makes views is killed and stopped, and the views are a fold of the events all the same."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.backends import Backend
from tests.faults.history import wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SQL, opened
from tests.projections.model import Statement, shown
from tests.projections.processes import (
    LEASE,
    Show,
    build,
    killed_savers,
    killed_workers,
    stopped_workers,
    work,
)

SAVERS = 4  # at once

# takes the URI, a function that reads the tables, how often to do it, and the seed
Hurt = Callable[[str, Show, int, int], list[str]]


def _run(hurt: Hurt, case: Case) -> Outcome:
    with opened(case) as backend:
        anomalies = hurt(str(backend.uri), partial(_shown, backend), case.count, case.seed)
        lines, totals = _shown(backend)
        figures = {"accounts": f"{len(totals):,}", "payments shown": f"{len(lines):,}"}
        return Outcome(case.count, anomalies, figures)


def _shown(backend: Backend) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    wait_until_alone(backend)
    return shown(backend)


def _killed(target: Callable[..., None], *arguments: Any) -> Callable[[Case], Outcome]:
    def hurt(uri: str, show: Show, kills: int, seed: int) -> list[str]:
        return killed_workers(uri, show, kills, seed, target, *arguments)

    return partial(_run, hurt)


def _stopped(*broken: str) -> Callable[[Case], Outcome]:
    def hurt(uri: str, show: Show, stops: int, seed: int) -> list[str]:
        return stopped_workers(uri, show, stops, seed, 2.5 * LEASE, "slow", *broken)

    return partial(_run, hurt)


def _savers(*broken: str) -> Callable[[Case], Outcome]:
    def hurt(uri: str, show: Show, kills: int, seed: int) -> list[str]:
        return killed_savers(uri, show, kills, seed, SAVERS, *broken)

    return partial(_run, hurt)


SCENARIOS = (
    Scenario(
        name="projection-killed",
        title="a worker of a projection killed at random instants while events are saved",
        unit="kills",
        backends=SQL,
        short=30,
        long=200,
        run=_killed(work, Statement),
        control=_killed(work, Statement, "separate"),
        control_count=10,
        is_idle=True,
    ),
    Scenario(
        name="projection-stopped",
        title="one of three workers of a projection stopped for longer than its lease",
        unit="stops",
        backends=SQL,
        short=10,
        long=100,
        run=_stopped(),
        control=_stopped("unfenced"),
        control_count=10,
        is_idle=True,
    ),
    Scenario(
        name="rebuild-killed",
        title="a rebuild of a projection killed at random instants while events are saved",
        unit="kills",
        backends=SQL,
        short=20,
        long=200,
        run=_killed(build),
        control=_killed(build, "separate"),
        control_count=10,
        is_idle=True,
    ),
    Scenario(
        name="inline-killed",
        title="processes killed that save with an inline projection",
        unit="kills",
        backends=SQL,
        short=100,
        long=200,
        run=_savers(),
        control=_savers("apart"),
        control_count=20,
    ),
)
