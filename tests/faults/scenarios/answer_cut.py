"""The connection is cut when the server has committed, and before the client hears of it."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.backends import Backend
from tests.faults.client import Orders, start
from tests.faults.history import Logged, audit, read_logs, read_rows, wait_until_alone
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.stores import SERVERS, opened
from tests.servers.address import Address
from tests.servers.proxy import Cut, Proxy, Where

THREADS = 8
STREAMS = ("a", "b", "c")
SECONDS_TO_CUT = 30.0
REFUSED = 0.25  # the part of the cuts after which nobody can connect for a while


def run(case: Case) -> Outcome:
    """Cut the connections of clients that save as they should."""
    return _run(case, "right")


def control(case: Case) -> Outcome:
    """Cut those of clients that do not know their own events again."""
    return _run(case, "forgetful")


def _run(case: Case, application: str) -> Outcome:
    chance = random.Random(case.seed)
    with opened(case) as backend:
        address = Address.from_uri(str(backend.uri), default_port=0)
        logs = []
        with Proxy(address) as proxy:
            for has_transactions in (False, True):
                orders = _orders(case, backend, proxy, application, has_transactions)
                target = case.count if has_transactions else case.count // 2
                client = start(orders)
                _cut(proxy, _commit(case.backend, has_transactions), target, chance)
                Path(orders.stop).touch()
                client.join()
                logs.append(Path(orders.log))
        wait_until_alone(backend)
        logged = read_logs(logs)
        anomalies = [*audit(logged, read_rows(backend)), *_self_conflicts(logged)]
    figures = {
        "acknowledged": f"{logged.count('ok'):,}",
        "typed unknown, and saved again": f"{logged.repeats['OutcomeUnknown']:,}",
    }
    return Outcome(proxy.cuts, anomalies, figures)


def _commit(backend: str, has_transactions: bool) -> Cut:
    """Return a cut at a request that commits a save, and at no other.

    A statement that does so by itself may be prepared on PostgreSQL, and so may a COMMIT: then the
    request has but the values, or nothing. The answer tells that it is a COMMIT, and the save
    before it on the same connection that it is not that of the driver, when it has connected.
    MariaDB is given values as digits, and a COMMIT that follows the byte of a query: the driver
    says AUTOCOMMIT when it connects.
    """
    if backend == "postgresql":
        return Cut(b"Account.", Where.BEFORE_ANSWER, b"COMMIT\0" if has_transactions else b"")
    return Cut(b"\x03COMMIT" if has_transactions else b"INSERT INTO", Where.BEFORE_ANSWER)


def _orders(
    case: Case, backend: Backend, proxy: Proxy, application: str, has_transactions: bool
) -> Orders:
    part = int(has_transactions)
    return Orders(
        uri=proxy.uri(str(backend.uri)),
        log=str(case.directory / f"{part}.log"),
        seed=f"{case.seed}-{part}",
        streams=STREAMS,
        threads=THREADS,
        seconds=3600,
        stop=str(case.directory / f"stop-{part}"),
        is_shared=False,  # so that nobody else can be in the way
        settings={"group_commit": True} if has_transactions else {},
        has_transactions=has_transactions,
        application=application,
    )


def _cut(proxy: Proxy, cut: Cut, target: int, chance: random.Random) -> None:
    """Cut one connection after the other, until so many have been cut in all."""
    while proxy.cuts < target:
        before = proxy.cuts
        proxy.cut(cut)
        deadline = time.monotonic() + SECONDS_TO_CUT
        while proxy.cuts == before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing has come by for {cut}")
            time.sleep(0.0005)
        if chance.random() < REFUSED:
            proxy.refuse()
            time.sleep(chance.uniform(0, 0.05))
            proxy.accept()
        time.sleep(chance.uniform(0, 0.02))


def _self_conflicts(logged: Logged) -> Iterator[str]:
    """Yield what should not be where each writer has streams of its own."""
    if count := logged.refusals["ConcurrencyError"]:
        yield f"{count} saves were in conflict with their own writer's"


SCENARIOS = (
    Scenario(
        name="answer-cut",
        title="connection cut between COMMIT and its answer, by a TCP proxy",
        unit="cuts",
        backends=SERVERS,
        short=100,
        long=1_000,
        run=run,
        control=control,
        control_count=20,
    ),
)
