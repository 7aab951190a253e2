"""The quick way to read a state tells the same of every text as the way that makes a dict."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.statecodec import StateCodec
from tests.utils.strategies import identical, typed_fields

MONEY = StateCodec({"a": str, "b": Decimal}, defaults={"b": lambda: Decimal(7)})


def outcome(decode: Callable[[str], Any], text: str) -> Any:
    """Returns the values by name, or what an error says."""
    try:
        found = decode(text)
    except DecodeError as error:
        return str(error), error.field
    if not isinstance(found, dict):
        found = {name: getattr(found, name) for name in found.__struct_fields__}
    return dict(sorted(found.items()))


def agrees(codec: StateCodec, text: str) -> bool:
    read = codec.read
    return read is None or identical(outcome(read, text), outcome(codec.decode, text))


@given(typed_fields())
def test_it_gives_the_values_that_were_written(pair: Any) -> None:
    fields, values = pair
    codec = StateCodec(fields)
    assert codec.read is None or identical(
        outcome(codec.read, codec.encode(values)), dict(sorted(values.items()))
    )


@given(typed_fields(), st.data())
def test_it_says_the_same_of_a_text_with_another_character(pair: Any, data: Any) -> None:
    codec = StateCodec(pair[0])
    text = codec.encode(pair[1])
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.sampled_from(["", ",", '"', "}", "{", ":", "$", " ", "0", "null", "\\"]))
    assert agrees(codec, text[:at] + put + text[at + data.draw(st.integers(0, 1)) :])


@given(typed_fields(), st.data())
def test_it_says_the_same_of_members_that_are_twice_there_or_moved(pair: Any, data: Any) -> None:
    codec = StateCodec(pair[0])
    members = json.loads(codec.encode(pair[1]), object_pairs_hook=lambda pairs: pairs)
    names = st.sampled_from([*members, ("$", {}), ("z", 1), ("b", None)])
    chosen = data.draw(st.lists(names, max_size=len(members) + 2))
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in chosen)
    assert agrees(codec, "{" + text + "}")


TEXTS = {
    "a comma in a text": '{"a":"x,y","b":"1"}',
    "a default": '{"a":"x"}',
    "a default, and a comma": '{"a":","}',
    "a duplicate": '{"a":"x","a":"y","b":"1"}',
    "a duplicate in place of a default": '{"a":"x","a":"y"}',
    "an unknown member": '{"a":"x","b":"1","c":2}',
    "white space": '{ "a" : "x", "b":"1"}',
    "another order": '{"b":"1","a":"x"}',
    "another order, and a comma": '{"b":"1","a":","}',
    "the general form": '{"a":"x","$":{"b":1}}',
    "no text": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_it_says_the_same_of(text: str) -> None:
    assert agrees(MONEY, text)


def test_control_a_duplicate_is_missed_by_a_reader_that_does_not_count() -> None:
    careless = msgspec.json.Decoder(msgspec.defstruct("State", [("a", str), ("b", Decimal)])).decode
    MONEY_READ = MONEY.read
    MONEY.read = careless
    try:
        assert not agrees(MONEY, TEXTS["a duplicate"])
    finally:
        MONEY.read = MONEY_READ


def test_an_interrupt_is_not_taken_for_damage() -> None:
    class TimeIsUp(Exception):
        pass

    def late() -> Any:
        raise TimeIsUp

    class Slow(msgspec.Struct):
        x: Any = msgspec.field(default_factory=late)

    codec = StateCodec({"a": int})
    assert codec.read is not None
    reader: Any = codec.read
    cells = dict(zip(reader.__code__.co_freevars, reader.__closure__, strict=True))
    cells["read"].cell_contents = msgspec.json.Decoder(Slow).decode
    with pytest.raises(TimeIsUp):
        codec.read('{"a":1}')


def test_an_open_state_has_no_quick_way() -> None:
    assert StateCodec({"a": int}, open=True).read is None
