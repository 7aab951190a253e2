"""The server is killed in the middle of traffic and started again, under one application."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tests.faults.client import Orders, start
from tests.faults.history import Logged, Tail, audit, read_logs, read_rows, wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario, each_of
from tests.faults.stores import SERVERS, opened
from tests.servers.process import Server

WRITERS = 16
SECONDS_TO_WRITE = 5.0
"""Until every writer has saved again, from when the server is ready."""

PATIENCE = 60.0  # seconds until that is given up


class Found(NamedTuple):
    """What a run found.

    Attributes:
        wrong: where what is stored is not what writers were told, in words.
        waits: seconds from a server that was ready until the last writer had saved again.
    """

    wrong: list[str]
    waits: list[float]
    logged: Logged


def run(case: Case) -> Outcome:
    """Kill the server of an application as it should be."""
    found = _run(case, "right", PATIENCE)
    late = [
        f"a writer had not saved {SECONDS_TO_WRITE} s after the server was ready: {wait:.1f} s"
        for wait in found.waits
        if SECONDS_TO_WRITE < wait < PATIENCE
    ]
    repeats = found.logged.repeats + found.logged.refusals
    figures = {
        "longest wait": f"{max(found.waits):.2f} s",
        "acknowledged": f"{found.logged.count('ok'):,}",
    } | {name: f"{count:,}" for name, count in sorted(repeats.items())}
    return Outcome(case.count, found.wrong + _in_vain(found.waits, PATIENCE), figures, late)


def control(case: Case) -> Outcome:
    """Kill that of one which takes a lost connection for success, and of one which never makes
    another connection. Both must be found out: the first by what is not stored, however long its
    writers wait, and the second by the waits.
    """
    careless = _run(case, "careless", patience=1)  # its streams have gaps: it is in vain to wait
    once = replace(case.within("clinging"), count=1)
    patience = SECONDS_TO_WRITE + 1
    clinging = _run(once, "clinging", patience)
    return each_of(
        Outcome(case.count, careless.wrong),
        Outcome(once.count, clinging.wrong + _in_vain(clinging.waits, patience)),
    )


def _in_vain(waits: Sequence[float], patience: float) -> list[str]:
    return [
        f"not every writer had saved {patience} s after the server was ready"
        for wait in waits
        if wait >= patience
    ]


def _run(case: Case, application: str, patience: float) -> Found:
    chance = random.Random(case.seed)
    waits: list[float] = []
    with opened(case) as backend:
        assert backend.server
        orders = Orders(
            uri=str(backend.uri),
            log=str(case.directory / "log"),
            seed=str(case.seed),
            streams=("a", "b"),
            threads=WRITERS,
            seconds=3600 * 8,
            stop=str(case.directory / "stop"),
            is_shared=False,
            application=application,
        )
        client = start(orders)
        traffic = _Traffic(Path(orders.log))
        traffic.wait_for_all(patience)
        for _ in range(case.count):
            time.sleep(chance.uniform(0, 0.2))
            waits.append(_kill_and_start(backend.server, traffic, chance, patience))
        Path(orders.stop).touch()
        client.join()
        wait_until_alone(backend)
        logged = read_logs([Path(orders.log)])
        return Found(audit(logged, read_rows(backend)), waits, logged)


def _kill_and_start(
    server: Server, traffic: "_Traffic", chance: random.Random, patience: float
) -> float:
    """Return how many seconds after the server was ready the last writer had saved again."""
    server.kill()
    time.sleep(chance.uniform(0, 0.3))
    server.start()
    return traffic.wait_for_all(patience)


class _Traffic:
    """Watches what writers log."""

    def __init__(self, log: Path) -> None:
        self._tail = Tail(log)

    def wait_for_all(self, patience: float) -> float:
        """Wait until each writer has saved from now on; return for how many seconds that was."""
        began = time.monotonic_ns()
        saved: dict[str, int] = {}
        while len(saved) < WRITERS:
            for line in self._tail.lines():
                if line.kind == "ok" and line.at > began:
                    saved.setdefault(line.key.partition(".")[0], line.at)
            if time.monotonic_ns() > began + patience * 1e9:
                return patience
            time.sleep(0.002)
        return (max(saved.values()) - began) / 1e9


SCENARIOS = (
    Scenario(
        name="server-killed",
        title="server killed and started again mid-traffic, under 16 writers of one application",
        unit="kills",
        backends=SERVERS,
        short=10,
        long=200,
        run=run,
        control=control,
        control_count=3,
    ),
)
