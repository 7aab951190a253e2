"""One run of a scenario on one backend, and of its control."""

import faulthandler
import os
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from tests.faults.facts import facts
from tests.faults.results import Result
from tests.faults.scenario import Case, Outcome, Scenario

__all__ = ["Run"]

LONGEST = {False: 900, True: 8 * 3600}  # seconds until a run that hangs is ended, by `is_full`
MOST_SHOWN = 10  # anomalies of a run
MOST_CONTROLS = 3  # runs of a control that finds nothing, each by another seed: it may be chance


class Run:
    """What is to be run.

    Args:
        seed: of all that is random.
        is_full: whether the long figure is asked for.
        count: how often it is to go wrong, if that is another figure.
    """

    def __init__(
        self, scenario: Scenario, backend: str, seed: int, is_full: bool, count: int | None = None
    ) -> None:
        self._scenario = scenario
        self._backend = backend
        self._seed = seed
        self._is_full = is_full and count is None
        self._count = count or (scenario.long if is_full else scenario.short)
        self._hangs_after = LONGEST[is_full]

    def result(self) -> Result:
        """Run it, and print what was found."""
        scenario = self._scenario
        seed = f"seed {self._seed}"
        what = f"{scenario.name} on {self._backend}: {self._count:,} {scenario.unit}, {seed}"
        print(what, flush=True)  # a run that hangs is ended without further words
        faulthandler.dump_traceback_later(self._hangs_after, exit=True)
        began = monotonic()
        outcome = self._try(scenario.run, self._count, self._seed)
        seconds = monotonic() - began
        control = None
        if scenario.control is not None:
            control = self._found_by(scenario.control)
        faulthandler.cancel_dump_traceback_later()
        result = self._result(outcome, control, seconds)
        self._show(result, control, monotonic() - began - seconds)
        return result

    def _found_by(self, control: Callable[[Case], Outcome]) -> Outcome | str:
        for seed in range(self._seed, self._seed + MOST_CONTROLS):
            outcome = self._try(control, self._scenario.control_count, seed)
            if isinstance(outcome, str) or outcome.anomalies:
                break
            print(f"    control: nothing found, seed {seed}", flush=True)
        return outcome

    def _try(self, function: Callable[[Case], Outcome], count: int, seed: int) -> Outcome | str:
        """Return the outcome, or else what the run broke off with."""
        with tempfile.TemporaryDirectory(prefix="eventsourcing-faults-") as directory:
            os.chmod(directory, 0o755)  # servers may run as another user
            try:
                return function(Case(self._backend, count, seed, Path(directory)))
            except Exception:
                return f"it broke off:\n{traceback.format_exc()}"

    def _result(
        self, outcome: Outcome | str, control: Outcome | str | None, seconds: float
    ) -> Result:
        known = Outcome(0, [outcome]) if isinstance(outcome, str) else outcome
        return Result(
            scenario=self._scenario.name,
            backend=self._backend,
            seed=self._seed,
            is_full=self._is_full,
            count=known.count or None,
            anomalies=known.anomalies,
            late=known.late,
            control=len(control.anomalies) if isinstance(control, Outcome) else None,
            is_silent=control is not None and not _has_found(control),
            seconds=seconds,
            figures=known.figures,
            facts=facts({self._backend}),
        )

    def _show(self, result: Result, control: Outcome | str | None, control_seconds: float) -> None:
        count = "none" if result.count is None else f"{result.count:,}"
        figures = "".join(f", {name}: {value}" for name, value in result.figures.items())
        print(
            f"    {count} {self._scenario.unit} in {result.seconds:.1f} s,"
            f" {len(result.anomalies)} anomalies{figures}"
        )
        for anomaly in result.anomalies[:MOST_SHOWN]:
            print(f"    ANOMALY: {anomaly}")
        for what in result.late[:MOST_SHOWN]:
            print(f"    LATE: {what}")
        if isinstance(control, Outcome):
            found = control.anomalies
            print(
                f"    control: {control.count:,} {self._scenario.unit} in {control_seconds:.1f} s,"
                f" {len(found)} anomalies{f', such as: {found[0][:100]}' if found else ''}"
            )
        if result.is_silent:
            why = f": {control}" if isinstance(control, str) else ""
            print(f"    THE CONTROL FOUND NOTHING{why}")


def _has_found(control: Outcome | str) -> bool:
    """Whether it has found an anomaly; what is only late may be so on a busy machine."""
    return isinstance(control, Outcome) and bool(control.anomalies)
