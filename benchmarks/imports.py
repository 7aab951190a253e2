"""W10: how long a new interpreter takes to import what a program begins with."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench import Bench

ROOT = Path(__file__).parents[1]
TIMES = 10

PROGRAM = """
import sys, time
began = time.perf_counter()
{statement}
seconds = time.perf_counter() - began
with open("/proc/self/status") as status:
    resident = next(line.split()[1] for line in status if line.startswith("VmRSS"))
print(seconds * 1000, int(resident) / 1024, len(sys.modules))
"""

NOTHING = "pass"
BASE = "sqlalchemy"
"""The name of the statement with which the others are compared, where an adapter has it."""


class Import(NamedTuple):
    """What one interpreter took for a statement."""

    milliseconds: float
    resident_mb: float
    modules: float


def imports(bench: Bench) -> dict[str, Any]:
    """W10: n times in turn, execute each statement of the adapter's in a new interpreter.

    The first use of the library is an application that is opened and closed, on a SQLite file that
    has its table already: so what is measured is no wait for the disk.
    """
    n = bench.options.n or TIMES
    with tempfile.TemporaryDirectory(prefix="eventsourcing-bench-") as directory:
        file = Path(directory, "events.db")
        statements = {k: v.format(file=file) for k, v in bench.adapter_class.imports.items()}
        for statement in statements.values():
            _import(statement)  # leaves the compiled modules behind, and the file
        rounds = [{name: _import(each) for name, each in statements.items()} for _ in range(n)]
    figures: dict[str, Any] = {"n": n, "verified": True}
    for name in statements:
        times = [each[name].milliseconds for each in rounds]
        figures[f"{name}_ms"] = _median(times)
        if BASE in statements and name != BASE:
            over = [each[name].milliseconds / each[BASE].milliseconds for each in rounds]
            figures[f"{name}_over_{BASE}"] = _median(over, digits=3)
    return figures | {
        "rss_mb": _median([each["import"].resident_mb for each in rounds]),
        "bare_rss_mb": round(_import(NOTHING).resident_mb, 1),
        "modules": int(rounds[0]["import"].modules),
    }


def _import(statement: str) -> Import:
    """Run a statement in a new interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    output = subprocess.check_output(command, env=environment, cwd=ROOT)
    return Import(*map(float, output.split()))


def _median(values: Sequence[float], digits: int = 1) -> float:
    return round(statistics.median(values), digits)
