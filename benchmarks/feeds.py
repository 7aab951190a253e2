"""The workloads that read all events: the feed, and a view that is made of it."""

import statistics
from time import perf_counter
from typing import Any

from benchmarks.bench import BATCH, Bench

PASSES = 3


def feed(bench: Bench) -> dict[str, Any]:
    """W6: read all events in one order, each as an object; n streams of 100 events."""
    streams = bench.options.n or 1_000
    rows = _fill(bench, streams)
    durations, counts = [], set()
    with bench.adapter() as adapter:
        for _ in range(PASSES):
            began = perf_counter()
            counts.add(sum(1 for _ in adapter.read_feed()))
            durations.append(perf_counter() - began)
    return {
        "n": rows,
        "rows": rows,
        "events_per_s": round(rows / statistics.median(durations), 1),
        "verified": counts == {rows} and bench.count() == rows,
    }


def view(bench: Bench) -> dict[str, Any]:
    """W8: make a view of n events, and note durably how far it has come: the library for each of
    its pages, and the bare driver for each event, which is how a follower is mostly written.
    """
    rows = _fill(bench, (bench.options.n or 20_000) // BATCH)
    last = bench.database.execute(f"SELECT max(id) FROM {bench.adapter_class.table}")[0][0]
    with bench.adapter() as adapter:
        follow = adapter.follower()
        began = perf_counter()
        progress = follow()
        seconds = perf_counter() - began
    return {
        "n": rows,
        "rows": rows,
        "events_per_s": round(rows / seconds, 1),
        "verified": progress == (rows, last),
    }


def _fill(bench: Bench, streams: int) -> int:
    """Store so many streams of 100 events, all but one of them by SQL; return the events."""
    bench.database.wipe()
    (template,) = bench.prepare(BATCH)
    cls = bench.adapter_class
    if streams > 1:
        bench.database.clone(cls.table, cls.id_form, template, streams - 1)
    return streams * BATCH
