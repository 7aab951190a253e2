"""Rows of nobody: a fuzzer makes inputs for all that reads what is stored.

The targets stand in :mod:`tests.faults.fuzz.targets`, and share the minutes. Each is fuzzed in a
process of its own with a limit of memory. A finding is an anomaly, with its input in base64:
``base64 -d > FILE``, and ``python -m tests.faults.fuzz TARGET --replay FILE`` gives it again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.fuzz.target import Target
from tests.faults.fuzz.targets import CONTROLS, TARGETS
from tests.faults.scenario import Case, Outcome, Scenario

__all__ = ["SCENARIOS"]

MEGABYTES = 512
CONTROL_SECONDS = 30  # at most; each takes a few
SLACK = 120  # seconds for the start and the last input; a busy machine has twice the time


def run(case: Case) -> Outcome:
    anomalies, figures = [], {}
    for target in TARGETS:
        log, is_bad = fuzz(case, target, max(1, case.count * 60 // len(TARGETS)))
        inputs = executed(log)
        if is_bad or not inputs:
            anomalies.append(f"{target.name}: {finding(log)}")
        figures[f"inputs of {target.name}"] = f"{inputs:,}"
    return Outcome(case.count, anomalies, figures)


def control(case: Case) -> Outcome:
    """Fuzzes the targets with something planted; finds something only if all are found."""
    found = []
    for target, sign in CONTROLS.items():
        log, is_bad = fuzz(case, target, CONTROL_SECONDS)
        if not is_bad or sign not in log:
            return Outcome(case.count, [], {target.name: "not found"})
        found.append(f"{target.name}: {finding(log)}")
    return Outcome(case.count, found)


def fuzz(case: Case, target: Target, seconds: int) -> tuple[str, bool]:
    """Return what the fuzzer wrote, and whether it found something."""
    command = [sys.executable, "-m", "tests.faults.fuzz", target.name]
    command += [f"--seconds={seconds}", f"--seed={case.seed % 2**31}"]
    command += [f"--megabytes={MEGABYTES}", f"--directory={case.directory}"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=2 * seconds + SLACK,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.decode(errors="replace"), done.returncode != 0


def finding(log: str) -> str:
    """Return the error and the input that a log tells of; its end, if it does not."""
    error = re.search(r"=== Uncaught Python exception: ===\n(.*)|ERROR: (libFuzzer: .*)", log)
    data = re.search(r"^Base64: (.*)$", log, re.MULTILINE)
    if error is None or data is None:
        return log[-2000:]
    return f"{error[1] or error[2]}; input in base64: {data[1]}"


def executed(log: str) -> int:
    """Return how many inputs were tried, as a log tells."""
    found = re.search(r"^stat::number_of_executed_units:\s*(\d+)", log, re.MULTILINE)
    return int(found[1]) if found else 0


SCENARIOS = (
    Scenario(
        name="fuzzing",
        title="rows, tags, topics, headers of ciphertexts and ids of sections made by a fuzzer: no"
        " untyped error, no memory without bound",
        unit="minutes",
        backends=("none",),
        short=1,
        long=60,
        run=run,
        control=control,
        control_count=1,
    ),
)
