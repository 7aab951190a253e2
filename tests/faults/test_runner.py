"""The runner leaves a result of every run, and says how to run it again."""

import signal
import subprocess
from contextlib import nullcontext
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.faults import results, runner
from tests.faults.scenario import Outcome, Scenario

PLANNED = Scenario(
    name="planned",
    title="",
    unit="times",
    backends=("sqlite",),
    short=2,
    long=20,
    run=lambda case: Outcome(case.count, []),
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the results go of a runner that knows one scenario and needs no servers."""
    monkeypatch.setattr(runner, "scenarios", lambda: [PLANNED])
    monkeypatch.setattr(runner, "templates", nullcontext)
    return tmp_path / "found.jsonl"


def run_with(status: int, file: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the scenario in a process that ends with this status and does nothing."""
    ran = subprocess.run

    def run(command: list[str], **options: Any) -> CompletedProcess[Any]:
        if "tests.faults" in command:
            return CompletedProcess(command, status)
        return ran(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    return runner.main(["--seed=7", f"--results={file}", *arguments])


@pytest.mark.parametrize("status", [0, 1, -signal.SIGKILL])
def test_a_process_that_leaves_no_result_has_failed(
    status: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(status, file, monkeypatch) == 1

    (found,) = results.read([file])
    assert (found.count, found.anomalies, found.asked) == (None, [f"ended with {status}"], 2)
    assert (found.scenario, found.backend, found.seed) == ("planned", "sqlite", 7)


def test_a_result_of_before_is_none_of_this_run(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(1, file, monkeypatch)
    run_with(1, file, monkeypatch, "--full")

    assert [found.is_full for found in results.read([file])] == [False, True]


def test_who_interrupts_a_run_has_found_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(-signal.SIGINT, file, monkeypatch) == 1
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "count", "end"),
    [([], 2, ""), (["--full"], 20, " --full"), (["--full", "--count=5"], 5, " --full")],
)
def test_the_command_that_runs_it_again_is_printed_with_its_count(
    arguments: list[str], count: int, end: str, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["--jobs=0", "--seed=7", f"--results={file}", *arguments]) == 0

    again = f"--only planned --backend sqlite --count {count} --seed 7{end}"
    assert f"python -m tests.faults {again}\n" in capfd.readouterr().out
    assert [(found.asked, found.count) for found in results.read([file])] == [(count, count)]
