"""Makes the mutants, and tests each in a fork of one process that has collected the tests.

A program of its own, so that nothing is imported from beside ``mutants/``, where mutmut puts the
mutants and a copy of the tests::

    python tests/mutants/forks.py [--jobs N] [--keep] [PATTERN ...]
"""

import argparse
import fnmatch
import gc
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Any, NamedTuple, NoReturn

import pytest
from _pytest.runner import runtestprotocol
from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.file_utils import (
    copy_also_copy_files,
    copy_src_dir,
    setup_source_paths,
    walk_mutatable_files,
)
from mutmut.utils.format_utils import mangled_name_from_mutant_name

MEMORY = 4 * 2**30  # bytes for each process: there are mutants that collect without an end
SURVIVED, KILLED, NO_TESTS, TIMED_OUT = 0, 1, 33, 36  # mutmut's numbers
BROKE_OFF = 70  # which is none of them: nobody knows whether a test would have failed
KNOWN = {SURVIVED, KILLED, TIMED_OUT, -signal.SIGXCPU}
SPARE = 8.0  # seconds of CPU that a mutant may take beyond three times what its tests take
PATIENCE = 10  # times as long, by the clock: the machine may be busy


class Run(NamedTuple):
    """A process that tests a mutant.

    Attributes:
        file: that of the mutant; None where there is none.
        tests: in their order; by chance the first ones have killed others of the same function.
        until: when to stop waiting for it.
        killer: a pipe, into which it writes which of the tests has failed.
    """

    pid: int
    file: SourceFileMutationData | None
    mutant: str
    tests: list[pytest.Item]
    until: float
    killer: int


