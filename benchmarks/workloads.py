"""The workloads, for the library and for the bare driver alike.

Each function is one workload. It empties the database first, measures, checks what was stored, and
returns its figures. ``rows`` is how many events it was told are stored, warm-up included, and
``verified`` whether the database agrees and the values are right.
"""

import gc
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any
from uuid import UUID

from benchmarks.bench import BATCH, Bench, build, in_child
from benchmarks.concurrency import concurrent_savers
from benchmarks.feeds import feed, view
from benchmarks.imports import imports
from benchmarks.measure import median_ms, memory_growth, percentiles, throughput, timed

Figures = dict[str, Any]
Read = Callable[[Any, Any], tuple[float, int]]

WARM_UP = 20
LOADS = 5
BEHIND = 50
FEW = 10


def new_aggregates(bench: Bench) -> Figures:
    """W1: n times, create an aggregate and save its one event."""
    n = bench.options.n or 1000
    bench.database.wipe()
    with bench.adapter() as adapter:
        timed(WARM_UP, lambda i: adapter.save(adapter.create(i)))
        before = bench.count()
        latencies, seconds = timed(n, lambda i: adapter.save(adapter.create(i)))
        stored = bench.count() - before
    return throughput(n, seconds, latencies) | {"rows": WARM_UP + n, "verified": stored == n}


def one_aggregate(bench: Bench) -> Figures:
    """W2: n times, trigger an event of one aggregate and save it."""
    n = bench.options.n or 2000
    bench.database.wipe()
    with bench.adapter() as adapter:
        aggregate = adapter.create(0)
        adapter.save(aggregate)
        aggregate = adapter.load(aggregate.id)

        def command(i: int) -> None:
            adapter.change(aggregate, i)
            adapter.save(aggregate)

        timed(WARM_UP, command)
        before = bench.count()
        latencies, seconds = timed(n, command)
        stored = bench.count() - before
        last = adapter.load(aggregate.id).qty
    verified = (stored, last) == (n, n - 1)
    return throughput(n, seconds, latencies) | {"rows": 1 + WARM_UP + n, "verified": verified}


def batches(bench: Bench) -> Figures:
    """W3: n times, trigger 100 events of one aggregate and save them at once."""
    n = bench.options.n or 50
    bench.database.wipe()
    with bench.adapter() as adapter:
        aggregate = adapter.create(0)
        adapter.save(aggregate)

        def command(i: int) -> None:
            for j in range(BATCH):
                adapter.change(aggregate, i * BATCH + j)
            adapter.save(aggregate)

        before = bench.count()
        latencies, seconds = timed(n, command)
        stored = bench.count() - before
        last = adapter.load(aggregate.id).qty
    verified = (stored, last) == (n * BATCH, n * BATCH - 1)
    return throughput(n * BATCH, seconds, latencies) | {"rows": 1 + n * BATCH, "verified": verified}


def replay(bench: Bench) -> Figures:
    """W4: load streams of several lengths, five times each.

    The memory is that of a first load in a process of its own, since what an earlier one freed
    would hide what this one takes. (A few events are loaded before: what code the process has in
    memory is not the stream's.)
    """
    sizes = bench.options.sizes or (1_000, 10_000)
    bench.database.wipe()
    few, *ids = bench.prepare(FEW, *sizes)
    rows = FEW + sum(sizes)
    figures: Figures = {"n": sum(sizes), "rows": rows, "verified": bench.count() == rows}
    streams = dict(zip(sizes, ids, strict=True))
    for size, stream in streams.items():
        _, figures[f"peak_mb_{size}"] = in_child(partial(_read, bench, _load, stream, 1, few))
    with bench.adapter() as adapter:
        for size, stream in streams.items():
            loads = [_load(adapter, stream) for _ in range(LOADS)]
            durations = [seconds for seconds, _ in loads]
            figures[f"events_per_s_{size}"] = round(size / statistics.median(durations), 1)
            figures[f"ms_{size}"] = median_ms(durations)
            figures["verified"] &= {last for _, last in loads} == {size - 1}
    return figures | {"events_per_s": figures[f"events_per_s_{sizes[0]}"]}


def _load(adapter: Any, originator_id: Any) -> tuple[float, int]:
    """Load an aggregate; return the seconds that it took, and its ``qty``."""
    began = perf_counter()
    aggregate = adapter.load(originator_id)
    return perf_counter() - began, aggregate.qty


def long_stream(bench: Bench) -> Figures:
    """W4L: load a long stream, and iterate its events; the memory is the first pass's.

    A stream of 100 events is written, and made longer by SQL. Each way to read it has a process of
    its own, as in W4.
    """
    (size,) = bench.options.sizes or (1_000_000,)
    bench.database.wipe()
    few, stream = bench.prepare(FEW, BATCH)
    adapter_class = bench.adapter_class
    bench.database.stretch(adapter_class.table, adapter_class.id_form, stream, BATCH, size)
    rows = FEW + size
    figures: Figures = {"n": size, "rows": rows, "verified": bench.count() == rows}
    # Of each, what it finds: the last number, which repeats; and how many events there are.
    for name, read, expected in (
        ("replay", _load, 1 + (size - 2) % (BATCH - 1)),
        ("iteration", _iterate, size),
    ):
        passes, grown = in_child(partial(_read, bench, read, stream, bench.options.passes, few))
        durations = [seconds for seconds, _ in passes]
        figures[f"events_per_s_{name}"] = round(size / statistics.median(durations), 1)
        figures[f"peak_mb_{name}"] = grown
        figures["verified"] &= {found for _, found in passes} == {expected}
    return figures | {"events_per_s": figures["events_per_s_replay"]}


