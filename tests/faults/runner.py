"""Run scenarios and their controls: ``make faults``.

The short figures are run, or the long ones (``--full``), or as many as ``--count`` says. Each run
prints its seed; ``--only NAME --backend BACKEND --seed N`` runs it again. A run that finds an
anomaly is a failure, and so is a control that finds none. What was found is added to
``build/faults.jsonl``, and ``--report`` writes the table of docs/reliability.md from that.
"""

import faulthandler
import os
import random
import sys
import tempfile
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic

from tests.faults import report, results
from tests.faults.catalogue import scenarios
from tests.faults.facts import facts
from tests.faults.results import Result
from tests.faults.scenario import Case, Outcome, Scenario

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "faults.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
MEMORY = Path("/dev/shm")  # a disk that never makes anybody wait
LONGEST = {False: 900, True: 8 * 3600}  # seconds until a run that hangs is ended, by --full
MOST_SHOWN = 10  # anomalies of a run


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return 1 if a run failed."""
    given = _parser().parse_args(arguments)
    if given.report:
        report.write(PAGE, list(results.read(given.results)))
        return 0
    chosen = _chosen(given)
    if given.list:
        for scenario, backend in chosen:
            print(f"{scenario.name:24} {backend:12} {_counts(scenario):20} {scenario.title}")
        return 0
    if os.access(MEMORY, os.W_OK):
        tempfile.tempdir = str(MEMORY)
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    known, failed = facts({backend for _, backend in chosen}), []
    for scenario, backend in chosen:
        result = _run(scenario, backend, seed, given, known)
        results.append(given.results[0], result)
        if not result.is_good:
            failed.append(f"{scenario.name} on {backend}")
    print(f"{len(chosen)} runs, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed or not chosen else 0


def _parser() -> ArgumentParser:
    made = ArgumentParser(prog="tests.faults", description="Break things, and look what is left.")
    made.add_argument("--full", action="store_true", help="the long figures instead of the short")
    made.add_argument("--list", action="store_true", help="runs nothing, and lists the scenarios")
    made.add_argument("--only", nargs="+", default=[], metavar="NAME", help="scenarios to run")
    made.add_argument("--backend", nargs="+", default=[], metavar="B", help="backends to run on")
    made.add_argument("--count", type=int, help="how often it is to go wrong")
    made.add_argument("--seed", type=int, help="of all that is random; a new one by default")
    made.add_argument(
        "--results", type=Path, nargs="+", default=[RESULTS], help="file of the results"
    )
    made.add_argument("--report", action="store_true", help="runs nothing, and writes the table")
    return made


def _chosen(given: Namespace) -> list[tuple[Scenario, str]]:
    known = list(scenarios())
    if unknown := set(given.only) - {scenario.name for scenario in known}:
        sys.exit(f"there is no scenario {', '.join(sorted(unknown))}")
    return [
        (scenario, backend)
        for scenario in known
        if not given.only or scenario.name in given.only
        for backend in scenario.backends
        if not given.backend or backend in given.backend
    ]


def _counts(scenario: Scenario) -> str:
    return f"{scenario.short:,} / {scenario.long:,} {scenario.unit}"


def _run(
    scenario: Scenario, backend: str, seed: int, given: Namespace, known: Mapping[str, str]
) -> Result:
    count = given.count or (scenario.long if given.full else scenario.short)
    print(f"{scenario.name} on {backend}: {count:,} {scenario.unit}, seed {seed}", flush=True)
    faulthandler.dump_traceback_later(LONGEST[given.full], exit=True)
    began = monotonic()
    outcome = _try(scenario.run, backend, count, seed)
    seconds = monotonic() - began
    control = None
    if scenario.control is not None:
        control = _try(scenario.control, backend, scenario.control_count, seed)
    faulthandler.cancel_dump_traceback_later()
    result = Result(
        scenario=scenario.name,
        backend=backend,
        seed=seed,
        is_full=given.full and not given.count,
        count=None if isinstance(outcome, str) else outcome.count,
        anomalies=[outcome] if isinstance(outcome, str) else outcome.anomalies,
        control=len(control.anomalies) if isinstance(control, Outcome) else None,
        is_silent=isinstance(control, str) or (control is not None and not control.anomalies),
        seconds=seconds,
        figures={} if isinstance(outcome, str) else outcome.figures,
        facts=known,
    )
    _show(result, scenario, control, monotonic() - began - seconds)
    return result


def _try(function: Callable[[Case], Outcome], backend: str, count: int, seed: int) -> Outcome | str:
    """Return the outcome, or else what the run broke off with."""
    with tempfile.TemporaryDirectory(prefix="eventsourcing-faults-") as directory:
        os.chmod(directory, 0o755)  # servers may run as another user
        try:
            return function(Case(backend, count, seed, Path(directory)))
        except Exception:
            return f"it broke off:\n{traceback.format_exc()}"


def _show(
    result: Result, scenario: Scenario, control: Outcome | str | None, control_seconds: float
) -> None:
    count = "none" if result.count is None else f"{result.count:,}"
    figures = "".join(f", {name}: {value}" for name, value in result.figures.items())
    print(
        f"    {count} {scenario.unit} in {result.seconds:.1f} s,"
        f" {len(result.anomalies)} anomalies{figures}"
    )
    for anomaly in result.anomalies[:MOST_SHOWN]:
        print(f"    ANOMALY: {anomaly}")
    if isinstance(control, Outcome):
        print(
            f"    control: {control.count:,} {scenario.unit} in {control_seconds:.1f} s,"
            f" {len(control.anomalies)} anomalies"
            f"{f', such as: {control.anomalies[0][:100]}' if control.anomalies else ''}"
        )
    if result.is_silent:
        print(f"    THE CONTROL FOUND NOTHING{f': {control}' if isinstance(control, str) else ''}")
    sys.stdout.flush()
