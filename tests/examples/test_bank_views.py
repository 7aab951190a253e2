"""The views of the bank are the same, whether one process makes them or three."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.bank_views import in_one_process, in_three_processes, views
from tests.backends import Backend

ROOT = Path(__file__).parents[2]
OUTPUT = """\
120 lines, and the last of A-0 is ('A-0', 20, -500, 2750)
miller: ['A-0']
smith: ['A-1', 'A-2', 'A-3', 'A-4', 'A-5']
"""


def test_the_program_compares_both() -> None:
    command = [sys.executable, "-m", "examples.bank_views"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == OUTPUT


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_three_processes_make_on_a_server_what_one_makes_in_a_file(
    request: pytest.FixtureRequest, sqlite_file: Backend, name: str
) -> None:
    server: Backend = request.getfixturevalue(name)
    assert sqlite_file.uri is not None
    assert server.uri is not None
    uri = server.uri

    in_one_process(sqlite_file.uri)
    in_three_processes(uri)

    assert views(uri) == views(sqlite_file.uri)
