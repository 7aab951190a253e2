"""A node of a Galera cluster is killed and rejoins, while others write to every node.

Nodes find conflicts with each other when they commit, and call them deadlocks; and a node may not
have applied yet what another has acknowledged. A writer whose node does not answer goes on, with
the same events, on another one.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from threading import Barrier
from unittest.mock import patch

from eventsourcing.exceptions import ConcurrencyError, PersistenceError, TransactionConflict
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy import mysql
from tests.contracts.eventstore import event_store, happened
from tests.contracts.places import SQLAlchemyPlace
from tests.faults.scenario import Case, Outcome, Scenario
from tests.faults.scenarios.deadlocks import without_conflicts
from tests.faults.traffic import Traffic
from tests.races.checker import Answer, Entry, Save, anomalies
from tests.servers.galera import GaleraCluster, GaleraNode
from tests.servers.mariadb import connect, empty_database

__all__ = ["SCENARIOS"]

DATABASE = "events"
WRITERS = 12
SHARED_STREAMS = 4
MOST_SAVES = 200  # between two kills
LAST_SAVES = 1500  # on all nodes
ROUNDS = 100  # of a race for one position
NONE_TOLD = "no conflict was told of as a deadlock"
SURFACED = "surfaced: PersistenceError"  # what a deadlock is without its class
STORED = "SELECT event_id, originator_id, originator_version FROM stored_events ORDER BY id"


def _stored(node: GaleraNode) -> list[Entry]:
    with closing(connect(node.address, DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION wsrep_sync_wait = 1")
        cursor.execute(STORED)
        return [Entry(*row) for row in cursor.fetchall()]


def _run(case: Case) -> Outcome:
    chance = random.Random(case.seed)
    kills = []
    with GaleraCluster() as cluster, ExitStack() as stack:
        nodes = cluster.nodes
        empty_database(nodes[0].address, DATABASE)
        stores = [stack.enter_context(closing(_store(node))) for node in nodes]
        with Traffic(stores, WRITERS, SHARED_STREAMS, case.seed) as traffic:
            for _ in range(case.count):
                traffic.wait(chance.randrange(MOST_SAVES))
                node = chance.choice(nodes)
                node.kill()
                kills.append(time.monotonic_ns())
                traffic.wait(WRITERS)
                node.rejoin()
            traffic.wait(LAST_SAVES)
        raced, deadlocks, surfaced = _race(stores)
        contents = [_stored(node) for node in nodes]
    longest = max(traffic.seconds_until_saved(kill) for kill in kills)
    figures = {
        "saves": f"{len(traffic.saves):,}",
        "acknowledged": f"{traffic.acknowledged:,}",
        "saving again after": f"{longest:.1f} s at most",
        "deadlocks among conflicts": f"{deadlocks:,} of {2 * ROUNDS:,}",
    }
    found = [*traffic.surfaced, *surfaced, *anomalies([*traffic.saves, *raced], contents[0])]
    if not deadlocks:
        found.append(NONE_TOLD)
    if not contents[0] == contents[1] == contents[2]:
        found.append("the nodes have different events")
    return Outcome(case.count, found, figures)


def _store(node: GaleraNode) -> EventStore:
    return event_store(SQLAlchemyPlace(node.address.uri(DATABASE)), connect_timeout=2)


def _race(stores: Sequence[EventStore]) -> tuple[list[Save], int, list[str]]:
    """Have a writer on each node save at the same position at once, again and again.

    Returns:
        What they did, how many of them the server told of a deadlock, and errors that no
        application should see.
    """
    start = Barrier(len(stores), timeout=60)
    saves: list[Save] = []
    deadlocks: list[Exception] = []
    surfaced: list[str] = []

    def write(store: EventStore) -> None:
        for position in range(ROUNDS):
            event = happened("race", position)
            entry = Entry(event.context.event_id, "race", position)
            start.wait()
            invoked = time.monotonic_ns()
            answer: Answer = "ok"
            try:
                store.store(event)
            except PersistenceError as error:
                answer = "unknown"
                surfaced.append(f"surfaced: {type(error).__name__}: {error}")
            except ConcurrencyError as error:
                answer = "fail"
                if isinstance(error.__cause__, TransactionConflict):
                    deadlocks.append(error)
            saves.append(Save((entry,), answer, invoked, time.monotonic_ns()))

    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(write, stores))
    return saves, len(deadlocks), surfaced


def _unprotected(case: Case) -> Outcome:
    """The same, on nodes that do not wait until they have what others have acknowledged, where
    nobody tells the victim of a deadlock from other errors. Both must be found.
    """
    with patch.object(mysql, "_may_lag_behind", lambda cursor: False), without_conflicts():
        outcome = _run(case)
    told = [what for what in outcome.anomalies if what.startswith(SURFACED)]
    behind = [what for what in outcome.anomalies if not what.startswith(("surfaced", NONE_TOLD))]
    return replace(outcome, anomalies=[*behind, *told] if behind and told else [])


SCENARIOS = (
    Scenario(
        name="galera",
        title="three MariaDB Galera nodes: one killed, and rejoined",
        unit="kills",
        backends=("mariadb",),
        short=5,
        long=100,
        run=_run,
        control=_unprotected,
        control_count=1,
    ),
)
