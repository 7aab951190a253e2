"""States: what comes out is what went in, through every way; damage is named."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils.statecodec import StateCodec, dump_json, load_json
from tests.corpus import v1
from tests.utils.strategies import (
    Address,
    Line,
    Money,
    identical,
    supported_values,
    texts,
    typed_fields,
)

ORDER = {
    "name": str,
    "quantity": int,
    "ref": UUID,
    "price": Decimal,
    "at": dt.datetime,
    "line": Line,
}
ID = UUID("12345678-1234-5678-1234-567812345678")


def order(**changed: Any) -> dict[str, Any]:
    values = {
        "name": "widget",
        "quantity": 3,
        "ref": ID,
        "price": Decimal("10.00"),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "line": Line("w", 1, Money(Decimal(2), "EUR"), ["x"]),
    }
    return values | changed


def refusal(call: Callable[..., Any], *args: Any) -> Any:
    with pytest.raises((EncodeError, DecodeError)) as caught:
        call(*args)
    return caught.value


class TestRoundTrip:
    @given(typed_fields())
    def test_every_accepted_value_comes_back_through_every_way(self, pair: Any) -> None:
        fields, values = pair
        codec = StateCodec(fields)
        for encode in (codec.encode, codec._encode_each):
            text = encode(values)
            for decode in (codec.decode, codec._decode_each):
                assert identical(dict(sorted(decode(text).items())), dict(sorted(values.items())))

    @given(typed_fields())
    def test_both_ways_write_the_same_text(self, pair: Any) -> None:
        fields, values = pair
        codec = StateCodec(fields)
        assert codec.encode(values) == codec._encode_each(values)

    @given(st.dictionaries(st.sampled_from(["a", "b", "c_1", "größe"]), supported_values()))
    def test_free_form_attributes_come_back(self, values: dict[str, Any]) -> None:
        codec = StateCodec({}, open=True)
        assert identical(codec.decode(codec.encode(values)), values)

    @given(typed_fields(), supported_values())
    def test_an_open_state_has_typed_fields_and_further_ones(self, pair: Any, more: Any) -> None:
        fields, values = pair
        codec = StateCodec(fields, open=True)
        decoded = codec.decode(codec.encode(values | {"more": more}))
        assert identical(decoded, {**{name: values[name] for name in fields}, "more": more})

    def test_skipped_attributes_are_not_stored(self) -> None:
        codec = StateCodec({"a": int}, skip=frozenset({"originator_id", "originator_version"}))
        text = codec.encode({"originator_id": uuid4(), "originator_version": 1, "a": 2})
        assert text == '{"a":2}'
        assert codec.decode(text) == {"a": 2}

    def test_a_state_of_nothing_is_an_empty_object(self) -> None:
        codec = StateCodec({})
        assert codec.encode({}) == "{}"
        assert codec.decode("{}") == {}

    @pytest.mark.parametrize(
        "value",
        [
            10**10_000,
            -(10**10_000),
            2**53 + 1,
            2**64,
            "x" * 16 * 2**20,
            "\ud800" * 1000,
            b"x" * 2**20,
        ],
        ids=["10k digits", "-10k digits", "2**53+1", "2**64", "16 MB", "surrogates", "1 MB bytes"],
    )
    def test_large_values_come_back(self, value: Any) -> None:
        for codec in (StateCodec({"a": type(value)}), StateCodec({"a": Any})):
            assert codec.decode(codec.encode({"a": value}))["a"] == value

    def test_an_int_in_a_float_field_stays_an_int(self) -> None:
        codec = StateCodec({"a": float})
        text = codec.encode({"a": 3})
        assert text == '{"$":{"a":3}}'
        assert identical(codec.decode(text), {"a": 3})


class TestText:
    """What is stored is plain JSON, readable in any SQL tool."""

    def test_exact_values_are_bare(self) -> None:
        text = StateCodec(ORDER).encode(order())
        assert json.loads(text) == {
            "name": "widget",
            "quantity": 3,
            "ref": str(ID),
            "price": "10.00",
            "at": "2026-01-02T03:04:05Z",
            "line": {
                "sku": "w",
                "quantity": 1,
                "price": {"amount": "2", "currency": "EUR"},
                "notes": ["x"],
            },
        }

    def test_other_values_stand_under_the_reserved_key_with_their_tags(self) -> None:
        at = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
        codec = StateCodec({"amount": Decimal, "at": dt.datetime})
        text = codec.encode({"amount": Decimal("10.00"), "at": at})
        assert text == (
            '{"amount":"10.00","$":{"at":'
            '{"$datetime":["2026-10-25T02:30:00",{"$zoneinfo":"Europe/Berlin"},1]}}}'
        )

    def test_text_is_utf_8_unless_it_holds_a_lone_surrogate(self) -> None:
        codec = StateCodec({"a": str, "b": str})
        assert codec.encode({"a": "ö", "b": "\0"}) == '{"a":"ö","b":"\\u0000"}'
        assert codec.encode({"a": "ö", "b": "\ud800"}) == '{"a":"\\u00f6","b":"\\ud800"}'

    def test_a_field_declared_as_any_before_can_get_a_type(self) -> None:
        text = StateCodec({"a": Any}).encode({"a": Decimal("1.0")})
        assert identical(StateCodec({"a": Decimal}).decode(text), {"a": Decimal("1.0")})

    def test_a_field_that_was_added_later_gets_its_default(self) -> None:
        codec = StateCodec({"a": int, "b": list}, defaults={"b": list})
        assert codec.decode('{"a":1}') == {"a": 1, "b": []}

    @pytest.mark.parametrize(
        ("state", "found"),
        [
            ('{"a":1}', {"a": 1, "b": 7, "c": [7]}),
            ('{"c":[],"a":1}', {"a": 1, "b": 7, "c": []}),
            ('{"a":1,"$":{"b":{"$int":"0x8000000000000000"}}}', {"a": 1, "b": 2**63, "c": [7]}),
        ],
    )
    def test_so_do_several_beside_what_there_is(self, state: str, found: dict[str, Any]) -> None:
        codec = StateCodec(
            {"a": int, "b": int, "c": list[int]}, defaults={"b": lambda: 7, "c": lambda: [7]}
        )
        assert list(codec.decode(state).items()) == list(found.items())

    @pytest.mark.parametrize("state", ['{"a":1,"z":2}', '{"a":1,"a":2}', '{"z":1}', '{"b":1}'])
    def test_which_lets_nothing_else_through(self, state: str) -> None:
        refusal(StateCodec({"a": int, "b": int}, defaults={"b": int}).decode, state)

    def test_control_a_field_without_a_default_is_missed(self) -> None:
        codec = StateCodec({"a": int, "b": list}, defaults={"a": int})
        assert refusal(codec.decode, '{"a":1}').field == "b"


class TestRefusedWhenEncoded:
    @pytest.mark.parametrize(
        ("changed", "field", "said"),
        [
            ({"name": 3}, "name", "expected str, found int"),
            ({"price": 1.5}, "price", "expected Decimal, found float"),
            (
                {"line": Money(Decimal(1))},
                "line",
                "expected Line, found tests.utils.strategies.Money",
            ),
            ({"unknown": 1}, "unknown", "unknown attribute"),
            ({"name": "\ud83d\ude00"}, "name", "surrogate pair"),
        ],
    )
    def test_what_does_not_fit(self, changed: Any, field: str, said: str) -> None:
        error = refusal(StateCodec(ORDER).encode, order(**changed))
        assert error.field == field
        assert said in str(error)
        assert str(error).startswith(f"{field}: ")

    def test_a_missing_field(self) -> None:
        values = order()
        del values["price"]
        assert refusal(StateCodec(ORDER).encode, values).field == "price"

    def test_an_unknown_attribute_in_the_place_of_a_skipped_one(self) -> None:
        codec = StateCodec({"a": int}, skip=frozenset({"originator_id"}))
        assert refusal(codec.encode, {"a": 1, "b": 2}).field == "b"

    def test_the_path_leads_to_the_value(self) -> None:
        values = {"items": [1, 2, {"k": (0, Money(object()))}]}  # type: ignore[arg-type]
        error = refusal(StateCodec({}, open=True).encode, values)
        assert error.field == "items[2][key 0][1].amount"
        assert "values of type object cannot be stored" in str(error)
        assert "register_type" in str(error)

    @pytest.mark.parametrize("name", ["", "$", "$a", "a b", "1"])
    def test_names_of_attributes_are_identifiers(self, name: str) -> None:
        assert "identifier" in str(refusal(StateCodec({}, open=True).encode, {name: 1}))

    def test_messages_never_show_a_value(self) -> None:
        @dataclass
        class Odd:
            secret: Any

        for value in (Odd(object), ["canary"], {"canary": object()}, "canary\ud83d\ude00"):
            for annotation in (Any, int, dict[str, int]):
                codec = StateCodec({"a": annotation})
                if annotation is Any and value == ["canary"]:  # which can be stored
                    continue
                error = refusal(codec.encode, {"a": value})
                assert "canary" not in f"{error} {error.__cause__}"


class TestRefusedWhenDecoded:
    @given(typed_fields(), st.data())
    def test_a_flipped_bit_decodes_or_is_a_decode_error(self, pair: Any, data: Any) -> None:
        fields, values = pair
        codec = StateCodec(fields)
        raw = bytearray(codec.encode(values).encode())
        bit = data.draw(st.integers(0, len(raw) * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
        text = raw.decode("utf-8", "surrogateescape")
        for decode in (codec.decode, codec._decode_each):
            try:
                decode(text)
            except DecodeError:
                continue

    @given(typed_fields())
    def test_every_prefix_is_a_decode_error(self, pair: Any) -> None:
        fields, values = pair
        codec = StateCodec(fields)
        text = codec.encode(values)
        for end in range(len(text)):
            refusal(codec.decode, text[:end])

    @pytest.mark.parametrize(
        ("text", "field", "said"),
        [
            ("", "", "not JSON"),
            ("[]", "", "not a JSON object"),
            ("{}", "a", "missing"),
            ('{"a":null}', "a", "expected Decimal, found null"),
            ('{"a":[]}', "a", "expected Decimal, found an array"),
            ('{"a":"canary"}', "a", "expected Decimal, found a string"),
            ('{"a":"1","b":2}', "b", "not a field"),
            ('{"a":"1","a":"2"}', "", "twice"),
            ('{"a" :"1","a":"2"}', "", "twice"),
            ('{"a":"1","$":{"a":1}}', "$", "'$'"),
            ('{"a":"1","$":1}', "$", "'$'"),
            ('{"a":"1","$":{"b":1}}', "b", "not a field"),
            ('{"$":{"a":"canary"}}', "a", "expected Decimal, found str"),
            ('{"a":{"$uuid":"12345678-1234-5678-1234-567812345678"}}', "a", "found an object"),
            ('{"a":NaN}', "", "not finite"),
            ('{"a":"1"}x', "", "not JSON"),
            ("[" * 100_000, "", "RecursionError"),
        ],
    )
    def test_damage_is_named(self, text: str, field: str, said: str) -> None:
        error = refusal(StateCodec({"a": Decimal}).decode, text)
        assert error.field == field
        assert said in str(error)
        assert "canary" not in str(error)
        assert error.__cause__ is None

    @pytest.mark.parametrize(
        "state",
        [
            '{"v":{"city":"c"}}',  # what is missing has no default
            '{"v":{"street":"s","city":null,"zip":1}}',
            '{"v":{"street":"s","street":"t","city":null}}',
        ],
    )
    def test_fields_of_a_dataclass_match_exactly(self, state: str) -> None:
        refusal(StateCodec({"v": Address}).decode, state)

    @pytest.mark.parametrize("annotation", [dict[str, int], dict[str, Decimal]])
    def test_duplicate_keys_are_refused_inside_of_values(self, annotation: Any) -> None:
        refusal(StateCodec({"v": annotation}).decode, '{"v":{"a":1,"a":2}}')

    def test_the_path_leads_to_the_damage(self) -> None:
        codec = StateCodec({"lines": list[Line]})
        text = codec.encode({"lines": [Line("a", 1, Money(Decimal(1))) for _ in range(2)]})
        damaged = text[::-1].replace('"1"', '"x"', 1)[::-1]
        assert refusal(codec.decode, damaged).field == "lines[1].price.amount"

    def test_a_number_that_is_not_finite(self) -> None:
        assert "not finite" in str(refusal(StateCodec({"a": float}).decode, '{"a":1e999}'))

    def test_a_literal_that_is_not_allowed(self) -> None:
        assert refusal(StateCodec({"a": Literal["x"]}).decode, '{"a":"y"}').field == "a"

    @pytest.mark.parametrize("name", ["$a", "", "a b", "originator_id"])
    def test_open_states_have_identifiers_that_are_not_skipped(self, name: str) -> None:
        codec = StateCodec({}, open=True, skip=frozenset({"originator_id"}))
        assert refusal(codec.decode, json.dumps({name: 1})).field == name


class TestLittleStack:
    """Nesting that the limit allows may still be too much for the stack that is left."""

    def test_is_an_encode_error_or_a_decode_error(self) -> None:
        value: Any = None
        for _ in range(90):
            value = [value]
        codec = StateCodec({"a": Any})
        text = codec.encode({"a": value})

        def below(frames: int, call: Callable[..., Any], *args: Any) -> Any:
            return call(*args) if frames == 0 else below(frames - 1, call, *args)

        outcomes = set()
        for frames in range(500, 970, 10):
            for call, argument in ((codec.encode, {"a": value}), (codec.decode, text)):
                try:
                    below(frames, call, argument)
                except (EncodeError, DecodeError) as error:
                    outcomes.add(type(error))
                except RecursionError:
                    break  # no stack for the call itself
        assert outcomes == {EncodeError, DecodeError}


class TestJsonText:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
            lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
        )
    )
    def test_what_is_written_is_read(self, data: Any) -> None:
        assert load_json(dump_json(data)) == data

    def test_white_space_and_escapes_are_read_too(self) -> None:
        assert load_json(' {"a": [1.50, "\\u00e9"]} ') == {"a": [1.5, "é"]}


LINES = [json.loads(line) for line in v1.PATH.read_text().splitlines()]


class TestCorpus:
    """Rows that were written once can be read for ever."""

    @pytest.mark.parametrize("line", LINES, ids=lambda line: line["annotation"])
    def test_stored_states_decode(self, line: dict[str, str]) -> None:
        codec = StateCodec({"value": v1.ANNOTATIONS[line["annotation"]]})
        for decode in (codec.decode, codec._decode_each):
            assert repr(decode(line["text"])["value"]) == line["repr"]

    def test_states_are_written_as_they_always_were(self) -> None:
        written = [v1.state_of(annotation, value) for annotation, value in v1.CASES]
        assert [line for line in written if line not in LINES] == []