def _read(
    bench: Bench, read: Read, stream: Any, passes: int, before: Any
) -> tuple[list[tuple[float, int]], float]:
    """Return what `read` returns in each pass, and the MB by which the first raised the peak.

    Args:
        bench, read, stream, passes: What is to be done.
        before: A short stream, which is read first.
    """
    with bench.adapter() as adapter:
        read(adapter, before)
        first, grown = memory_growth(partial(read, adapter, stream))
        others = [read(adapter, stream) for _ in range(passes - 1)]
    return [first, *others], grown


def snapshots(bench: Bench) -> Figures:
    """W4S: load a long stream by way of a snapshot, and a short one by all of its events, in turns.

    The snapshot is 50 events behind, as it is on an average with one every 100. The bare driver has
    none, and shows what the same stream takes without.
    """
    short, long = bench.options.sizes or (100, 10_000)
    n = bench.options.n or 50
    bench.database.wipe()
    few, stream = bench.prepare(short, long - BEHIND)
    seconds: dict[int, list[float]] = {short: [], long: []}
    with bench.adapter() as adapter:
        adapter.take_snapshot(stream)
        aggregate = adapter.load(stream)
        for i in range(long - BEHIND, long):
            adapter.change(aggregate, i)
        adapter.save(aggregate)
        is_right = bench.count() == short + long
        for _ in range(n):
            for size, each in ((short, few), (long, stream)):
                took, last = _load(adapter, each)
                seconds[size].append(took)
                is_right &= last == size - 1
    medians = [statistics.median(each) for each in seconds.values()]
    return {
        "sizes": [short, long],
        "rows": short + long,
        "verified": is_right,
        "short_ms": median_ms(seconds[short]),
        "long_ms": median_ms(seconds[long]),
        "times": round(medians[1] / medians[0], 3),
    }


def domain_only(bench: Bench) -> Figures:
    """W5: aggregates of 100 events, with no database; n events in all."""
    n = bench.options.n or 20_000
    adapter = bench.adapter()
    build(adapter, 10)
    gc.collect()
    made = 0
    began = perf_counter()
    for _ in range(n // BATCH):
        made += adapter.take_pending(build(adapter, BATCH))
    seconds = perf_counter() - began
    return {"n": n, "events_per_s": round(n / seconds, 1), "verified": made == n}


def _iterate(adapter: Any, originator_id: Any) -> tuple[float, int]:
    """Iterate a stream; return the seconds that it took, and how many events there were."""
    began = perf_counter()
    count = sum(1 for _ in adapter.iterate(originator_id))
    return perf_counter() - began, count


def growth(bench: Bench) -> Figures:
    """W9: W1 with 400 saves, and 5 loads of 1,000 events, in ever larger stores."""
    sizes = bench.options.sizes or (10_000, 100_000, 1_000_000)
    n = bench.options.n or 400
    bench.database.wipe()
    (template,) = bench.prepare(BATCH)
    figures: Figures = {"sizes": list(sizes), "verified": True}
    for size in sizes:
        began = perf_counter()
        _grow(bench, template, size)
        figures[f"fill_s_{size}"] = round(perf_counter() - began, 1)
        (stream,) = bench.prepare(1_000)
        before = bench.count()
        with bench.adapter() as adapter:
            timed(WARM_UP, lambda i: adapter.save(adapter.create(i)))
            latencies, _ = timed(n, lambda i: adapter.save(adapter.create(i)))
            loads = [_load(adapter, stream) for _ in range(LOADS)]
        figures["rows"] = before + WARM_UP + n
        figures["verified"] &= before >= size and bench.count() == figures["rows"]
        figures["verified"] &= {last for _, last in loads} == {999}
        for name, value in percentiles(latencies).items():
            figures[f"w1_{name}_{size}"] = value
        figures[f"w4_ms_{size}"] = median_ms([seconds for seconds, _ in loads])
    return figures | {
        name: round(figures[f"{figure}_{sizes[-1]}"] / figures[f"{figure}_{sizes[0]}"], 3)
        for name, figure in (("w1_ratio", "w1_p50_us"), ("w4_ratio", "w4_ms"))
    }


def _grow(bench: Bench, template: UUID, size: int) -> None:
    """Make the store at least so large, with copies of a stream of 100 events."""
    adapter_class = bench.adapter_class
    copies = -(-(size - bench.count()) // BATCH)
    if copies > 0:
        bench.database.clone(adapter_class.table, adapter_class.id_form, template, copies)


WORKLOADS: dict[str, Callable[[Bench], Figures]] = {
    "W1": new_aggregates,
    "W2": one_aggregate,
    "W3": batches,
    "W4": replay,
    "W4L": long_stream,
    "W4S": snapshots,
    "W5": domain_only,
    "W6": feed,
    "W7": concurrent_savers,
    "W8": view,
    "W9": growth,
    "W10": imports,
}
