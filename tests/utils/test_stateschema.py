"""The JSON Schema of states takes what is stored, and refuses what is not."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eventsourcing.utils.statecodec import StateCodec
from eventsourcing.utils.stateschema import form_of, object_form, state_schema
from tests.corpus.v1 import ANNOTATIONS, CASES, PATH


def validator(annotation: str) -> Draft202012Validator:
    annotations = {"value": ANNOTATIONS[annotation]}
    form = object_form({"value": form_of(annotations["value"])}, additionalProperties=False)
    schema = state_schema(annotations, form)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def lines() -> Iterator[dict[str, str]]:
    return map(json.loads, PATH.read_text().splitlines())


def test_each_state_that_was_ever_stored_is_taken() -> None:
    refused = [
        line for line in lines() if not validator(line["annotation"]).is_valid(read(line["text"]))
    ]
    assert refused == []


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_what_lacks_a_field_or_has_another_one_is_refused(annotation: str) -> None:
    value = next(value for name, value in CASES if name == annotation)
    state = read(StateCodec({"value": ANNOTATIONS[annotation]}).encode({"value": value}))
    assert not validator(annotation).is_valid({})
    assert not validator(annotation).is_valid({**state, "other": 1})


@pytest.mark.parametrize(
    ("annotation", "wrong"),
    [
        ("int", "1"),
        ("str", 1),
        ("bool", 0),
        ("None", False),
        ("Decimal", 1.5),
        ("datetime", 0),
        ("Colour", "green"),
        ("Literal['a']", "b"),
        ("Money", {"currency": "EUR"}),
        ("Money", {"amount": "1", "x": 1}),
        ("list[Line]", [{"sku": "x"}]),
        ("dict[str, Money]", {"a": 1}),
        ("tuple[int, ...]", ["x"]),
        ("tuple[str, Decimal]", ["x"]),
        ("Optional[int]", "x"),
    ],
)
def test_a_form_of_another_type_is_refused(annotation: str, wrong: Any) -> None:
    assert not validator(annotation).is_valid({"value": wrong})


def read(text: str) -> Any:
    return json.loads(text)
