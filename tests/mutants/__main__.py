"""Test all mutants, and compare what survived with docs/mutants.md: ``make mutants``."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.survivors import (
    PAGE,
    Change,
    change_of,
    is_alive,
    listed,
    share,
    table,
    write,
)

ROOT = Path(__file__).parents[2]
WANTED = 0.85


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if enough mutants are killed, and each of the others is on the page."""
    options = _options(arguments)
    if not options.keep:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    if not options.only_compare:
        program = ROOT / "tests" / "mutants" / "forks.py"
        keep = ["--keep"] if options.keep else []
        command = [sys.executable, program, f"--jobs={options.jobs}", *keep, *options.mutants]
        subprocess.run(command, cwd=ROOT, check=True)
    statuses = _statuses()
    result = table(statuses)
    print(result)
    if options.report:
        write(PAGE, result)
    return _compare(statuses)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--keep", action="store_true", help="go on from the results of before")
    parser.add_argument("--only-compare", action="store_true", help="run none; implies --keep")
    parser.add_argument("--report", action="store_true", help=f"write the table to {PAGE.name}")
    parser.add_argument("mutants", nargs="*", help="only these; a * stands for anything")
    options = parser.parse_args(arguments)
    options.keep = options.keep or options.only_compare or bool(options.mutants)
    return options


def _compare(statuses: dict[str, str]) -> int:
    alive = {mutant for mutant, status in statuses.items() if is_alive(status)}
    found = {change_of(mutant, _mutmut("show", mutant)): mutant for mutant in sorted(alive)}
    known = listed(PAGE.read_text())
    _tell("survived, and not on the page", {c: m for c, m in found.items() if c not in known})
    _tell("on the page, and killed", dict.fromkeys(known - found.keys(), ""))
    is_enough = share(statuses.values()) >= WANTED
    if not is_enough:
        print(f"less than {WANTED:.0%} are killed")
    return 0 if is_enough and found.keys() <= known else 1


def _tell(title: str, changes: dict[Change, str]) -> None:
    if changes:
        print(f"\n{title}:")
    for change, mutant in sorted(changes.items()):
        print(change, f"  {mutant}" if mutant else "")


_MUTMUT = (sys.executable, "-m", "mutmut")


def _statuses() -> dict[str, str]:
    """Return what mutmut says of each mutant."""
    lines = _mutmut("results", "--all", "true").splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if "__mutmut_" in line)


def _mutmut(*arguments: str) -> str:
    return subprocess.run(
        [*_MUTMUT, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
