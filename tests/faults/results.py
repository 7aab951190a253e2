"""What runs of scenarios have found, as lines of a file: one run, one line of JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Result", "append", "read"]


@dataclass(frozen=True)
class Result:
    """One run of a scenario on one backend, and of its control.

    Attributes:
        scenario, backend, seed: which run it was.
        is_full: whether the long figure was asked for.
        count: how often it went wrong; None if the run itself broke off.
        anomalies: what was found, in words.
        late: what took too long, in words.
        control: how many anomalies the control found; None if there is none, or it was left out.
        is_silent: whether there is a control, and it found nothing.
        seconds: of the run, without its control.
        figures: see :class:`Outcome`.
        facts: date, commit, versions and machine.
        asked: how often it was to go wrong; None if that was not noted. Choices depend on it.
    """

    scenario: str
    backend: str
    seed: int
    is_full: bool
    count: int | None
    anomalies: list[str]
    late: list[str]
    control: int | None
    is_silent: bool
    seconds: float
    figures: dict[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    asked: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether the promise held, late or not, and the control shows that it was probed."""
        return self.count is not None and not self.anomalies and not self.is_silent


def append(path: Path, result: Result) -> None:
    """Add a line to a file, which need not exist, and which others may be adding to as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(asdict(result)).encode() + b"\n")


def read(paths: Iterable[Path]) -> Iterator[Result]:
    """Yield the results of some files in their order."""
    for path in paths:
        for line in path.read_text().splitlines():
            yield Result(**json.loads(line))