class Forks:
    """A plugin of pytest that runs the tests on each mutant, instead of once."""

    def __init__(self, patterns: list[str], jobs: int, keep: bool) -> None:
        self.files = [SourceFileMutationData(path=path) for path in walk_mutatable_files()]
        for file in self.files:
            file.load()
            file.meta_path = file.meta_path.resolve()
        self._patterns, self._jobs, self._keep = patterns, jobs, keep
        self._running: dict[int, Run] = {}
        self._tests: dict[str, list[pytest.Item]] = {}
        self._seconds: dict[str, float] = {}
        self._done = 0
        self._broken: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out which tests reach which function, and run these on its mutants.

        Raises:
            pytest.UsageError: a test fails without a mutant, here or in a fork, or the tests of a
                mutant broke off.
        """
        gc.collect()
        gc.freeze()  # what is there already costs the children nothing
        self._tests = self._reaching(session.items)
        self._check_forks(session.items)
        for file, mutant in list(self._wanted()):
            while len(self._running) >= self._jobs:
                self._reap()
            tests = self._tests[mangled_name_from_mutant_name(mutant)]
            if tests:
                self._begin(file, mutant, [*tests])
            else:
                self._note(file, mutant, NO_TESTS)
        while self._running:
            self._reap()
        if self._broken:
            raise pytest.UsageError(f"broke off, and no test has failed: {self._broken}")
        return True

    def _reaching(self, items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
        """Return the tests for each function, those first that are quick and reach few others."""
        set_mutant_under_test("stats")
        os.environ["MUTMUT_DEPENDENCY_DEPTH"] = "-1"
        found: dict[str, list[pytest.Item]] = defaultdict(list)
        cost: dict[str, float] = {}
        for item in items:
            state()._stats.clear()
            begun = process_time()
            if not _passes(item):
                raise pytest.UsageError(f"without a mutant too, this fails: {item.nodeid}")
            self._seconds[item.nodeid] = process_time() - begun
            reached = set(state()._stats)
            cost[item.nodeid] = self._seconds[item.nodeid] * len(reached)
            for function in reached:
                found[function].append(item)
        for tests in found.values():
            tests.sort(key=lambda item: cost[item.nodeid])
        set_mutant_under_test("")
        return found

    def _check_forks(self, tests: list[pytest.Item]) -> None:
        """See that all tests pass in a fork too, where they run a second time: else each mutant
        would be taken for killed.
        """
        run = self._fork(None, "", tests)
        _, status = os.waitpid(run.pid, 0)
        failed = [tests[number].nodeid for number in _told(run)]
        if failed or os.waitstatus_to_exitcode(status) != SURVIVED:
            raise pytest.UsageError(
                f"without a mutant too, this fails in a fork: {failed or 'all'}"
            )

    def _wanted(self) -> Iterator[tuple[SourceFileMutationData, str]]:
        for file in self.files:
            for mutant, code in file.exit_code_by_key.items():
                if self._patterns:
                    if any(fnmatch.fnmatch(mutant, pattern) for pattern in self._patterns):
                        yield file, mutant
                elif code is None or not self._keep:
                    yield file, mutant

    def _begin(self, file: SourceFileMutationData, mutant: str, tests: list[pytest.Item]) -> None:
        run = self._fork(file, mutant, tests)
        self._running[run.pid] = run

    def _fork(
        self, file: SourceFileMutationData | None, mutant: str, tests: list[pytest.Item]
    ) -> Run:
        limit = int(3 * sum(self._seconds[item.nodeid] for item in tests) + SPARE)
        killer, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            _test(mutant, tests, limit, told)
        os.close(told)
        return Run(pid, file, mutant, tests, monotonic() + PATIENCE * limit, killer)

    def _reap(self) -> None:
        for pid, run in list(self._running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            is_late = not ended and monotonic() > run.until
            if is_late:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if ended or is_late:
                del self._running[pid]
                failed = _told(run)
                self._learn(run, failed)
                code = TIMED_OUT if is_late else os.waitstatus_to_exitcode(status)
                if code not in KNOWN or (code == KILLED and not failed):
                    self._broken.append(f"{run.mutant} ({code})")  # and stays untested
                else:
                    self._note(run.file, run.mutant, code)
        sleep(0.002)

    def _learn(self, run: Run, failed: list[int]) -> None:
        """Have a test that has killed one mutant of a function run first on the next."""
        for number in failed:
            test = run.tests[number]
            tests = self._tests[mangled_name_from_mutant_name(run.mutant)]
            tests.remove(test)
            tests.insert(0, test)

    def _note(self, file: SourceFileMutationData | None, mutant: str, code: int) -> None:
        assert file is not None
        file.exit_code_by_key[mutant] = code
        file.save()
        self._done += 1
        if code in (SURVIVED, NO_TESTS):
            print(f"{self._done}: {mutant} survived", file=sys.__stderr__, flush=True)


def _told(run: Run) -> list[int]:
    """Return which test a process that has ended said to have failed, if any."""
    with open(run.killer) as pipe:
        return [int(number) for number in pipe.read().split()]


def _test(mutant: str, tests: list[pytest.Item], limit: int, told: int) -> NoReturn:
    """Run tests on a mutant until one fails, and end the process, whatever happens."""
    code = BROKE_OFF
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        set_mutant_under_test(mutant)
        factory: Any = tests[0].config._tmp_path_factory  # type: ignore[attr-defined]
        factory._basetemp = Path(tempfile.mkdtemp(dir=factory.getbasetemp()))  # of its own
        failed = next((number for number, item in enumerate(tests) if not _passes(item)), None)
        shutil.rmtree(factory._basetemp, ignore_errors=True)
        if failed is None:
            code = SURVIVED
        else:
            os.write(told, str(failed).encode())
            code = KILLED
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _passes(item: pytest.Item) -> bool:
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def main() -> Any:
    """Make the mutants and test them. What became of them stands in ``mutants/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave out what is tested already")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    os.makedirs("mutants", exist_ok=True)
    set_mutant_under_test("mutant_generation")
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(options.jobs)
    forks = Forks(options.patterns, options.jobs, options.keep)
    arguments = config().pytest_add_cli_args + config().pytest_add_cli_args_test_selection
    setup_source_paths()
    set_mutant_under_test("")
    os.chdir("mutants")
    return pytest.main(["--rootdir=.", "-q", "--tb=native", *arguments], plugins=[forks])


if __name__ == "__main__":
    sys.exit(main())
