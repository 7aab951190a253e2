"""A PostgreSQL primary is killed, and a standby promoted: the application finds it by itself.

Before that, standbys may lose the primary, so that saves wait for one; and then that wait may be
ended, in each of the ways there are. Nothing that no standby has may be acknowledged.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeAlias
from unittest.mock import patch

from eventsourcing.infrastructure.sqlalchemy.postgresql import PostgreSQLDriver
from tests.contracts.eventstore import event_store
from tests.contracts.places import SQLAlchemyPlace
from tests.faults.scenario import Case, Outcome, Scenario, each_of
from tests.faults.traffic import Traffic
from tests.races.checker import Entry, anomalies
from tests.servers.postgresql import connect, empty_database
from tests.servers.quorum import QuorumCluster, wait_until

__all__ = ["SCENARIOS"]

DATABASE = "events"
WRITERS = 12
SHARED_STREAMS = 4
MOST_SAVES = 60  # between two failovers

IN_WAIT = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
STORED = "SELECT event_id, originator_id, originator_version FROM stored_events ORDER BY id"


class Cluster(QuorumCluster):
    """A cluster that is about to lose its primary."""

    def __init__(self, needs: int, chance: random.Random) -> None:
        super().__init__(needs)
        self.chance = chance

    def is_waited_for(self) -> bool:
        """Tell whether a save waits for a standby."""
        return self.primary.query(f"SELECT count(*) {IN_WAIT}") > [(0,)]

    def cut_off(self, count: int) -> None:
        """Have some of the standbys lose the primary."""
        cut = self.chance.sample(self.standbys, count)
        for standby in cut:
            standby.follow(None)
        wait_until(lambda: not any(standby.is_following() for standby in cut))


Trouble: TypeAlias = Callable[[Cluster, Traffic], None]


def _nothing(cluster: Cluster, traffic: Traffic) -> None:
    """The primary is killed in the midst of traffic."""


def _one_is_cut_off(cluster: Cluster, traffic: Traffic) -> None:
    """What is saved after this only the other standby has."""
    cluster.cut_off(1)
    traffic.wait(WRITERS)


def _both_are_cut_off(cluster: Cluster, traffic: Traffic) -> None:
    """Nothing is to be acknowledged after this."""
    cluster.cut_off(2)
    _wait(cluster, traffic)


def _waits_are_terminated(cluster: Cluster, traffic: Traffic) -> None:
    """The saves are there for all to see, and no standby has them."""
    _both_are_cut_off(cluster, traffic)
    cluster.primary.query(f"SELECT pg_terminate_backend(pid, 5000) {IN_WAIT}")
    _wait(cluster, traffic)


def _waits_are_cancelled(cluster: Cluster, traffic: Traffic) -> None:
    """And here PostgreSQL says that all is well, but for a warning."""
    _both_are_cut_off(cluster, traffic)
    cluster.primary.query(f"SELECT pg_cancel_backend(pid) {IN_WAIT}")
    _wait(cluster, traffic)


def _primary_recovers(cluster: Cluster, traffic: Traffic) -> None:
    """What waited is there when the primary, killed once before, has recovered."""
    _both_are_cut_off(cluster, traffic)
    cluster.primary.kill()
    cluster.primary.start()
    _wait(cluster, traffic)


def _wait(cluster: Cluster, traffic: Traffic) -> None:
    """Wait until saves wait for a standby; or are acknowledged without one."""
    enough = traffic.acknowledged + WRITERS
    wait_until(lambda: cluster.is_waited_for() or traffic.acknowledged >= enough)


def _run(case: Case, *, troubles: Sequence[Trouble], shared: int, needs: int) -> Outcome:
    chance = random.Random(case.seed)
    kills = []
    with Cluster(needs, chance) as cluster:
        empty_database(cluster.primary.address, DATABASE)
        place = SQLAlchemyPlace(cluster.uri(DATABASE))
        with (
            closing(event_store(place, connect_timeout=2)) as store,
            Traffic([store], WRITERS, shared, case.seed) as traffic,
        ):
            for number in range(case.count):
                traffic.wait(chance.randrange(MOST_SAVES))
                troubles[number % len(troubles)](cluster, traffic)
                cluster.primary.kill()
                kills.append(time.monotonic_ns())
                cluster.fail_over()
                traffic.wait(WRITERS)
        with closing(connect(cluster.primary.address, DATABASE)) as connection:
            stored = [Entry(*row) for row in connection.execute(STORED).fetchall()]
    longest = max(traffic.seconds_until_saved(kill) for kill in kills)
    figures = {
        "saves": f"{len(traffic.saves):,}",
        "acknowledged": f"{traffic.acknowledged:,}",
        "saving again after": f"{longest:.1f} s at most",
    }
    return Outcome(case.count, [*traffic.surfaced, *anomalies(traffic.saves, stored)], figures)


_of_kills = partial(
    _run, troubles=(_nothing, _one_is_cut_off, _both_are_cut_off), shared=SHARED_STREAMS
)
# Others may see a save before a standby has it, once nobody waits for that any longer. What they
# then build on it may be all that is left of both, so each writer has its stream for itself here.
_of_waits = partial(
    _run, troubles=(_waits_are_terminated, _waits_are_cancelled, _primary_recovers), shared=0
)


def _unconfirmed(case: Case) -> Outcome:
    """The same, where nobody notices that a wait was cancelled; and then, where a repeated save
    that was found stored, after its wait was terminated, is not waited for. Both must be found.
    """
    case = replace(case, count=1)
    with patch.object(PostgreSQLDriver, "check_commit", lambda self, connection: None):
        cancelled = _run(case, troubles=[_waits_are_cancelled], shared=0, needs=1)
    with patch.object(PostgreSQLDriver, "confirmation", None):
        terminated = _run(case, troubles=[_waits_are_terminated], shared=0, needs=1)
    return each_of(cancelled, terminated)


_kinds = (
    ("pg-quorum", "primary killed, a standby promoted", _of_kills, partial(_of_kills, needs=0), 3),
    (
        "pg-quorum-waits",
        "waits for a standby ended, primary killed, a standby promoted",
        _of_waits,
        _unconfirmed,
        2,
    ),
)
SCENARIOS = tuple(
    Scenario(
        name=name,
        title=f"three PostgreSQL nodes with quorum commit: {title}",
        unit="failovers",
        backends=("postgresql",),
        short=6,
        long=102,
        run=partial(run, needs=1),
        control=control,
        control_count=control_count,
    )
    for name, title, run, control, control_count in _kinds
)
