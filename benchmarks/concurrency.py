"""W7: several threads or processes save at once."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from benchmarks.adapter import Adapter
from benchmarks.bench import FORK, Bench
from benchmarks.measure import percentiles

PATIENCE = 60.0
"""Seconds after which a writer that others keep from its stream gives up."""

CONTENDED_COMMITS = 240


class Starter(Protocol):
    """A barrier, of threads or of processes."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all others do."""
        ...


@dataclass
class Tally:
    """What one writer did.

    Attributes:
        latencies: Seconds of each command that was acknowledged.
        conflicts: How often another writer was quicker.
        errors: How many other exceptions there were of each type.
    """

    latencies: list[float] = field(default_factory=list)
    conflicts: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def concurrent_savers(bench: Bench) -> dict[str, Any]:
    """W7: each writer saves events of its own aggregate, or (``--contend 1``) of a common one."""
    bench.database.wipe()
    if bench.options.procs:
        return _in_processes(bench)
    if bench.options.contend:
        return _contend(bench)
    return _in_threads(bench)


def _in_threads(bench: Bench) -> dict[str, Any]:
    options = bench.options
    with bench.adapter() as adapter:
        adapter.save(adapter.create(0))
        before = bench.count()
        tallies, seconds = _run_threads(
            options.threads, lambda start: save_own(adapter, options.seconds, start)
        )
        figures = _merged(tallies, seconds, before, bench.count())
    return figures | {"threads": options.threads, "contend": 0}


def _contend(bench: Bench) -> dict[str, Any]:
    threads = bench.options.threads
    quota = max(1, (bench.options.n or CONTENDED_COMMITS) // threads)
    with bench.adapter() as adapter:
        aggregate = adapter.create(0)
        adapter.save(aggregate)
        before = bench.count()
        tallies, seconds = _run_threads(
            threads, lambda start: save_shared(adapter, aggregate.id, quota, start)
        )
        figures = _merged(tallies, seconds, before, bench.count())
    return figures | {"threads": threads, "contend": 1}


def _in_processes(bench: Bench) -> dict[str, Any]:
    options = bench.options
    with bench.adapter():
        pass  # creates the table
    start = FORK.Barrier(options.procs + 1)
    tallies = FORK.SimpleQueue()

    def child() -> None:
        with bench.adapter() as adapter:
            tallies.put(save_own(adapter, options.seconds, start))

    children = [FORK.Process(target=child) for _ in range(options.procs)]
    for process in children:
        process.start()
    start.wait(PATIENCE)
    began = perf_counter()
    collected = [tallies.get() for _ in children]
    seconds = perf_counter() - began
    for process in children:
        process.join()
    tallies.close()
    return _merged(collected, seconds, 0, bench.count()) | {"procs": options.procs}


def _run_threads(k: int, writer: Callable[[Starter], Tally]) -> tuple[list[Tally], float]:
    """Run `k` writers at once; return what they did, and the seconds from start to end."""
    start = threading.Barrier(k + 1)
    tallies: list[Tally] = []
    threads = [threading.Thread(target=lambda: tallies.append(writer(start))) for _ in range(k)]
    for thread in threads:
        thread.start()
    start.wait(PATIENCE)
    began = perf_counter()
    for thread in threads:
        thread.join()
    return tallies, perf_counter() - began


def save_own(adapter: Adapter, seconds: float, start: Starter) -> Tally:
    """Save events of an aggregate of one's own for some time."""
    tally = Tally()
    aggregate = adapter.create(0)
    is_new = True
    start.wait(PATIENCE)
    end = perf_counter() + seconds
    while (began := perf_counter()) < end:
        try:
            if not is_new:
                adapter.change(aggregate, len(tally.latencies))
            adapter.save(aggregate)
        except Exception as error:
            tally.errors[type(error).__name__] += 1
            aggregate = adapter.create(0)
            is_new = True
        else:
            tally.latencies.append(perf_counter() - began)
            is_new = False
    return tally


def save_shared(adapter: Adapter, originator_id: Any, quota: int, start: Starter) -> Tally:
    """Load an aggregate that others write too, change and save it; after a conflict, again.

    There is no delay after a conflict, and each attempt loads all of the stream. A command's time
    includes its attempts that failed.
    """
    tally = Tally()
    start.wait(PATIENCE)
    began = perf_counter()
    end = began + PATIENCE
    while len(tally.latencies) < quota and perf_counter() < end:
        try:
            aggregate = adapter.load(originator_id)
            adapter.change(aggregate, len(tally.latencies))
            adapter.save(aggregate)
        except adapter.conflict:
            tally.conflicts += 1
        except Exception as error:
            tally.errors[type(error).__name__] += 1
        else:
            now = perf_counter()
            tally.latencies.append(now - began)
            began = now
    return tally


def _merged(tallies: list[Tally], seconds: float, before: int, after: int) -> dict[str, Any]:
    latencies = [latency for tally in tallies for latency in tally.latencies]
    errors = sum((tally.errors for tally in tallies), Counter[str]())
    committed = len(latencies)
    return {
        "committed": committed,
        "events_per_s": round(committed / seconds, 1),
        **percentiles(latencies),
        "conflicts": sum(tally.conflicts for tally in tallies),
        "errors": errors.total(),
        "error_types": dict(errors),
        "rows": before + committed,
        "db_delta": after - before,
        "verified": after - before == committed,
    }
