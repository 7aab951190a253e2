"""A run tells what its scenario and its control have found."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.run import Run
from tests.faults.scenario import Case, Outcome, Scenario


def scenario(anomalies: Iterator[list[str]], control: Iterator[list[str]]) -> Scenario:
    """Return a scenario that finds this in one run after the other."""
    return Scenario(
        name="planned",
        title="",
        unit="times",
        backends=("sqlite",),
        short=2,
        long=20,
        run=lambda case: Outcome(case.count, next(anomalies)),
        control=lambda case: Outcome(case.count, next(control)),
    )


def test_a_run_without_anomalies_whose_control_finds_some_is_good() -> None:
    result = Run(scenario(iter([[]]), iter([["lost"]])), "sqlite", 7, is_full=False).result()

    assert (result.is_good, result.count, result.control, result.seed) == (True, 2, 1, 7)


def test_an_anomaly_is_a_failure() -> None:
    result = Run(scenario(iter([["lost"]]), iter([["lost"]])), "sqlite", 7, is_full=True).result()

    assert (result.is_good, result.count, result.is_full) == (False, 20, True)


def test_a_control_that_depends_on_chance_is_given_three_of_them() -> None:
    found = iter([[], [], ["lost"]])
    seeds: list[int] = []

    def control(case: Case) -> Outcome:
        seeds.append(case.seed)
        return Outcome(case.count, next(found))

    given = replace(scenario(iter([[]]), found), control=control)

    assert Run(given, "sqlite", 7, is_full=False).result().is_good
    assert seeds == [7, 8, 9]


def test_a_control_that_finds_nothing_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    silent = scenario(iter([[]]), itertools.repeat([]))

    assert not Run(silent, "sqlite", 7, is_full=False).result().is_good
    assert "THE CONTROL FOUND NOTHING" in capfd.readouterr().out


def test_a_control_that_finds_only_what_is_late_is_a_failure() -> None:
    late = replace(
        scenario(iter([[]]), iter([])), control=lambda case: Outcome(1, [], late=["5.1 s"])
    )

    result = Run(late, "sqlite", 7, is_full=False).result()

    assert (result.is_good, result.is_silent, result.control) == (False, True, 0)


def test_a_run_that_breaks_off_is_a_failure() -> None:
    result = Run(scenario(iter([]), iter([["lost"]])), "sqlite", 7, is_full=False).result()

    assert (result.is_good, result.count) == (False, None)


def test_a_run_gets_the_count_that_was_asked_for_and_a_folder_of_its_own() -> None:
    cases: list[Case] = []

    def run(case: Case) -> Outcome:
        assert list(case.directory.iterdir()) == []
        cases.append(case)
        return Outcome(case.count, [])

    given = Scenario("planned", "", "times", ("sqlite",), 2, 20, run)
    result = Run(given, "sqlite", 7, is_full=True, count=3).result()

    assert [(case.backend, case.count, case.seed) for case in cases] == [("sqlite", 3, 7)]
    assert (result.is_full, result.control, cases[0].directory.exists()) == (False, None, False)
