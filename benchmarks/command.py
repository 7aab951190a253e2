"""The command line of one run, which prints one line of JSON.

Arguments, defaults and keys are those of the comparison suite's drivers (see `peers`), except that
the database is a temporary file unless it is given. The suite's ``--impl``, ``--profile`` and
database in memory do not exist here: there is one way to do each workload, `breakdown` profiles,
and what is in memory is no limit for what is stored. Further arguments are ``--payload`` and
``--group-commit``. A run that fails prints its traceback, and a line whose ``failed`` says why.
"""

import json
import tempfile
import traceback
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.adapter import MODES, PAYLOADS, VIEWS, Adapter, Options
from benchmarks.bench import Bench
from benchmarks.workloads import WORKLOADS


def main(adapter_class: type[Adapter], arguments: Sequence[str] | None = None) -> int:
    """Run the workload of the command line; return the exit status, 1 if it failed."""
    given = parser().parse_args(arguments)
    options = Options(**{field.name: getattr(given, field.name) for field in fields(Options)})
    with tempfile.TemporaryDirectory(prefix="eventsourcing-bench-") as directory:
        if not options.db:
            options = replace(options, db=f"sqlite:///{Path(directory, 'events.db')}")
        result = run_or_fail(adapter_class, options)
    print(json.dumps(result))
    return 1 if "failed" in result else 0


def run_or_fail(adapter_class: type[Adapter], options: Options) -> dict[str, Any]:
    """Return what was run, and its figures, or why there are none."""
    try:
        return run(adapter_class, options)
    except Exception as error:
        traceback.print_exc()
        return _about(adapter_class, options) | {"failed": repr(error)[:300]}


def run(adapter_class: type[Adapter], options: Options) -> dict[str, Any]:
    """Return what was run, and its figures."""
    figures = WORKLOADS[options.workload](Bench(adapter_class, options))
    return _about(adapter_class, options) | figures


def _about(adapter_class: type[Adapter], options: Options) -> dict[str, Any]:
    return {
        "peer": adapter_class.peer,
        "workload": options.workload,
        "mode": options.mode,
        "db": options.db.partition(":")[0].partition("+")[0],
        "payload": options.payload,
    }


def parser() -> ArgumentParser:
    """Return the parser, whose names are those of `Options`."""
    made = ArgumentParser(description="Measure one workload, and print one line of JSON.")
    made.add_argument("workload", choices=WORKLOADS)
    made.add_argument("--db", default="", help="URI; by default a temporary SQLite file")
    made.add_argument("--mode", choices=MODES, default="default", help="of SQLite files")
    made.add_argument("--payload", choices=PAYLOADS, default="small")
    made.add_argument("--n", type=int, default=0, help="how many commands; 0 for the usual")
    made.add_argument("--passes", type=_positive, default=3, help="of W4L")
    made.add_argument("--sizes", type=_numbers, default=(), help="events, as 1000,10000")
    made.add_argument("--threads", type=_positive, default=1)
    made.add_argument("--procs", type=int, default=0, help="processes instead of threads")
    made.add_argument("--contend", type=int, choices=(0, 1), default=0, help="on one stream")
    made.add_argument("--view", choices=VIEWS, default="dict", help="of W8")
    made.add_argument("--seconds", type=float, default=4.0)
    made.add_argument(
        "--group-commit", type=_switch, help="1 or 0: whether threads share transactions"
    )
    return made


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_positive(number) for number in text.split(","))
