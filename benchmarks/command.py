"""The command line of one run, which prints one line of JSON."""

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.adapter import MODES, PAYLOADS, Adapter, Options
from benchmarks.bench import Bench
from benchmarks.databases import database_for
from benchmarks.workloads import WORKLOADS


def main(adapter_class: type[Adapter], arguments: Sequence[str] | None = None) -> None:
    """Run the workload of the command line."""
    given = parser().parse_args(arguments)
    options = Options(**{field.name: getattr(given, field.name) for field in fields(Options)})
    if options.db:
        result = run(adapter_class, options)
    else:
        with tempfile.TemporaryDirectory(prefix="eventsourcing-bench-") as directory:
            file = f"sqlite:///{Path(directory, 'events.db')}"
            result = run(adapter_class, replace(options, db=file))
    print(json.dumps(result))


def run(adapter_class: type[Adapter], options: Options) -> dict[str, Any]:
    """Return what was run, and its figures."""
    about = {
        "peer": adapter_class.name,
        "workload": options.workload,
        "mode": options.mode,
        "db": database_for(options.db).name,
        "payload": options.payload,
    }
    return about | WORKLOADS[options.workload](Bench(adapter_class, options))


def parser() -> ArgumentParser:
    """Return the parser, whose names are those of `Options`."""
    made = ArgumentParser(description="Measure one workload, and print one line of JSON.")
    made.add_argument("workload", choices=WORKLOADS)
    made.add_argument("--db", default="", help="URI; by default a temporary SQLite file")
    made.add_argument("--mode", choices=MODES, default="default", help="of SQLite files")
    made.add_argument("--payload", choices=PAYLOADS, default="small")
    made.add_argument("--n", type=_positive, help="how many commands")
    made.add_argument("--sizes", type=_numbers, default=(), help="events, as 1000,10000")
    made.add_argument("--threads", type=_positive, default=1)
    made.add_argument("--procs", type=int, default=0, help="processes instead of threads")
    made.add_argument("--contend", type=int, choices=(0, 1), default=0, help="on one stream")
    made.add_argument("--seconds", type=float, default=3.0)
    return made


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_positive(number) for number in text.split(","))
