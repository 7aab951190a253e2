"""The results of all runs of a campaign, and what they amount to."""

import json
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.plan import Case

Figures = dict[str, Any]


class Spread(NamedTuple):
    """What a figure came to in all runs."""

    least: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of values, of which there is one at least."""
        ranked = sorted(values)
        return cls(ranked[0], statistics.median(ranked), ranked[-1])

    def times(self, factor: float) -> "Spread":
        """Return the spread in another unit."""
        return Spread(*(value * factor for value in self))


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

    def library(self, name: str) -> Spread:
        """Return one of the library's figures."""
        return Spread.of(float(own[name]) for own, _ in self.pairs)

    def raw(self, name: str) -> Spread:
        """Return one of the bare driver's figures."""
        return Spread.of(float(raw[name]) for _, raw in self.pairs)

    def kilobytes(self, name: str) -> Spread:
        """Return a figure of the library's, in MB, as KB for each event."""
        length = name.rpartition("_")[2]
        events = int(length) if length.isdigit() else self.library("n").median
        return self.library(name).times(1024 / events)

    def ratio(self, name: str) -> Spread:
        """Return the library's figure over the bare driver's, of each pair."""
        return Spread.of(own[name] / raw[name] for own, raw in self.pairs)


@dataclass
class Campaign:
    """All outcomes, and the facts about where they were measured."""

    facts: dict[str, str]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def repetitions(self) -> str:
        """How many pairs of runs there are of each case, in words."""
        counts = sorted({len(outcome.pairs) for outcome in self.outcomes} or {0})
        return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"

    def over(self, earlier: "Campaign", plan: Iterable[Case]) -> "Campaign":
        """Return the outcomes for a plan: these, and an earlier campaign's for its other cases.

        A fact that has changed is given for both.
        """
        known = {outcome.case.key: outcome for outcome in (*earlier.outcomes, *self.outcomes)}
        outcomes = [replace(known[case.key], case=case) for case in plan if case.key in known]
        names = ", ".join(dict.fromkeys(outcome.case.workload for outcome in self.outcomes))
        facts = dict(self.facts)
        for about, fact in earlier.facts.items():
            if facts.setdefault(about, fact) != fact:
                facts[about] += f" ({names} as measured again); {fact}"
        return Campaign(facts, outcomes)

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
