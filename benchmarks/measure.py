"""Clocks, percentiles and memory."""

import gc
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

R = TypeVar("R")

PROC = Path("/proc/self")


def timed(n: int, command: Callable[[int], object]) -> tuple[list[float], float]:
    """Call the command with 0 to n - 1; return the seconds that each took, and all together."""
    gc.collect()
    latencies = []
    began = perf_counter()
    for i in range(n):
        start = perf_counter()
        command(i)
        latencies.append(perf_counter() - start)
    return latencies, perf_counter() - began


def throughput(n: int, seconds: float, latencies: Sequence[float]) -> dict[str, Any]:
    """Return the figures of a workload of `n` events."""
    return {"n": n, "events_per_s": round(n / seconds, 1), **percentiles(latencies)}


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """Return the 50th and the 99th percentile, in microseconds."""
    ranked = sorted(latencies) or [0.0]
    return {
        "p50_us": microseconds(ranked[len(ranked) // 2]),
        "p99_us": microseconds(ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]),
    }


def microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def median_ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1e3, 2)


def memory_growth(function: Callable[[], R]) -> tuple[R, float]:
    """Return the function's result, and by how many MB it raised this process's peak.

    The peak is the kernel's own, of resident memory; what was resident before does not count.
    """
    gc.collect()
    (PROC / "clear_refs").write_text("5")  # has the peak begin anew
    before = _status_mb("VmRSS")
    result = function()
    return result, round(_status_mb("VmHWM") - before, 2)


def _status_mb(name: str) -> float:
    for line in (PROC / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) / 1024
    raise LookupError(f"{PROC / 'status'} has no {name}")
