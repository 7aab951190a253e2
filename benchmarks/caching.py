"""What a load takes with snapshots, and with a cache: ``python -m benchmarks.caching``."""

from argparse import ArgumentParser
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.databases import LIBRARY_TABLE
from benchmarks.items import Item
from benchmarks.library import settings
from benchmarks.payloads import small
from benchmarks.run import databases
from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication

KINDS: dict[str, dict[str, Any]] = {
    "replay": {},
    "snapshot": {"snapshotting_policy": SnapshottingPolicy(every=100)},
    "cache": {"cache_size": 10},
}


def main() -> None:
    """Print a table."""
    parser = ArgumentParser(description="Measure loads with snapshots, and with a cache.")
    parser.add_argument("--events", type=int, nargs="*", default=[10, 100, 1000, 10_000])
    parser.add_argument("--loads", type=int, default=50)
    given = parser.parse_args()
    print("| Database | Events | " + " | ".join(KINDS) + " |\n|---|--:|" + "--:|" * len(KINDS))
    with databases(("sqlite", "postgresql", "mariadb")) as uris:
        for name, uri in uris.items():
            for events in given.events:
                times = [_time(uri, events, given.loads, kind) for kind in KINDS.values()]
                print(f"| {name} | {events:,} | " + " | ".join(f"{t:,.0f}" for t in times) + " |")


def _time(uri: str, events: int, loads: int, kind: dict[str, Any]) -> float:
    """Return the median time of a load, in microseconds."""
    with SimpleApplication(
        settings=settings(uri, "walnormal"), table_name=LIBRARY_TABLE, **kind
    ) as app:
        item = Item.create(**small(0))
        for i in range(1, events):
            item.change(**small(i))
        app.save(item)
        app.repository[item.id]  # takes the snapshot, or fills the cache
        return median(_seconds(lambda: app.repository[item.id]) for _ in range(loads)) * 1e6


def _seconds(load: Callable[[], object]) -> float:
    start = perf_counter()
    load()
    return perf_counter() - start


if __name__ == "__main__":
    main()
