"""The program of ``make demo``, run as a newcomer runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: Path, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-m", "examples.bank", *map(str, arguments)]
    env = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bank") / "bank.db"


@pytest.fixture(scope="module")
def output(file: Path) -> str:
    return run(file)


def rows(history: str) -> list[list[str]]:
    """Return the columns of each line that is an event, without the time."""
    events = re.findall(r"^ +(\d) +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +(.+)$", history, re.MULTILINE)
    return [[version, *columns.split()] for version, columns in events]


HISTORY = [
    ["0", "Created", "0.00", "opening"],
    ["1", "Deposited", "100.00", "100.00", "opening"],
    ["2", "Withdrawn", "30.00", "70.00", "transfer-1"],
    ["3", "Deposited", "5.00", "75.00", "gift"],
    ["4", "Withdrawn", "60.00", "15.00", "rent"],
    ["0", "Created", "0.00", "opening"],
    ["1", "Deposited", "20.00", "20.00", "opening"],
    ["2", "Deposited", "30.00", "50.00", "transfer-1"],
]


def test_it_prints_each_account_s_history(output: str) -> None:
    first, _, _ = output.partition("The bank is closed.")

    assert rows(first) == HISTORY


def test_a_new_process_replays_the_same_history(output: str) -> None:
    _, _, second = output.partition("The bank is closed.")

    assert rows(second) == HISTORY


def test_a_rival_is_refused_and_the_retry_succeeds(output: str) -> None:
    expected = (
        "  loaded the account at version 3\n"
        "  a rival stores a deposit of 5.00 first\n"
        "  refused: stream 'A-1' was expected at version 3, and is at 4\n"
        "  loaded the account at version 4\n"
        "  stored: the rent is paid\n"
    )

    assert expected in output


def test_an_impossible_transfer_stores_nothing(output: str) -> None:
    assert "nothing is stored: Ann has 70.00, not 500.00" in output


def test_it_says_where_the_file_is(output: str, file: Path) -> None:
    assert output.startswith(f"A new bank in {file}\n")


def test_run_again_it_shows_the_bank_and_changes_nothing(output: str, file: Path) -> None:
    again = run(file)

    assert rows(again) == HISTORY
    assert "A new bank" not in again


def test_without_a_file_it_leaves_nothing_behind(tmp_path: Path) -> None:
    output = run(TMPDIR=str(tmp_path))

    assert rows(output) == HISTORY * 2
    assert list(tmp_path.iterdir()) == []
