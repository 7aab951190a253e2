"""W10: how long a new interpreter takes to import what a program begins with."""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

Import = tuple[float, float, float]
"""Milliseconds, resident MB, and the number of modules."""


def imports(bench: Bench) -> dict[str, Any]:
    """W10: n times in turn, import what the adapter needs, and SQLAlchemy alone.

    The ratio to SQLAlchemy is that of everything which a program comes to load.
    """
    n = bench.options.n or TIMES
    statements = {**bench.adapter_class.imports, "sqlalchemy": "import sqlalchemy"}
    for statement in statements.values():
        _import(statement)  # leaves the compiled modules behind
    rounds = [{name: _import(each) for name, each in statements.items()} for _ in range(n)]
    figures: dict[str, Any] = {"n": n, "verified": True}
    for name in statements:
        figures[f"{name}_ms"] = _median([each[name][0] for each in rounds])
    figures["rss_mb"] = _median([each["import"][1] for each in rounds])
    figures["modules"] = int(rounds[0]["import"][2])
    *_, most = bench.adapter_class.imports
    over = [each[most][0] / each["sqlalchemy"][0] for each in rounds]
    return figures | {"over_sqlalchemy": _median(over, digits=3)}


def _import(statement: str) -> Import:
    """Run a statement in a new interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    output = subprocess.check_output(command, env=environment, cwd=ROOT)
    milliseconds, megabytes, modules = map(float, output.split())
    return milliseconds, megabytes, modules


def _median(values: Sequence[float], digits: int = 1) -> float:
    return round(statistics.median(values), digits)
