"""Tags: JSON texts of values in general form."""

import json
from collections.abc import Iterator
from typing import Any

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils.statecodec import dump_json, load_json
from eventsourcing.utils.transcoding import decode_value, encode_value
from tests.corpus.v1 import PATH
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["read", "seeds"]


def read(data: bytes) -> None:
    try:
        value = decode_value(load_json(text_of(data)), "value")
    except DecodeError:
        return
    repr(value)
    try:
        text = dump_json(encode_value(value, "value"))
    except EncodeError:  # nested too deeply
        return
    again = dump_json(encode_value(decode_value(load_json(text))))
    if again != text:
        raise Wrong(f"{text} became {again}")


def seeds() -> Iterator[bytes]:
    for line in PATH.read_text().splitlines():
        state: dict[str, Any] = json.loads(json.loads(line)["text"])
        for values in (state, state.get("$", {})):
            yield from (json.dumps(v).encode() for name, v in values.items() if name != "$")
