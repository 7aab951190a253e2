"""The table of results on docs/reliability.md, between two markers."""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.faults.catalogue import scenarios
from tests.faults.results import Result
from tests.faults.scenario import Scenario

__all__ = ["BEGIN", "END", "is_in_history", "section", "write"]

BEGIN = "<!-- results of `make faults`: written by `python -m tests.faults --report` -->"
END = "<!-- end of the results -->"
HEAD = (
    "| What goes wrong | Backend | How often | Anomalies | Found beside | Control finds"
    " | Date | Commit | Again with |\n"
    "|---|---|--:|--:|---|--:|---|---|---|"
)
IN_ROWS = ("date", "commit")  # facts that each row has for itself


def is_in_history(commit: str) -> bool:
    """Whether a commit is known here and led to what is checked out."""
    command = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True).returncode == 0


def write(page: Path, results: Sequence[Result]) -> None:
    """Put the results between the markers of the page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers: {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n\n{section(results, is_in_history)}\n\n{END}{after}")


def section(results: Sequence[Result], is_known: Callable[[str], bool]) -> str:
    """Return the table and what it depends on.

    Of several runs, one that failed counts before all. Of others, it is the newest of full length,
    and if there is none, the newest of the longest.

    Args:
        results: in their order; of those of one day, the last is the newest.
        is_known: whether a commit is in the history; the row of any other is marked.
    """
    shown = [
        (scenario, backend, _counting(scenario, backend, results))
        for scenario in scenarios()
        for backend in scenario.backends
    ]
    rows = [_row(*what, is_known) for what in shown]
    facts = _facts(result for *_, result in shown if result)
    return "\n".join([HEAD, *rows, "", *facts])


def _counting(scenario: Scenario, backend: str, results: Iterable[Result]) -> Result | None:
    order = sorted(
        (r for r in results if (r.scenario, r.backend) == (scenario.name, backend)),
        key=lambda r: (not r.is_good, min(r.count or 0, scenario.long), r.facts.get("date", "")),
    )
    return order[-1] if order else None


def _row(
    scenario: Scenario, backend: str, result: Result | None, is_known: Callable[[str], bool]
) -> str:
    title = f"{scenario.title} (`{scenario.name}`)"
    if result is None:
        return _cells(title, backend, "not run", "", "", "", "", "", "")
    count = "broke off" if result.count is None else _count(scenario, result.count)
    anomalies = f"**{len(result.anomalies)}**" if result.anomalies else "0"
    anomalies += f", **{len(result.late)} late**" if result.late else ""
    figures = ", ".join(f"{name}: {value}" for name, value in result.figures.items())
    control = "in `tests/`" if result.control is None else f"{result.control:,}"
    commit = result.facts.get("commit", "unknown")
    mark = "" if is_known(commit) else ", **not in this history**"
    date = result.facts.get("date", "")
    again = f"`{_again(result)}`"
    return _cells(
        title, backend, count, anomalies, figures, control, date, f"{commit}{mark}", again
    )


def _again(result: Result) -> str:
    count = f"--count {result.asked} " if result.asked else ""
    return f"{'--full ' if result.is_full else count}--seed {result.seed}"


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
            if name in IN_ROWS:
                continue
            values = known.setdefault(name, [])
            values += [value for value in fact.split(", ") if value and value not in values]
    return [f"- {name}: {', '.join(values)}" for name, values in known.items() if any(values)]
