"""The results of all runs of a campaign, and what they amount to."""

import json
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.plan import Case

Figures = dict[str, Any]


@dataclass
class Outcome:
    """What one case came to.

    Attributes:
        pairs: The figures of the library and of the bare driver, run one after the other.
        problems: What went wrong, in words.
    """

    case: Case
    pairs: list[tuple[Figures, Figures]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def library(self, name: str) -> float:
        """Return the median of one of the library's figures."""
        return statistics.median(float(own[name]) for own, _ in self.pairs)

    def raw(self, name: str) -> float:
        """Return the median of one of the bare driver's figures."""
        return statistics.median(float(raw[name]) for _, raw in self.pairs)

    def ratios(self, name: str) -> list[float]:
        """Return the library's figure over the bare driver's, of each pair, smallest first."""
        return sorted(own[name] / raw[name] for own, raw in self.pairs)

    def ratio(self, name: str) -> float:
        """Return the median of the ratios."""
        return statistics.median(self.ratios(name))


@dataclass
class Campaign:
    """All outcomes, and the facts about where they were measured."""

    facts: dict[str, str]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def repetitions(self) -> int:
        return max((len(outcome.pairs) for outcome in self.outcomes), default=0)

    @property
    def problems(self) -> Iterator[str]:
        for outcome in self.outcomes:
            for problem in outcome.problems:
                yield f"{outcome.case.name}: {problem}"

    def of(self, workloads: Iterable[str]) -> list[Outcome]:
        """Return the outcomes of some workloads, those without any figures left out."""
        wanted = set(workloads)
        return [o for o in self.outcomes if o.case.workload in wanted and o.pairs]

    def write(self, path: Path) -> None:
        """Write everything as JSON lines."""
        lines = [json.dumps(self.facts), *(json.dumps(asdict(each)) for each in self.outcomes)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what was written."""
        first, *others = map(json.loads, path.read_text().splitlines())
        return cls(first, [_outcome(line) for line in others])


def _outcome(line: dict[str, Any]) -> Outcome:
    case = Case(**line["case"] | {"arguments": tuple(line["case"]["arguments"])})
    return Outcome(case, [(own, raw) for own, raw in line["pairs"]], line["problems"])
