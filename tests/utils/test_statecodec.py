"""States: what comes out is what went in, through every way; damage is named."""

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventsourcing.utils.statecodec import StateCodec
from tests.utils.strategies import identical, supported_values, typed_fields


@given(typed_fields())
def test_every_accepted_value_comes_back_through_every_way(pair: Any) -> None:
    fields, values = pair
    codec = StateCodec(fields)
    for encode in (codec.encode, codec._encode_each):
        text = encode(values)
        for decode in (codec.decode, codec._decode_each):
            decoded = decode(text)
            assert decoded.keys() == values.keys()
            for name in values:
                assert identical(decoded[name], values[name]), (text, name)
