"""The page of results, as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.plan import GROWTH, LONG, MEMORY, RATES, REPLAYS
from benchmarks.results import Campaign, Spread

INTRODUCTION = """\
What a save and a replay cost with this library, beside the same work done with the bare database
driver: `sqlite3`, psycopg 3 with prepared statements, or PyMySQL, with msgspec for the JSON, a
table of the same shape, and no checks. The bare driver shows what the database takes; it keeps none
of the library's promises. `make bench` repeats all of this and writes this page."""

METHOD = """\
Each run is a process of its own, on an empty table. The library and the bare driver take turns, and
a ratio is always that of two runs that followed each other. The tables show medians of such pairs
(there were {runs} of each), and the smallest and largest value; a goal is reached or missed by the
median. Servers run with their default durability: a commit is on disk when it is acknowledged. So
are SQLite's files with synchronous FULL. After every run the rows are counted by a connection of
the driver, and must be as many as were acknowledged. Several events of one save are one transaction
for both. Memory is by how much a first reading raises the process's peak of resident memory. The
workloads are described in `benchmarks/workloads.py`; 4 KB is a payload of nested dataclasses with
20 fields, and the others are five values in 150 bytes."""


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
        ("Snapshots", _SNAPSHOTS, _snapshots(campaign)),
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
    "---|---|--:|--:|--:|--:|--:|---",
)
_MEMORY = (
    "Workload | Database | Library, MB (smallest to largest) | KB an event | Goal"
    " | Bare driver, MB",
    "---|---|--:|--:|---|--:",
)
_SNAPSHOTS = (
    "Workload | Database | Short stream, ms | Long stream with a snapshot, ms | Times as long"
    " (smallest to largest) | Goal | Bare driver, which has none: times as long",
    "---|---|--:|--:|--:|---|--:",
)
_GROWTH = (
    "Workload | Database | Smallest and largest store | Library | Times slower (smallest to"
    " largest) | Goal | Bare driver | Times slower",
    "---|---|---|--:|--:|---|--:|--:",
)
_IMPORT = (
    "Statement | ms (smallest to largest) | Over `import sqlalchemy` | Goal",
    "---|--:|--:|---",
)

Rows = Iterator[Sequence[str]]


def _throughput(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8")):
        case = outcome.case
        for words, name in REPLAYS if case.workload == "W4" else RATES:
            ratio = outcome.ratio(name)
            yield (
                _with(case.title, words),
                case.place,
                _number(outcome.library(name).median),
                _latencies(own for own, _ in outcome.pairs),
                _number(outcome.raw(name).median),
                _latencies(raw for _, raw in outcome.pairs),
                _ranged(ratio, ".2f", bold=True),
                case.judge(ratio.median),
            )


def _memory(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W4", "W4L")):
        case = outcome.case
        is_long = case.workload == "W4L"
        for words, name in LONG if is_long else MEMORY:
            own = outcome.library(name)
            each = outcome.kilobytes(name)
            if is_long:
                words = f"{words} of {outcome.library('n').median:,.0f} events"
            yield (
                _with(case.title, words),
                case.place,
                _ranged(own, ".1f"),
                _ranged(each, ".2f"),
                case.judge(own.median, " MB") if is_long else case.judge_memory(each.median),
                f"{outcome.raw(name).median:.1f}",
            )


def _snapshots(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W4S",)):
        short, long = map(_number, outcome.pairs[0][0]["sizes"])
        times = outcome.library("times")
        yield (
            f"{outcome.case.title}, {short} and {long} events",
            outcome.case.place,
            _number(outcome.library("short_ms").median),
            _number(outcome.library("long_ms").median),
            _ranged(times, ".2f", bold=True),
            outcome.case.judge(times.median),
            f"{outcome.raw('times').median:.0f}",
        )


def _growth(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W9",)):
        sizes = outcome.pairs[0][0]["sizes"]
        for (words, ratio), figure, unit in zip(
            GROWTH, ("w1_p50_us", "w4_ms"), ("µs", "ms"), strict=True
        ):
            ends = [f"{figure}_{size}" for size in (sizes[0], sizes[-1])]
            own, raw = [
                " and ".join(_number(spread(end).median) for end in ends) + f" {unit}"
                for spread in (outcome.library, outcome.raw)
            ]
            yield (
                _with("W9", words),
                outcome.case.place,
                f"{_number(sizes[0])} and {_number(sizes[-1])} events",
                own,
                _ranged(outcome.library(ratio), ".2f", bold=True),
                outcome.case.judge(outcome.library(ratio).median),
                raw,
                f"{outcome.raw(ratio).median:.2f}",
            )


def _imports(campaign: Campaign) -> Rows:
    for outcome in campaign.of(("W10",)):
        ratio = outcome.library("import_over_sqlalchemy")
        yield (
            "`import eventsourcing.application.simple`, which loads no SQLAlchemy",
            _ranged(outcome.library("import_ms"), ".0f"),
            _ranged(ratio, ".2f", bold=True),
            outcome.case.judge(ratio.median),
        )
        yield (
            "first use, which does: the import, and an application on a SQLite file opened and"
            " closed",
            _ranged(outcome.library("first_use_ms"), ".0f"),
            _ranged(outcome.library("first_use_over_sqlalchemy"), ".2f"),
            "",
        )
        yield "`import sqlalchemy`", _ranged(outcome.library("sqlalchemy_ms"), ".0f"), "1", ""
        bare = "the bare driver: `import sqlite3, msgspec`"
        yield bare, _ranged(outcome.raw("import_ms"), ".0f"), "", ""


def _ranged(spread: Spread, form: str, bold: bool = False) -> str:
    """Return the median, and the smallest and largest value."""
    median = f"{spread.median:{form}}"
    if bold:
        median = f"**{median}**"
    return f"{median} ({spread.least:{form}} to {spread.largest:{form}})"


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
