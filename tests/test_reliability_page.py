"""docs/reliability.md names tests and scenarios that are there, and all scenarios."""

import re
from collections.abc import Iterator
from pathlib import Path

from eventsourcing import exceptions
from tests.faults.catalogue import scenarios
from tests.faults.report import BEGIN
from tests.test_security_page import NAMED, missing

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
SCENARIO = re.compile(r"`([a-z]+(?:-[a-z]+)*)`")


def prose() -> str:
    """Return the page without its table and its blocks."""
    text = PAGE.read_text().partition(BEGIN)[0]
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def named_as_scenarios(text: str) -> Iterator[str]:
    """Yield what is named after the word scenario, up to the end of the sentence or paragraph."""
    for sentence in re.findall(r"\bscenarios?\s(.*?)(?:\.\s|\.$|\n\n)", text, re.DOTALL):
        yield from SCENARIO.findall(re.sub(r"`tests/[^`]*`", "", sentence))


def unknown(text: str) -> set[str]:
    """Return the scenarios that a text names and that are not there."""
    return set(named_as_scenarios(text)) - {scenario.name for scenario in scenarios()}


def test_the_tests_that_the_page_names_are_there() -> None:
    assert len(NAMED.findall(prose())) > 15
    assert missing(prose()) == []


def test_the_scenarios_that_the_page_names_are_there() -> None:
    assert unknown(prose()) == set()


def test_every_scenario_stands_behind_a_sentence() -> None:
    named = set(named_as_scenarios(prose()))

    assert {scenario.name for scenario in scenarios()} - named == set()


def not_in_the_table(table: str) -> set[str]:
    """Return the errors of which neither the class nor one that it is derived from is named."""
    named = {getattr(exceptions, name) for name in exceptions.__all__ if f"`{name}`" in table}
    errors = {getattr(exceptions, name) for name in exceptions.__all__}
    root = {exceptions.EventSourcingError}
    return {e.__name__ for e in errors - root if not (named - root) & set(e.__mro__)}


def test_the_page_says_what_to_do_about_each_error() -> None:
    table = prose().partition("\n## What an application must do\n")[2].partition("\n## ")[0]

    assert not_in_the_table(table) == set()


def test_control_an_error_that_the_table_lacks_is_found() -> None:
    assert not_in_the_table("`PersistenceError` `EventSourcingError`") >= {"ConcurrencyError"}
    assert "DiskFull" not in not_in_the_table("`PersistenceError`")


def test_control_a_scenario_that_is_not_there_is_found() -> None:
    assert unknown("Shown by the scenarios `client-killed` and `nothing-done`.") == {"nothing-done"}
