"""Run the whole plan, and write the page of results: ``make bench``.

Needs nothing that runs already: the servers are started for this, with their default durability,
and are gone afterwards. All of it takes half an hour; parts of it are run by ``--only W1 W4``,
``--databases sqlite``, ``--reps 1`` and ``--quick``, and are printed, not written, unless
``--output`` says where. With ``--update`` their figures replace those of the last whole run, and
the page is written with both.
"""

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import machine, plan, report
from benchmarks.databases import LIBRARY_TABLE, RAW_TABLE, database_for
from benchmarks.plan import Case
from benchmarks.results import Campaign, Outcome
from tests.servers import mariadb, postgresql
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresqlServer

ROOT = Path(__file__).parents[1]
DATABASE = "eventsourcing_bench"
RESULTS = ROOT / "build" / "benchmarks.jsonl"
TIMEOUT = 900
MODULES = {"library": LIBRARY_TABLE, "raw": RAW_TABLE}


class RunFailed(Exception):
    """A run did not end well; the message says how."""


def main() -> int:
    """Run what the command line selects; return 1 if something went wrong."""
    given = parser().parse_args()
    is_part = bool(given.only or given.databases or given.quick)
    earlier = Campaign.read(RESULTS) if given.update else Campaign({})  # a missing file is told now
    if given.report:
        campaign = Campaign.read(given.report)
    else:
        campaign = _run(given)
        if not is_part or given.update:
            campaign = campaign.over(earlier, plan.cases())
            campaign.write(RESULTS)
    print("\n" + "\n\n".join(report.sections(campaign)))
    if given.output:
        _write(campaign, given.output)
    elif not is_part or given.update:
        _write(campaign, ROOT / "docs" / "explanation")
    return 1 if list(campaign.problems) else 0


def parser() -> ArgumentParser:
    """Return the parser of the command line."""
    made = ArgumentParser(prog="benchmarks.run", description="Run the benchmarks.")
    made.add_argument("--only", nargs="+", choices=plan.TITLES, default=[], help="workloads")
    made.add_argument(
        "--databases", nargs="+", choices=("sqlite", *plan.SERVERS, "none"), default=[]
    )
    made.add_argument("--reps", type=int, default=3, help="how many pairs of runs of each case")
    made.add_argument("--quick", action="store_true", help="short runs, to see that all works")
    made.add_argument(
        "--update", action="store_true", help=f"keep the other figures of {RESULTS.name}"
    )
    made.add_argument(
        "--output", type=Path, help="directory of the page; docs/explanation by default"
    )
    made.add_argument("--report", type=Path, help="runs nothing, and reports a file of results")
    return made


def _run(given: Namespace) -> Campaign:
    selected = [
        case
        for case in plan.cases()
        if (not given.only or case.workload in given.only)
        and (not given.databases or case.database in given.databases)
    ]
    with databases({case.database for case in selected}) as uris:
        campaign = Campaign(machine.facts(uris), [Outcome(case) for case in selected])
        for repetition in range(given.reps):
            for outcome in campaign.outcomes:
                _run_pair(outcome, uris, repetition, given.quick)
    return campaign


def _run_pair(outcome: Outcome, uris: Mapping[str, str], repetition: int, quick: bool) -> None:
    """Run the library and the bare driver, in turns the one and the other first."""
    case = outcome.case
    began = perf_counter()
    order = ["library", "raw"] if repetition % 2 == 0 else ["raw", "library"]
    figures = {}
    for module in order:
        try:
            figures[module] = run_one(module, case, uris.get(case.database, ""), quick)
        except RunFailed as problem:
            outcome.problems.append(f"{module}: {problem}")
            print(f"{case.name}: {module} failed", flush=True)
            return
    outcome.pairs.append((figures["library"], figures["raw"]))
    print(f"{case.name}: {_brief(outcome)} ({perf_counter() - began:.0f} s)", flush=True)


def run_one(module: str, case: Case, uri: str, quick: bool = False) -> dict[str, Any]:
    """Return the figures of one run in a process of its own.

    Args:
        module: ``library`` or ``raw``.
        case: What to run.
        uri: Of the database; empty if the case has none.
        quick: Whether to make it short.

    Raises:
        RunFailed: It raised, took too long, or what is stored is not what was acknowledged.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", case.workload, "--mode", case.mode]
    command += [*case.arguments, *(plan.QUICK.get(case.workload, ()) if quick else ())]
    if uri:
        command += ["--db", uri]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"no end after {TIMEOUT} s") from error
    if not done.stdout:
        raise RunFailed((done.stderr.strip().splitlines() or ["exit without a word"])[-1])
    figures: dict[str, Any] = json.loads(done.stdout)
    if "failed" in figures:
        raise RunFailed(figures["failed"])
    _check(figures, uri, MODULES[module])
    return figures


def _check(figures: dict[str, Any], uri: str, table: str) -> None:
    """Raise RunFailed if what is stored is not what was acknowledged."""
    if not figures["verified"]:
        raise RunFailed("the stored values are not those that were saved")
    if figures.get("errors"):
        raise RunFailed(f"savers met errors: {figures['error_types']}")
    if uri and "rows" in figures:
        rows = database_for(uri).count(table)
        if rows != figures["rows"]:
            raise RunFailed(f"{figures['rows']} events were acknowledged, and {rows} are stored")


def _brief(outcome: Outcome) -> str:
    own, raw = outcome.pairs[-1]
    if "events_per_s" not in own:
        return "done"
    rates = own["events_per_s"], raw["events_per_s"]
    return f"{rates[0]:,.0f}/s, bare {rates[1]:,.0f}/s, ratio {rates[0] / rates[1]:.2f}"


@contextmanager
def databases(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Give the URIs of databases that are there inside the block only."""
    with ExitStack() as stack:
        uris = {}
        if "sqlite" in names:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="eventsourcing-"))
            uris["sqlite"] = f"sqlite:///{Path(directory, 'bench.db')}"
        if "postgresql" in names:
            address = stack.enter_context(PostgresqlServer()).address
            postgresql.empty_database(address, DATABASE)
            uris["postgresql"] = address.uri(DATABASE)
        if "mariadb" in names:
            address = stack.enter_context(MariadbServer()).address
            mariadb.empty_database(address, DATABASE)
            uris["mariadb"] = address.uri(DATABASE)
        yield uris


def _write(campaign: Campaign, directory: Path) -> None:
    from benchmarks.plot import draw

    directory.mkdir(parents=True, exist_ok=True)
    draw(campaign, directory / "benchmarks.png")
    (directory / "benchmarks.md").write_text(report.page(campaign, "benchmarks.png"))
    print(f"\nWritten: {directory / 'benchmarks.md'} and benchmarks.png")


if __name__ == "__main__":
    sys.exit(main())
