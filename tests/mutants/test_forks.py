"""A mutant is killed if a test failed, and by nothing else."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

PROGRAM = Path(__file__).with_name("forks.py")
MUTANT = "module.x_function__mutmut_1"
OF_MUTMUT = (
    "mutmut",
    "mutmut.__main__",
    "mutmut.configuration",
    "mutmut.mutation",
    "mutmut.mutation.data",
    "mutmut.mutation.trampoline",
    "mutmut.state",
    "mutmut.utils",
    "mutmut.utils.file_utils",
    "mutmut.utils.format_utils",
)


class Mutation:
    """One mutant of one function, which one test reaches.

    Attributes:
        active: the mutant that is under test, in this process.
        passes: what the test does, given whether this is a fork, and the mutant.
    """

    def __init__(self, forks: Any, session: Any) -> None:
        self.active = ""
        self.passes: Callable[[bool, str], bool] = lambda in_fork, mutant: True
        self.file = MagicMock(exit_code_by_key={MUTANT: None})
        self._session, self._plugin = session, forks.Forks([], 1, False)
        self._plugin.files = [self.file]
        parent = os.getpid()
        forks.set_mutant_under_test = lambda mutant: setattr(self, "active", mutant)
        reached = MagicMock()
        reached.__iter__.return_value = ["function"]
        forks.state = lambda: SimpleNamespace(_stats=reached)
        forks.mangled_name_from_mutant_name = lambda mutant: "function"
        forks._passes = lambda item: self.passes(os.getpid() != parent, self.active)

    def run(self) -> int | None:
        """Return what became of the mutant."""
        self._plugin.pytest_runtestloop(self._session)
        code: int | None = self.file.exit_code_by_key[MUTANT]
        return code


@pytest.fixture
def mutation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mutation]:
    monkeypatch.setenv("MUTMUT_DEPENDENCY_DEPTH", "")  # which the program sets
    for name in OF_MUTMUT:  # it is not installed everywhere, and makes no mutants here
        monkeypatch.setitem(sys.modules, name, MagicMock())
    spec: Any = spec_from_file_location("forks_under_test", PROGRAM)
    forks = module_from_spec(spec)
    spec.loader.exec_module(forks)
    factory = SimpleNamespace(getbasetemp=lambda: tmp_path)
    config = SimpleNamespace(_tmp_path_factory=factory)
    item = SimpleNamespace(nodeid="test_function", config=config)
    yield Mutation(forks, SimpleNamespace(items=[item]))
    gc.unfreeze()


def test_a_mutant_that_no_test_notices_survives(mutation: Mutation) -> None:
    assert mutation.run() == 0


def test_a_mutant_is_killed_by_a_test_that_fails(mutation: Mutation) -> None:
    mutation.passes = lambda in_fork, mutant: mutant != MUTANT

    assert mutation.run() == 1


def leave() -> None:
    raise KeyboardInterrupt


def stop() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("end", [leave, lambda: os._exit(1), lambda: os._exit(3), stop])
def test_a_process_that_ends_in_another_way_has_killed_nothing(
    mutation: Mutation, end: Callable[[], None]
) -> None:
    def passes(in_fork: bool, mutant: str) -> bool:
        if mutant == MUTANT:
            end()
        return True

    mutation.passes = passes

    with pytest.raises(pytest.UsageError, match="broke off"):
        mutation.run()
    assert mutation.file.exit_code_by_key == {MUTANT: None}


def test_nothing_is_tested_if_a_test_fails_in_a_fork_without_a_mutant(mutation: Mutation) -> None:
    mutation.passes = lambda in_fork, mutant: not in_fork

    with pytest.raises(pytest.UsageError, match=r"in a fork: \['test_function'\]"):
        mutation.run()
    assert mutation.file.exit_code_by_key == {MUTANT: None}


def test_nothing_is_tested_if_a_fork_has_no_place_for_files(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", MagicMock(side_effect=OSError("no space left")))

    with pytest.raises(pytest.UsageError, match="in a fork: all"):
        mutation.run()
    assert mutation.file.exit_code_by_key == {MUTANT: None}
