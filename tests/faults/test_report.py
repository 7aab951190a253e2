"""The table of results says what was run, and hides no failure."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import results
from tests.faults.report import BEGIN, END, section, write
from tests.faults.results import Result

SHORT = Result(
    scenario="client-killed",
    backend="sqlite",
    seed=7,
    is_full=False,
    count=100,
    anomalies=[],
    late=[],
    control=5,
    is_silent=False,
    seconds=1.0,
    facts={"date": "2026-11-25"},
)
FULL = replace(SHORT, is_full=True, count=3_000, facts={"date": "2026-11-26"})


def row(*found: Result) -> str:
    """Return the row of client-killed on sqlite."""
    (line,) = (
        line
        for line in section(found).splitlines()
        if "(`client-killed`)" in line and "| sqlite |" in line
    )
    return line


def test_a_short_run_is_told_from_one_at_full_length() -> None:
    assert "| 100 of 3,000 kills | 0 |" in row(SHORT)
    assert "| 3,000 kills | 0 |" in row(SHORT, FULL, SHORT)


def test_what_was_not_run_is_named() -> None:
    assert "| not run |" in row()


@pytest.mark.parametrize(
    ("bad", "cell"),
    [
        (replace(SHORT, anomalies=["lost", "lost"]), "| **2** |"),
        (replace(SHORT, count=None, anomalies=["it broke off"]), "| broke off | **1** |"),
    ],
)
def test_a_run_that_failed_is_not_hidden_by_a_good_one(bad: Result, cell: str) -> None:
    assert cell in row(bad, FULL)


def test_what_took_too_long_is_told() -> None:
    assert "| 0, **1 late** |" in row(replace(SHORT, late=["5.1 s"]))


def test_the_facts_of_all_runs_stand_below() -> None:
    assert section([SHORT, replace(FULL, backend="mariadb")]).endswith(
        "- date: 2026-11-25, 2026-11-26"
    )


def test_the_table_is_put_between_the_markers(tmp_path: Path) -> None:
    page, file = tmp_path / "page.md", tmp_path / "results" / "found.jsonl"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    results.append(file, SHORT)

    write(page, list(results.read([file])))

    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "100 of 3,000 kills" in text
    assert "\nold\n" not in text


@pytest.mark.parametrize(
    ("result", "is_good"),
    [
        (SHORT, True),
        (replace(SHORT, anomalies=["lost"]), False),
        (replace(SHORT, is_silent=True), False),
        (replace(SHORT, count=None), False),
    ],
)
def test_a_run_is_good_if_nothing_was_found_but_by_its_control(
    result: Result, is_good: bool
) -> None:
    assert result.is_good is is_good
