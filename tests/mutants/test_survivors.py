"""What docs/mutants.md lists is in the code, and the comparison finds what it does not list."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.mutants import __main__ as command
from tests.mutants.survivors import (
    BEGIN,
    END,
    PAGE,
    Change,
    change_of,
    listed,
    share,
    table,
    write,
)

MUTANT = (
    "eventsourcing.infrastructure.sqlalchemy.manager.xǁSQLAlchemyRecordManagerǁ_write__mutmut_7"
)
FUNCTION = "eventsourcing.infrastructure.eventstore.x__check_positions__mutmut_1"
DIFF = """\
# name: survived
--- eventsourcing/infrastructure/sqlalchemy/manager.py
+++ eventsourcing/infrastructure/sqlalchemy/manager.py
@@ -4,3 +4,3 @@
     for _ in range(3):
-        self.write(rows, 1)
+        self.write(rows, 2)
         return
"""
CHANGE = Change(
    "sqlalchemy.manager.SQLAlchemyRecordManager._write",
    "self.write(rows, 1)",
    "self.write(rows, 2)",
)


def source_of(where: str) -> str:
    """Return the source of a function, with single spaces."""
    parts = where.split(".")
    cut = 2 if parts[0] == "sqlalchemy" else 1
    found: Any = importlib.import_module(f"eventsourcing.infrastructure.{'.'.join(parts[:cut])}")
    for name in parts[cut:]:
        found = getattr(found, name)
    return " ".join(inspect.getsource(found).split())


def test_what_the_page_lists_is_in_the_code() -> None:
    changes = listed(PAGE.read_text())

    assert changes
    assert [c for c in changes if " ".join(c.old.split()) not in source_of(c.where)] == []


def test_each_survivor_on_the_page_is_understood() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("- `")]

    assert sorted(lines) == sorted(map(str, listed(PAGE.read_text())))


def test_a_change_is_known_by_its_place_and_its_lines() -> None:
    assert change_of(MUTANT, DIFF) == CHANGE
    assert change_of(FUNCTION, DIFF).where == "eventstore._check_positions"


@pytest.mark.parametrize("change", [CHANGE, CHANGE._replace(new="")])
def test_a_change_is_read_as_it_is_written(change: Change) -> None:
    assert listed(f"Some text.\n\n{change}\n- `a`: `b`\n") == {change}


def test_the_table_counts_by_module() -> None:
    statuses = {MUTANT: "killed", MUTANT + "0": "survived", FUNCTION: "timeout"}

    assert table(statuses).splitlines()[2:] == [
        "| `eventstore` | 1 | 0 | 1 | 0 | 100.0% |",
        "| `sqlalchemy.manager` | 2 | 1 | 0 | 1 | 50.0% |",
        "| all | 3 | 1 | 1 | 1 | 66.7% |",
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["killed", "timeout"], 1), (["killed", "no tests"], 0.5), (["survived"], 0), ([], 0)],
)
def test_what_was_not_tested_counts_as_alive(statuses: list[str], expected: float) -> None:
    assert share(statuses) == expected


def test_the_table_is_written_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write(page, "new")

    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        ("killed", "", 0),
        ("survived", str(CHANGE), 0),
        ("survived", "", 1),
        ("no tests", "", 1),
    ],
)
def test_a_survivor_without_a_reason_is_a_failure(
    status: str, text: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {f"{FUNCTION}{n}": "killed" for n in range(10)}
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(command, "_statuses", lambda: others | {MUTANT: status})
    monkeypatch.setattr(command, "_mutmut", lambda *_: DIFF)

    assert command.main(["--only-compare"]) == expected


def test_too_few_that_are_killed_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(str(CHANGE))
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(command, "_statuses", lambda: {MUTANT: "survived", FUNCTION: "killed"})
    monkeypatch.setattr(command, "_mutmut", lambda *_: DIFF)

    assert command.main(["--only-compare"]) == 1
