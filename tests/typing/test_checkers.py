"""Both type checkers accept the programs of this directory, and see each of the mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventsourcing.domain.model.events import assert_event_handlers_empty
from tests.typing.user_program import main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUIET = {"PYRIGHT_PYTHON_GLOBAL_NODE": "off", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_checker_accepts_the_program_and_sees_each_mistake(checker: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", checker, str(HERE)],
        cwd=ROOT,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_runs() -> None:
    assert main("sqlite:///:memory:") == [
        "3 out, version 4",
        "Deposited",
        "Tagged",
        "AttributeChanged",
        "Withdrawn",
        "logged",
        "4",
        "Bob",
    ]
    assert_event_handlers_empty()
