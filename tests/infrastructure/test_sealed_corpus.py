"""Sealed states of all released formats can be opened for ever."""

import json
from typing import Any

import pytest

from tests.corpus import personal
from tests.corpus.sealed import FORMS, PLACES, ROWS, STATES, opened


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["form"])
def test_a_row_of_the_corpus_is_opened(row: dict[str, Any]) -> None:
    assert opened(row) == row["state"]


def test_the_corpus_has_all_forms() -> None:
    assert {row["form"] for row in ROWS} == FORMS.keys()
    assert len(ROWS) >= len(FORMS) * len(PLACES) * len(STATES)
    assert {row["text"][:4] for row in ROWS} == {"~a1:", "~z1:", "{}", '{"ti', '{"te'}


@pytest.mark.parametrize("row", personal.ROWS, ids=lambda row: row["place"][0])
def test_personal_data_of_the_corpus_is_opened_and_erased(row: dict[str, Any]) -> None:
    assert json.loads(personal.opened(row)) == json.loads(row["state"])
    assert json.loads(personal.opened(row, forget=True)) == json.loads(row["erased"])
    assert "(erased)" in row["erased"]


def test_the_corpus_has_all_personal_data() -> None:
    assert len(personal.ROWS) >= len(PLACES) * len(personal.STATES)
