"""SECURITY.md names tests that are there, and the audit takes all that users may install."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def missing(page: str) -> list[str]:
    """Returns the tests that a page names and that are not there."""
    return [
        f"{path}::{test}"
        for path, test in NAMED.findall(page)
        if not (ROOT / path).exists() or (test and f"def {test}(" not in (ROOT / path).read_text())
    ]


def test_the_tests_that_the_page_names_are_there() -> None:
    page = (ROOT / "SECURITY.md").read_text()

    assert len(NAMED.findall(page)) > 10
    assert missing(page) == []


def test_control_a_test_that_is_not_there_is_found() -> None:
    page = f"`tests/nowhere.py`, `tests/{Path(__file__).name}::test_nothing`"

    assert missing(page) == ["tests/nowhere.py::", f"tests/{Path(__file__).name}::test_nothing"]


def test_the_audit_takes_all_optional_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    audited = re.search(r"pip install '\.\[(.+)\]'", (ROOT / "CONTRIBUTING.md").read_text())

    assert audited is not None
    assert {*audited[1].split(",")} == {*project["optional-dependencies"]} - {
        "bench",
        "dev",
        "mutants",
    }
