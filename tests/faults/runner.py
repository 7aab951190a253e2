"""Run scenarios and their controls: ``make faults``.

The short figures are run, or the long ones (``--full``), or as many as ``--count`` says. Each run
is a process of its own and prints the command that runs it again. A run that finds an anomaly is a
failure, and so are a control that finds none and a process that ends without a result. What was
found is added to ``build/faults.jsonl``; ``--report`` writes the table of docs/reliability.md.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic

from tests.faults import report, results
from tests.faults.catalogue import scenarios
from tests.faults.facts import facts
from tests.faults.results import Result
from tests.faults.run import Run
from tests.faults.scenario import Scenario
from tests.servers.templates import templates

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "faults.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
MEMORY = Path("/dev/shm")  # a disk that never makes anybody wait


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
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(2**32)
    if given.jobs == 0:
        return max([_here(scenario, backend, given) for scenario, backend in chosen], default=1)
    print(f"seed {given.seed}", flush=True)  # what is killed meanwhile can be run again too
    began = monotonic()
    with templates():
        codes = _in_processes(chosen, given)
    failed = [f"{s.name} on {b}" for (s, b), code in zip(chosen, codes, strict=True) if code]
    named = f": {', '.join(failed)}" if failed else ""
    print(f"{len(chosen)} runs in {monotonic() - began:.0f} s, {len(failed)} failed{named}")
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
        "--jobs",
        type=int,
        default=1,
        help="runs at a time, with more than 1 as many again that only wait; 0 for in this process",
    )
    made.add_argument(
        "--untimed",
        action="store_true",
        help="what takes too long is told, and no failure: on a machine that does other things too",
    )
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


def _in_processes(chosen: Sequence[tuple[Scenario, str]], given: Namespace) -> list[int]:
    """Run so many at a time as there are jobs, and as many beside them that only wait."""
    with ThreadPoolExecutor(given.jobs) as busy, ThreadPoolExecutor(given.jobs) as idle:
        beside = idle if given.jobs > 1 else busy
        runs = [
            (beside if scenario.is_idle else busy).submit(_in_a_process, scenario, backend, given)
            for scenario, backend in chosen
        ]
        return [run.result() for run in runs]


def _in_a_process(scenario: Scenario, backend: str, given: Namespace) -> int:
    """Run a scenario in a process of its own, and print what it says when it has ended."""
    command = [sys.executable, "-m", "tests.faults", "--jobs=0", f"--only={scenario.name}"]
    command += [f"--backend={backend}", f"--seed={given.seed}"]
    command += [f"--results={given.results[0]}"]
    command += [f"--count={given.count}"] if given.count else []
    command += ["--full"] if given.full else []
    command += ["--untimed"] if given.untimed else []
    before = _recorded(scenario, backend, given)
    began = monotonic()
    with tempfile.TemporaryFile("w+") as said:  # no pipe, which a client that hangs would keep open
        status = subprocess.run(command, stdout=said, stderr=said).returncode
        said.seek(0)
        print(said.read(), end="", flush=True)
    is_recorded = _recorded(scenario, backend, given) > before
    if not is_recorded and status != -signal.SIGINT:  # which is somebody's Ctrl-C
        lost = _lost(scenario, backend, given, f"ended with {status}", monotonic() - began)
        results.append(given.results[0], lost)
    return status if is_recorded else 1


def _recorded(scenario: Scenario, backend: str, given: Namespace) -> int:
    """Return how many results there are of this scenario, backend and seed."""
    which = (scenario.name, backend, given.seed)
    found = results.read(path for path in given.results[:1] if path.exists())
    return sum((result.scenario, result.backend, result.seed) == which for result in found)


def _lost(scenario: Scenario, backend: str, given: Namespace, why: str, seconds: float) -> Result:
    """Return the result of a run whose process, which hung or was killed, left none."""
    return Result(
        scenario=scenario.name,
        backend=backend,
        seed=given.seed,
        is_full=given.full and not given.count,
        count=None,
        anomalies=[why],
        late=[],
        control=None,
        is_silent=False,
        seconds=seconds,
        facts=facts({backend}),
        asked=_asked(scenario, given),
    )


def _asked(scenario: Scenario, given: Namespace) -> int:
    return given.count or (scenario.long if given.full else scenario.short)


def _here(scenario: Scenario, backend: str, given: Namespace) -> int:
    if os.access(MEMORY, os.W_OK):
        tempfile.tempdir = str(MEMORY)
    asked = _asked(scenario, given)
    again = f"--only {scenario.name} --backend {backend} --count {asked} --seed {given.seed}"
    again += " --full" if given.full else ""  # which with a count is only to be given the time
    print(f"python -m tests.faults {again}", flush=True)
    result = Run(scenario, backend, given.seed, given.full, given.count).result()
    results.append(given.results[0], replace(result, asked=asked))
    return 0 if result.is_good and (given.untimed or not result.late) else 1
