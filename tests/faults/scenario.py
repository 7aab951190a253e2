"""What a scenario is: something that goes wrong so many times, and what is looked at afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

__all__ = ["LOOSELY", "Case", "Outcome", "Scenario", "each_of"]

LOOSELY = 5
"""Times what is promised: what takes longer than that is an anomaly, on a busy machine too."""


@dataclass(frozen=True)
class Case:
    """One run of a scenario.

    Attributes:
        backend: one of the scenario's.
        count: how often it is to go wrong.
        seed: of all that is random in it.
        directory: an empty folder, for databases and logs. It is removed afterwards.
    """

    backend: str
    count: int
    seed: int
    directory: Path

    def within(self, name: str) -> Self:
        """Return the same in a new folder of this name, which servers may enter."""
        directory = self.directory / name
        directory.mkdir()
        directory.chmod(0o755)
        return replace(self, directory=directory)


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes:
        count: how often it went wrong, which is what was asked for or more.
        anomalies: what should not have been, in words; nothing, if the promise holds.
        figures: what else is worth a line in the table, by name: saves, longest wait.
        late: what took longer than promised, in words, which a busy machine can bring about.
    """

    count: int
    anomalies: list[str]
    figures: dict[str, str] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)


def each_of(*outcomes: Outcome) -> Outcome:
    """Return what all controls found, or nothing if one of them found nothing."""
    found = [outcome.anomalies for outcome in outcomes]
    anomalies = [what for each in found for what in each] if all(found) else []
    return Outcome(sum(outcome.count for outcome in outcomes), anomalies)


@dataclass(frozen=True)
class Scenario:
    """Something that goes wrong.

    Attributes:
        name: a few words joined by hyphens, such as ``client-killed``.
        title: one line for the table.
        unit: what is counted: ``kills``.
        backends: such as ``sqlite``, ``postgresql``, ``mariadb``.
        short, long: how often, in CI and before a release.
        run: finds no anomalies.
        control: the same without the protection that is probed, and smaller: finds some. It may
            depend on chance, and so has a count of its own; None where ``tests/`` has the control.
        control_count: how often it goes wrong in the control.
        is_idle: whether it waits for most of its time, and so is run beside the others.
    """

    name: str
    title: str
    unit: str
    backends: tuple[str, ...]
    short: int
    long: int
    run: Callable[[Case], Outcome]
    control: Callable[[Case], Outcome] | None = None
    control_count: int = 20
    is_idle: bool = False
