"""The table of results says what was run, and hides no failure."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import results
from tests.faults.report import BEGIN, END, is_in_history, section, write
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
    facts={"date": "2026-11-25", "commit": "abc1234", "Python": "3.11"},
    asked=100,
)
FULL = replace(
    SHORT,
    is_full=True,
    count=3_000,
    facts={"date": "2026-11-26", "commit": "abc1234", "Python": "3.12"},
)


def is_known(commit: str) -> bool:
    return commit == "abc1234"


def row(*found: Result) -> str:
    """Return the row of client-killed on sqlite."""
    (line,) = (
        line
        for line in section(found, is_known).splitlines()
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


@pytest.mark.parametrize("older", [replace(FULL, count=3_999), replace(SHORT, seed=9)])
def test_of_good_runs_the_newest_of_full_length_counts(older: Result) -> None:
    of_before = replace(older, facts={"date": "2026-11-24"})

    assert "--seed 8" in row(replace(FULL, seed=8), of_before)
    assert "--seed 8" in row(of_before, replace(FULL, seed=8))


def test_of_shorter_runs_the_newest_of_the_longest_counts() -> None:
    longer = [replace(SHORT, count=200, seed=seed) for seed in (8, 9)]

    assert "--seed 9" in row(*longer, SHORT)


def test_a_failure_is_not_hidden_by_a_run_of_the_same_length_before_it_or_after_it() -> None:
    failed = replace(FULL, anomalies=["lost"])

    assert "| **1** |" in row(FULL, failed)
    assert "| **1** |" in row(failed, FULL)


def test_a_row_has_its_date_and_commit_and_how_to_run_it_again() -> None:
    assert row(SHORT).endswith("| 2026-11-25 | abc1234 | `--count 100 --seed 7` |")
    assert row(FULL).endswith("| 2026-11-26 | abc1234 | `--full --seed 7` |")
    assert row(replace(SHORT, asked=None)).endswith("| `--seed 7` |")


@pytest.mark.parametrize(
    ("facts", "cell"),
    [
        ({"commit": "def5678"}, "| def5678, **not in this history** |"),
        ({"commit": "abc1234-dirty"}, "| abc1234-dirty, **not in this history** |"),
        ({}, "| unknown, **not in this history** |"),
    ],
)
def test_code_that_is_not_in_the_history_is_marked(facts: dict[str, str], cell: str) -> None:
    assert cell in row(replace(SHORT, facts=facts))


@pytest.mark.parametrize("commit", ["abc1234-dirty", "unknown", "no such commit"])
def test_what_is_no_commit_is_in_no_history(commit: str) -> None:
    assert not is_in_history(commit)


def test_the_other_facts_of_all_runs_stand_below() -> None:
    of_both = section([SHORT, replace(FULL, backend="mariadb")], is_known)

    assert of_both.endswith("|\n\n- Python: 3.11, 3.12")


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
