"""The page of results, as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.plan import GROWTH, MEMORY, RATES, REPLAYS
from benchmarks.results import Campaign

INTRODUCTION = """\
What a save and a replay cost with this library, beside the same work done with the bare database
driver: `sqlite3`, psycopg 3 with prepared statements, or PyMySQL, with msgspec for the JSON, a
table of the same shape, and no checks. The bare driver shows what the database takes; it keeps none
of the library's promises. `make bench` repeats all of this and writes this page."""

METHOD = """\
Each run is a process of its own, on an empty table. The library and the bare driver take turns, and
a ratio is always that of two runs that followed each other. The tables show medians of such pairs
(there were {runs} of each), and the smallest and largest ratio. Servers run with their default
durability: a commit is on disk when it is acknowledged. So are SQLite's files with synchronous
FULL. After every run the rows are counted by a connection of the driver, and must be as many as
were acknowledged. Several events of one save are one transaction for both. The workloads
are described in `benchmarks/workloads.py`; 4 KB is a payload of nested dataclasses with 20 fields,
and the others are five values in 150 bytes."""


def page(campaign: Campaign, plot: str = "") -> str:
    """Return the whole page.

    Args:
        campaign: What was measured.
        plot: The name of the image beside the page, if there is one.
    """
    parts = ["# Benchmarks", INTRODUCTION]
    if plot:
        parts.append(f"![The library's throughput over the bare driver's]({plot})")
    parts += [*sections(campaign), "## How this was measured"]
    parts.append(METHOD.format(runs=campaign.repetitions))
    facts = [f"- {about[0].upper()}{about[1:]}: {fact}" for about, fact in campaign.facts.items()]
    parts.append("\n".join(facts))
    return "\n\n".join(parts) + "\n"


def sections(campaign: Campaign) -> Iterator[str]:
    """Yield headings and tables."""
    problems = list(campaign.problems)
    if problems:
        yield "## Problems"
        yield "\n".join(f"- {problem}" for problem in problems)
    for title, head, rows in (
        ("Throughput", _THROUGHPUT, _throughput(campaign)),
        ("Memory", _MEMORY, _memory(campaign)),
        ("Growth", _GROWTH, _growth(campaign)),
        ("Import", _IMPORT, _imports(campaign)),
    ):
        lines = [" | ".join(row) for row in rows]
        if lines:
            yield f"## {title}"
            yield "\n".join(f"| {line} |" for line in (*head, *lines))


_THROUGHPUT = (
    "Workload | Database | Library, events/s | p50 / p99 µs | Bare driver, events/s"
    " | p50 / p99 µs | Ratio (smallest to largest) | Goal",
    "---|---|--:|--:|--:|--:|--:|--:",
)
_MEMORY = (
    "Workload | Database | Library, MB | KB an event (goal: less than 1) | Bare driver, MB",
    "---|---|--:|--:|--:",
)
_GROWTH = (
    "Workload | Database | Smallest and largest store | Library"
    " | Times slower (goal: at most 1.15) | Bare driver | Times slower",
    "---|---|---|--:|--:|--:|--:",
)
_IMPORT = ("Statement | ms | Over `import sqlalchemy` (goal: at most 1.25)", "---|--:|--:")

Rows = Iterator[Sequence[str]]


def _throughput(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W1", "W2", "W3", "W4", "W5", "W7")):
        case = outcome.case
        for words, name in REPLAYS if case.workload == "W4" else RATES:
            ratios = outcome.ratios(name)
            yield (
                _with(case.title, words),
                case.place,
                _number(outcome.library(name)),
                _latencies(own for own, _ in outcome.pairs),
                _number(outcome.raw(name)),
                _latencies(raw for _, raw in outcome.pairs),
                f"**{outcome.ratio(name):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                "" if case.goal is None else f"{case.goal:g}",
            )


def _memory(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W4",)):
        for words, name in MEMORY:
            own = outcome.library(name)
            events = int(name.rpartition("_")[2])
            yield (
                _with(outcome.case.title, words),
                outcome.case.place,
                f"{own:.1f}",
                f"{own * 1024 / events:.2f}",
                f"{outcome.raw(name):.1f}",
            )


def _growth(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W9",)):
        sizes = outcome.pairs[0][0]["sizes"]
        for (words, ratio), figure, unit in zip(
            GROWTH, ("w1_p50_us", "w4_ms"), ("µs", "ms"), strict=True
        ):
            row = [_with("W9", words), outcome.case.place]
            row.append(f"{_number(sizes[0])} and {_number(sizes[-1])} events")
            for median in (outcome.library, outcome.raw):
                ends = [median(f"{figure}_{size}") for size in (sizes[0], sizes[-1])]
                row.append(f"{_number(ends[0])} and {_number(ends[1])} {unit}")
                row.append(f"{median(ratio):.2f}")
            yield row


def _imports(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W10",)):
        yield "`import eventsourcing.application.simple`", f"{outcome.library('import_ms'):.0f}", ""
        yield (
            "and what its first use loads",
            f"{outcome.library('first_use_ms'):.0f}",
            f"**{outcome.library('over_sqlalchemy'):.2f}**",
        )
        yield "`import sqlalchemy`", f"{outcome.library('sqlalchemy_ms'):.0f}", "1"
        yield "the bare driver: `import sqlite3, msgspec`", f"{outcome.raw('import_ms'):.0f}", ""


def _with(title: str, words: str) -> str:
    return f"{title}, {words}" if words else title


def _latencies(runs: Iterable[dict[str, Any]]) -> str:
    figures = [run for run in runs if "p50_us" in run]
    if not figures:
        return ""
    outcome = [sorted(run[name] for run in figures) for name in ("p50_us", "p99_us")]
    return " / ".join(_number(values[len(values) // 2]) for values in outcome)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
