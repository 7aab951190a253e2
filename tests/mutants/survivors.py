"""What a mutant is called on docs/mutants.md, and what the page says."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["BEGIN", "END", "PAGE", "Change", "change_of", "is_alive", "listed", "table", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"
BEGIN = "<!-- result of `make mutants`: written by `python -m tests.mutants --report` -->"
END = "<!-- end of the result -->"
HEAD = (
    "| Module | Mutants | Killed | Timed out | Survived | Killed of all |\n"
    "|---|--:|--:|--:|--:|--:|"
)
ALIVE = ("survived", "no tests", "suspicious", "skipped", "not checked")
ITEM = re.compile(r"^- `([\w.]+)`: `(.+?)` → (?:`(.+)`|nothing)$", re.MULTILINE)
MUTANT = re.compile(r"(?P<module>[\w.]+)\.x(?:_|ǁ(?P<cls>\w+)ǁ)(?P<name>\w+)__mutmut_\d+")


class Change(NamedTuple):
    """One small change of the code.

    Attributes:
        where: the module, class and function, without the package.
        old, new: the lines that differ, each without its indentation; the new ones are empty where
            lines were taken out.
    """

    where: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"- `{self.where}`: `{self.old}` → {f'`{self.new}`' if self.new else 'nothing'}"


def place_of(mutant: str) -> tuple[str, str]:
    """Return the module of a mutant, and its function.

    Raises:
        ValueError: it is not called as mutmut calls them.
    """
    found = MUTANT.fullmatch(mutant)
    if found is None:
        raise ValueError(f"no mutant is called {mutant!r}")
    module = found["module"].removeprefix("eventsourcing.infrastructure.")
    return module, f"{found['cls']}.{found['name']}" if found["cls"] else found["name"]


def change_of(mutant: str, diff: str) -> Change:
    """Return what mutmut has changed, by its name for that and its unified diff."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "#"))]
    old, new = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Change(".".join(place_of(mutant)), old, new)


def is_alive(status: str) -> bool:
    """Tell whether no test has noticed a mutant of which mutmut says this."""
    return status in ALIVE


def listed(text: str) -> set[Change]:
    """Return the changes that the text of a page lists."""
    return {Change(where, old, new) for where, old, new in ITEM.findall(text)}


def table(statuses: Mapping[str, str]) -> str:
    """Return how many mutants there are of each module, and what became of them."""
    of_module: dict[str, Counter[str]] = {}
    for mutant, status in statuses.items():
        of_module.setdefault(place_of(mutant)[0], Counter())[status] += 1
    rows = [_row(f"`{module}`", count) for module, count in sorted(of_module.items())]
    every = sum(of_module.values(), Counter[str]())
    return "\n".join([HEAD, *rows, _row("all", every)])


def share(statuses: Iterable[str]) -> float:
    """Return how many of the mutants were killed, of 1."""
    alive = [is_alive(status) for status in statuses]
    return alive.count(False) / max(1, len(alive))


def write(page: Path, result: str) -> None:
    """Put the result between the markers of the page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers: {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n\n{result}\n\n{END}{after}")


def _row(title: str, count: Counter[str]) -> str:
    alive = sum(n for status, n in count.items() if is_alive(status))
    late, total = count["timeout"], count.total()
    killed = total - alive - late
    part = f"{share(count.elements()):.1%}"
    return f"| {title} | {total} | {killed} | {late} | {alive} | {part} |"
