"""Sealed states: their headers and all that follows them, and what stands behind the cipher."""

import json
from base64 import b64decode
from collections.abc import Iterator

from eventsourcing.exceptions import DataIntegrityError, DecodeError
from eventsourcing.utils.packing import unpack
from tests.corpus import personal
from tests.corpus.sealed import ROWS, protection
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["packed_seeds", "personal_read", "personal_seeds", "read", "seeds", "unpacked"]

LARGEST = 2**20  # bytes

_PLACE = ("stream", 3, "corpus.Stored")
_ERASURE, _ = personal.erasure(
    {name: key for row in personal.ROWS for name, key in row["keys"].items()}
)
_KNOWN = {row["text"]: row["state"] for row in ROWS}


def read(data: bytes) -> None:
    """Opens a text at one place. What was encrypted there before is all that can be read there."""
    text = text_of(data)
    try:
        state = protection.open(text, *_PLACE)
    except DataIntegrityError as error:
        if (error.originator_id, error.originator_version) != _PLACE[:2]:
            raise Wrong(f"{error!r} does not name the row") from error
        return
    if text.startswith("~a1:") and _KNOWN.get(text) != state:
        raise Wrong(f"{text!r} was taken for a sealed state")


def personal_read(data: bytes) -> None:
    """Opens the personal data in a state."""
    item = (*_PLACE, text_of(data))
    try:
        (opened,) = _ERASURE.opened([item])
    except DataIntegrityError as error:
        if (error.originator_id, error.originator_version) != _PLACE[:2]:
            raise Wrong(f"{error!r} does not name the row") from error
        return
    if '"$personal":' in opened[3] and opened[3].startswith("{"):
        json.loads(opened[3])  # within other values, where the decoder refuses it


def personal_seeds() -> Iterator[bytes]:
    yield from (row["text"].encode("utf-8", "surrogatepass") for row in personal.ROWS)
    yield from (text.encode() for text in ('{"a":{"$personal":[]}}', '{"$":{"$personal":1}}'))


def unpacked(data: bytes) -> None:
    """Unpacks what whoever has the key could have encrypted."""
    try:
        text = unpack(data, LARGEST)
    except DecodeError:
        return
    if len(text) > max(LARGEST, len(data)):
        raise Wrong(f"{len(text)} characters came of {len(data)} bytes")


def seeds() -> Iterator[bytes]:
    yield from (text.encode() for text in _KNOWN)


def packed_seeds() -> Iterator[bytes]:
    for text, state in _KNOWN.items():
        yield b"\0" + state.encode()
        if text.startswith("~z1:"):
            yield b64decode(text[4:])
