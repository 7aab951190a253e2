"""The table of results on docs/reliability.md, between two markers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.catalogue import scenarios
from tests.faults.results import Result
from tests.faults.scenario import Scenario

__all__ = ["BEGIN", "END", "section", "write"]

BEGIN = "<!-- results of `make faults`: written by `python -m tests.faults --report` -->"
END = "<!-- end of the results -->"
HEAD = (
    "| What goes wrong | Backend | How often | Anomalies | Found beside | Control finds | Seed |\n"
    "|---|---|--:|--:|---|--:|--:|"
)


def write(page: Path, results: Sequence[Result]) -> None:
    """Put the results between the markers of the page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers: {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n\n{section(results)}\n\n{END}{after}")


def section(results: Sequence[Result]) -> str:
    """Return the table and what it depends on.

    Of several runs the one counts in which most went wrong, and the last of those; but before all,
    one that failed.
    """
    best = {
        (result.scenario, result.backend): result
        for result in sorted(results, key=lambda result: (not result.is_good, result.count or 0))
    }
    rows = [
        _row(scenario, backend, best.get((scenario.name, backend)))
        for scenario in scenarios()
        for backend in scenario.backends
    ]
    return "\n".join([HEAD, *rows, "", *_facts(best.values())])


def _row(scenario: Scenario, backend: str, result: Result | None) -> str:
    title = f"{scenario.title} (`{scenario.name}`)"
    if result is None:
        return _cells(title, backend, "not run", "", "", "", "")
    count = "broke off" if result.count is None else _count(scenario, result.count)
    anomalies = f"**{len(result.anomalies)}**" if result.anomalies else "0"
    anomalies += f", **{len(result.late)} late**" if result.late else ""
    figures = ", ".join(f"{name}: {value}" for name, value in result.figures.items())
    control = "in `tests/`" if result.control is None else f"{result.control:,}"
    return _cells(title, backend, count, anomalies, figures, control, str(result.seed))


def _count(scenario: Scenario, count: int) -> str:
    of = f" of {scenario.long:,}" if count < scenario.long else ""
    return f"{count:,}{of} {scenario.unit}"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _facts(results: Iterable[Result]) -> list[str]:
    """Return a line for each fact, with all that was different from run to run."""
    known: dict[str, list[str]] = {}
    for result in results:
        for name, fact in result.facts.items():
            values = known.setdefault(name, [])
            values += [value for value in fact.split(", ") if value and value not in values]
    return [f"- {name}: {', '.join(values)}" for name, values in known.items() if any(values)]
